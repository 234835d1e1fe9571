"""What a container looks like from inside, seen with the image's own tools, as docker run has it."""

from __future__ import annotations

import os
import pathlib
import re

import pytest
from lab.command import PATH, Command, Result

pytestmark = pytest.mark.root

NAMESPACES = ["cgroup", "ipc", "mnt", "net", "pid", "uts"]


def _sh(mydocker: Command, script: str, *options: str) -> str:
    """The output of SCRIPT, which must succeed silently."""
    done = mydocker("run", *options, "alpine", "sh", "-c", script)
    assert (done.stderr, done.code) == (b"", 0), done
    return done.stdout.decode()


def _mounts(mydocker: Command, *options: str) -> dict[str, tuple[str, set[str]]]:
    """Mount point -> (file system type, options of the mount and of the file system)."""
    found = {}
    for line in _sh(mydocker, "cat /proc/self/mountinfo", *options).splitlines():
        left, _, right = line.partition(" - ")
        fstype, _, more = right.split(" ")
        found[left.split(" ")[4]] = (fstype, set(left.split(" ")[5].split(",")) | set(more.split(",")))
    return found


@pytest.mark.parametrize(
    ("options", "shared"),
    [
        ((), {"net"}),
        (("--network", "none"), set()),
        (("--network", "host"), {"net"}),
        (("--namespaces", "mount,pid"), {"cgroup", "ipc", "net", "uts"}),
    ],
)
def test_namespaces(alpine: Command, options: tuple[str, ...], shared: set[str]) -> None:
    links = _sh(alpine, " ".join(f"readlink /proc/self/ns/{name};" for name in NAMESPACES), *options).split()
    host = [os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES]
    assert {name for name, a, b in zip(NAMESPACES, links, host, strict=True) if a == b} == shared


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo $$", "1\n"),
        ("ps -o pid,comm | sed 1d | head -1", "    1 sh\n"),
        ("umask", "0022\n"),
        ("pwd", "/\n"),
        ("id -u; id -g", "0\n0\n"),
        ("cut -d' ' -f5,6 /proc/1/stat", "1 1\n"),  # process group and session leader
        ("ls /proc/1/fd; true", "0\n1\n2\n"),
        ("readlink /proc/self/fd/0", "/dev/null\n"),
        ("ls /sys/class/net", "lo\n"),
        ("cat /sys/class/net/lo/flags", "0x9\n"),  # up
        ("grep NoNewPrivs /proc/1/status", "NoNewPrivs:\t0\n"),
        ("cat /proc/keys /proc/timer_list; ls -A /sys/firmware", ""),
        ("cat /etc/alpine-release", "3.20.3\n"),
    ],
)
def test_seen_inside(alpine: Command, script: str, expected: str) -> None:
    assert _sh(alpine, script, "--network", "none") == expected


NO_SIGNALS = b"SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"


def test_signals_are_as_new(alpine: Command) -> None:
    """Read without a shell, which would change them."""
    assert alpine("run", "alpine", "grep", "-E", "Sig(Blk|Ign)", "/proc/1/status") == Result(NO_SIGNALS, b"", 0)


@pytest.mark.parametrize(
    ("options", "effective"),
    [((), "00000000a80425fb"), (("-u", "nobody"), "0000000000000000"), (("-u", "1000:1000"), "0000000000000000")],
)
def test_capabilities(alpine: Command, options: tuple[str, ...], effective: str) -> None:
    found = dict(line.split() for line in _sh(alpine, "grep ^Cap /proc/1/status", *options).splitlines())
    none = "0000000000000000"
    assert found == {
        "CapInh:": none,
        "CapPrm:": effective,
        "CapEff:": effective,
        "CapBnd:": "00000000a80425fb",
        "CapAmb:": none,
    }


MOUNTS = {
    "/": ("overlay", {"rw", "nodev"}),
    "/proc": ("proc", {"rw", "nosuid", "nodev", "noexec"}),
    "/dev": ("tmpfs", {"rw", "nosuid", "mode=755", "size=65536k"}),
    "/dev/pts": ("devpts", {"rw", "nosuid", "noexec", "gid=5", "mode=620", "ptmxmode=666"}),
    "/dev/shm": ("tmpfs", {"rw", "nosuid", "nodev", "noexec", "size=65536k"}),
    "/dev/mqueue": ("mqueue", {"rw", "nosuid", "nodev", "noexec"}),
    "/sys": ("sysfs", {"ro", "nosuid", "nodev", "noexec"}),
    "/proc/bus": ("proc", {"ro"}),
    "/proc/fs": ("proc", {"ro"}),
    "/proc/irq": ("proc", {"ro"}),
    "/proc/sys": ("proc", {"ro"}),
}


def test_mounts(alpine: Command) -> None:
    found = _mounts(alpine)
    for target, (fstype, options) in MOUNTS.items():
        assert found[target][0] == fstype
        assert options <= found[target][1], target


def test_no_mount_is_the_hosts(alpine: Command) -> None:
    expected = {*MOUNTS, "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/sys/fs/cgroup"}
    masked = {target for target in _mounts(alpine) if re.match("/proc/|/sys/|/dev/[^/]+$", target)}
    assert set(_mounts(alpine)) - masked <= expected


def test_mounts_do_not_reach_the_host(alpine: Command, tmp_path: pathlib.Path) -> None:
    """CAP_SYS_ADMIN is not given, so the check is of what mydocker itself mounts."""
    before = pathlib.Path("/proc/self/mountinfo").read_text()
    assert alpine("run", "-v", f"{tmp_path}:/mnt", "alpine", "true").code == 0
    assert pathlib.Path("/proc/self/mountinfo").read_text() == before


DEVICES = """\
fd -> /proc/self/fd
full 1:7 666
mqueue/
null 1:3 666
ptmx -> pts/ptmx
pts/
random 1:8 666
shm/
stderr -> /proc/self/fd/2
stdin -> /proc/self/fd/0
stdout -> /proc/self/fd/1
tty 5:0 666
urandom 1:9 666
zero 1:5 666
"""
LIST_DEVICES = """\
cd /dev; for x in *; do
    if [ -L $x ]; then echo "$x -> $(readlink $x)"
    elif [ -d $x ]; then echo $x/
    else echo $x $(stat -c '%t:%T %a' $x); fi
done"""


def test_devices(alpine: Command) -> None:
    assert _sh(alpine, LIST_DEVICES) == DEVICES
    assert _sh(alpine, "head -c 3 /dev/zero | wc -c; echo lost > /dev/null; stat -c %a /dev") == "3\n755\n"


@pytest.mark.parametrize("node", ["/tmp/zero c 1 5", "/tmp/disk b 8 0", "/root/null c 1 3"])
def test_a_device_node_of_its_own_opens_nothing(alpine: Command, node: str) -> None:
    """The root is nodev: MKNOD is granted as Docker grants it, and would else reach the host's disks."""
    path = node.split()[0]
    done = alpine("run", "alpine", "sh", "-c", f"mknod {node} && head -c1 {path}")
    expected = f"head: {path}: Permission denied\n".encode()
    assert done == Result(b"", expected, 1)


@pytest.mark.parametrize("path", ["/proc/sys/kernel/core_pattern", "/sys/kernel/notes"])
def test_the_kernels_switches_are_read_only(alpine: Command, path: str) -> None:
    done = alpine("run", "alpine", "sh", "-c", f"echo x > {path}")
    assert b"Read-only file system" in done.stderr
    assert done.code != 0


def test_hostname(alpine: Command) -> None:
    assert _sh(alpine, "hostname; cat /etc/hostname; echo $HOSTNAME", "-h", "box") == "box\nbox\nbox\n"
    [ours] = set(_sh(alpine, "hostname; cat /etc/hostname; echo $HOSTNAME").split())
    assert re.fullmatch("[0-9a-f]{12}", ours)


def test_names_resolve(alpine: Command) -> None:
    """With a network of its own /etc/hosts knows localhost and the container; with the host's it is the host's."""
    hosts = _sh(alpine, "cat /etc/hosts", "--network", "none", "-h", "box").splitlines()
    assert ["127.0.0.1", "localhost"] in [line.split()[:2] for line in hosts]
    assert any("box" in line.split() for line in hosts)
    resolvers = [line for line in pathlib.Path("/etc/resolv.conf").read_text().splitlines() if "nameserver" in line]
    assert [line for line in _sh(alpine, "cat /etc/resolv.conf").splitlines() if "nameserver" in line] == resolvers


def test_environment_is_clean(alpine: Command) -> None:
    """Nothing of the host passes but what is asked for."""
    done = alpine("run", "-h", "box", "alpine", "env", env={"PYTHONPATH": "/nowhere", "SECRET": "1"})
    assert set(done.stdout.decode().split()) == {f"PATH={PATH}", "HOME=/root", "HOSTNAME=box"}


def test_a_caller_with_odd_habits_leaves_no_mark(alpine: Command) -> None:
    """SIGCHLD ignored, signals blocked, an umask, extra descriptors: a container starts clean all the same."""
    odd = [
        "python3", "-c",
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); signal.signal(15, signal.SIG_IGN);"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [2, 15, 17]); os.umask(0o77); fd = os.open('/etc', 0);"
        "os.dup2(fd, 9); os.set_inheritable(9, True); os.execv(sys.argv[1], sys.argv[1:])",
    ]  # fmt: skip
    run = Command(alpine.program, alpine.environment, alpine.directory, odd, alpine.store)
    assert run("run", "alpine", "sh", "-c", "umask; ls /proc/1/fd; true") == Result(b"0022\n0\n1\n2\n", b"", 0)
    assert run("run", "alpine", "grep", "-E", "Sig(Blk|Ign)", "/proc/1/status") == Result(NO_SIGNALS, b"", 0)


def test_nothing_is_left_behind(alpine: Command) -> None:
    processes = {name for name in os.listdir("/proc") if name.isdigit()}
    assert alpine("run", "alpine", "sh", "-c", "sleep 1000 & echo x > /etc/x").code == 0
    assert os.listdir(alpine.store / "containers") == []
    for name in {name for name in os.listdir("/proc") if name.isdigit()} - processes:
        assert b"sleep\0001000" not in _cmdline(name)


def _cmdline(process: str) -> bytes:
    try:
        return pathlib.Path("/proc", process, "cmdline").read_bytes()
    except OSError:
        return b""
