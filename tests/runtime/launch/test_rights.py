"""What a container's process may do, as the options say: capabilities, limits, groups, kernel parameters."""

from __future__ import annotations

import os
import pathlib
import resource
from dataclasses import replace

import pytest
from lab.busybox import alpine as image
from lab.command import Command, Result
from lab.overtime import over_time
from lab.registry import Registry

pytestmark = pytest.mark.root


def _held() -> int:
    status = pathlib.Path("/proc/self/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("CapPrm:")]
    return int(line.split()[1], 16)


def _capabilities(mydocker: Command, *options: str) -> dict[str, int]:
    done = mydocker("run", *options, "alpine", "grep", "^Cap", "/proc/1/status")
    assert (done.stderr, done.code) == (b"", 0), done
    words = done.stdout.decode().split()
    return {name.strip(":"): int(mask, 16) for name, mask in zip(words[::2], words[1::2], strict=True)}


def test_a_capability_that_we_lack_is_named(alpine: Command) -> None:
    poor = Command(
        alpine.program,
        alpine.environment,
        alpine.directory,
        ["setpriv", "--bounding-set=-sys_time,-wake_alarm", "--"],
        alpine.store,
    )
    refused = poor("run", "--cap-add", "SYS_TIME", "--cap-add", "NET_ADMIN", "alpine", "true")
    assert (refused.stdout, refused.code) == (b"", 125)
    assert refused.stderr.startswith(b"mydocker: cap_add: SYS_TIME: mydocker itself does not have it")
    assert _capabilities(poor, "--privileged")["CapEff"] == _held() & ~(1 << 25 | 1 << 35)


def test_a_user_that_we_may_not_become(alpine: Command) -> None:
    poor = replace(alpine, prefix=["setpriv", "--bounding-set=-setuid", "--"])
    done = poor("run", "-u", "nobody", "alpine", "true")
    assert (done.stdout, done.code) == (b"", 125)
    assert done.stderr.startswith(b"mydocker: cannot become user 65534:65534: ") and b"CAP_SETUID" in done.stderr


def _nodes() -> set[str]:
    """The devices in /dev."""
    return {path.name for path in pathlib.Path("/dev").iterdir() if path.is_block_device() or path.is_char_device()}


def test_privileged_masks_no_paths(alpine: Command) -> None:
    script, nodes = "cat /proc/self/mountinfo; ls /dev", _nodes()
    plain, free = (alpine("run", *options, "alpine", "sh", "-c", script) for options in ([], ["--privileged"]))
    assert (free.stderr, free.code) == (b"", 0)
    masked = [" /proc/sys ", " /proc/keys ", " /sys/firmware "]
    assert [path.encode() in plain.stdout for path in masked] == [True] * 3
    assert [path.encode() in free.stdout for path in masked] == [False] * 3
    [sysfs] = [line for line in free.stdout.decode().splitlines() if " - sysfs " in line]
    assert "rw" in sysfs.split()[5].split(",")
    nodes &= _nodes()  # and not those that other tests make meanwhile
    listed = set(free.stdout.decode().splitlines())
    assert nodes - {"console", "ptmx"} <= listed


@pytest.mark.parametrize(
    ("options", "script", "expected"),
    [
        (["--umask", "0027"], "umask; touch /x; stat -c %a /x", "0027\n640\n"),
        (["--umask=0"], "umask", "0000\n"),
        (["--group-add", "wheel", "-u", "1000:1000"], "id -G", "1000 10\n"),
        (["--sysctl", "kernel.shm_rmid_forced=1"], "cat /proc/sys/kernel/shm_rmid_forced", "1\n"),
        (
            ["--network", "none", "--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "fs.mqueue.msg_max=20"],
            "cat /proc/sys/net/ipv4/ip_forward /proc/sys/fs/mqueue/msg_max",
            "1\n20\n",
        ),
    ],
)
def test_seen_inside(alpine: Command, options: list[str], script: str, expected: str) -> None:
    done = alpine("run", *options, "alpine", "sh", "-c", script)
    assert done == Result(expected.encode(), b"", 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cap-add", "NET_ADMN"], b"unknown capability 'NET_ADMN'; did you mean 'NET_ADMIN'?"),
        (["--umask", "8"], b"umask '8': expected an octal number"),
        (["--umask", "1000"], b"umask '1000': expected an octal number"),
        (["--ulimit", "nofile=2:1"], b"the soft limit 2 is above the hard limit 1"),
        (["--ulimit", "files=1"], b"unknown ulimit 'files'"),
        (["--ulimit", "nofile=x"], b"ulimit nofile: 'x' is not a number"),
        (["--group-add", "nonesuch"], b"unable to find group 'nonesuch'"),
        (["--sysctl", "kernel.panic=1"], b"kernel.panic belongs to the whole machine"),
        (
            ["--network", "host", "--sysctl", "net.ipv4.ip_forward=1"],
            b"net.ipv4.ip_forward needs a network of the container's own",
        ),
        (["--ipc", "host", "--sysctl", "kernel.sem=1"], b"kernel.sem needs the ipc namespace"),
        (["--sysctl", "kernel.msg../../x=1"], b"is not the name of a kernel parameter"),
        (["--sysctl", "kernel.msgnone=1"], b"sysctl kernel.msgnone: this kernel has no such parameter"),
        (["--sysctl", "kernel.msgmax=many"], b"sysctl kernel.msgmax: cannot set it to 'many'"),
        (["--stop-signal", "SIGNONE"], b"unknown signal 'SIGNONE'"),
        (["--pid", "container:x"], b"no container x runs"),
        (["--uts", "host", "-h", "box"], b"a host name of its own needs the uts namespace"),
        (["--pid", "host", "--namespaces", "mount,pid"], b"pid contradicts namespaces"),
    ],
)
def test_what_cannot_be_is_an_error(alpine: Command, options: list[str], message: bytes) -> None:
    done = alpine("run", *options, "alpine", "true")
    assert (done.stdout, done.code) == (b"", 125)
    assert message in done.stderr and b"Traceback" not in done.stderr


def test_the_hosts_parameters_stay(alpine: Command) -> None:
    before = pathlib.Path("/proc/sys/kernel/msgmax").read_text()
    assert alpine("run", "--sysctl", "kernel.msgmax=4001", "alpine", "true") == Result(b"", b"", 0)
    assert pathlib.Path("/proc/sys/kernel/msgmax").read_text() == before


def test_a_limit_beyond_ours_needs_a_capability(alpine: Command) -> None:
    poor = Command(
        alpine.program,
        alpine.environment,
        alpine.directory,
        ["setpriv", "--bounding-set=-sys_resource", "--"],
        alpine.store,
    )
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    refused = poor("run", "--ulimit", f"nofile={hard + 1}", "alpine", "true")
    assert (refused.stdout, refused.code) == (b"", 125)
    assert refused.stderr.startswith(f"mydocker: ulimit nofile: the hard limit {hard + 1} is above {hard}".encode())


@pytest.mark.parametrize(("name", "option"), [("pid", "--pid"), ("ipc", "--ipc"), ("uts", "--uts")])
@pytest.mark.parametrize("mode", ["host", "private"])
def test_one_namespace_with_the_host(alpine: Command, name: str, option: str, mode: str) -> None:
    link = f"/proc/self/ns/{name}"
    done = alpine("run", option, mode, "alpine", "readlink", link)
    assert (done.stderr, done.code) == (b"", 0)
    assert (done.stdout.decode().strip() == os.readlink(link)) is (mode == "host")


def test_the_hosts_name_with_the_hosts_uts(alpine: Command) -> None:
    done = alpine("run", "--uts", "host", "alpine", "sh", "-c", "hostname; cat /etc/hostname; echo $HOSTNAME")
    assert done.stdout.decode().split() == [os.uname().nodename] * 3


TRAPS = "trap 'echo got INT; exit 3' INT; trap 'echo got QUIT; exit 4' QUIT; trap 'exit 5' TERM; echo ready; "
LOOP = TRAPS + "while :; do sleep 0.05; done"


@pytest.mark.parametrize(
    ("options", "expected"), [(["--stop-signal", "INT"], b"got INT\n"), (["--stop-signal", "3"], b"got QUIT\n")]
)
def test_the_signal_to_stop_with(alpine: Command, options: list[str], expected: bytes) -> None:
    done = over_time(alpine, "--stop-timeout", "240", *options, "alpine", "sh", "-c", LOOP)
    assert done == Result(b"ready\n" + expected, b"", 124)


def test_terminating_us_is_stopping_it(alpine: Command) -> None:
    process = alpine.start("run", "--stop-signal", "SIGINT", "--stop-timeout", "240", "alpine", "sh", "-c", LOOP)
    assert process.stdout and process.stdout.readline() == b"ready\n"
    process.terminate()
    out, _ = process.communicate(timeout=120)
    assert (out, process.returncode) == (b"got INT\n", 3)


@pytest.mark.parametrize(("signal", "expected"), [("SIGQUIT", b"got QUIT\n"), ("nonsense", b"")])
def test_the_image_names_the_signal(mydocker: Command, registry: Registry, signal: str, expected: bytes) -> None:
    """One that is none counts as not given."""
    registry.push(image(stop_signal=signal), "library/stopping")
    done = over_time(mydocker, "--stop-timeout", "240", "stopping", "sh", "-c", LOOP)
    assert done == Result(b"ready\n" + expected, b"", 124)


def test_the_grace_is_what_was_asked_for(alpine: Command) -> None:
    """None is less than the nine seconds that the command takes, of which ten, the default, would be enough."""
    script = "trap 'sleep 9; echo late; exit' TERM; echo ready; while :; do sleep 0.05; done"
    done = over_time(alpine, "--stop-timeout", "0", "alpine", "sh", "-c", script)
    assert (done.stdout, done.code) == (b"ready\n", 124)
