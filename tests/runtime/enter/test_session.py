"""Commands executed in running containers: what they have, what they may do, and what they hold."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lab import busybox
from lab.command import Command
from lab.oci import Program, layer
from lab.processes import sleeping, within
from lab.registry import Registry
from lab.terminal import screen, start_at

root = pytest.mark.root
rootless = pytest.mark.rootless

# what a process has of its container's isolation
REPORT = (
    "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:|Umask)' /proc/self/status; cat /proc/self/oom_score_adj; "
    "ulimit -n; for each in mnt pid uts ipc net user cgroup; do readlink /proc/self/ns/$each; done; "
    "cut -d: -f2- /proc/self/cgroup; pwd; ls -di /"
)
WAIT = "echo ready; read line || sleep 3600"
TABLE = {
    "plain": (),
    "init": ("--init",),
    "terminal": ("-t",),
    "host's processes": ("--pid", "host"),
    "host's processes, traced": ("--pid", "host", "--cap-add", "SYS_PTRACE"),
    "host's network": ("--network", "host"),
    "no network": ("--network", "none"),
    "read-only": ("--read-only",),
    "user": ("--user", "1000:1001", "--group-add", "5"),
    "no capabilities": ("--cap-drop", "ALL"),
    "no new privileges": ("--security-opt", "no-new-privileges"),
    "traced": ("--cap-add", "SYS_PTRACE"),
    "traced, user": ("--cap-add", "SYS_PTRACE", "--user", "1000"),
    "everything": ("--privileged",),
    "no filter": ("--security-opt", "seccomp=unconfined"),
    "limits": ("--ulimit", "nofile=77:99", "--oom-score-adj", "300", "-w", "/tmp"),
    "cgroup": ("--pids-limit", "50", "--memory", "200m"),
}
OF_ORDINARY_USERS = ("plain", "init", "terminal", "host's network", "read-only", "no capabilities", "traced", "limits")


@contextmanager
def running(
    mydocker: Command, *options: str, name: str, image: str = "alpine", script: str = WAIT
) -> Iterator[list[str]]:
    """A container called NAME; what it had written when it was ready."""
    words = ("run", *([] if "-t" in options else ["-i"]), "--name", name, *options, image, "sh", "-c", script)
    process = mydocker.start(*words)
    try:
        assert process.stdout and process.stdin
        lines = []
        while (line := process.stdout.readline().decode().rstrip("\r\n")) != "ready":
            assert line or process.poll() is None, process.stderr and process.stderr.read()
            lines.append(line)
        yield lines
    finally:
        process.terminate()
        process.communicate(timeout=240)


def _same(mydocker: Command, row: str, name: str) -> None:
    with running(mydocker, *TABLE[row], name=name, script=f"{REPORT}; {WAIT}") as own:
        done = mydocker("exec", name, "sh", "-c", REPORT)
    assert done.code == 0, done
    assert done.stdout.decode().replace("\r", "").splitlines() == own and len(own) > 15


@root
@pytest.mark.parametrize("row", TABLE)
def test_it_has_the_isolation_of_the_container(alpine: Command, row: str) -> None:
    _same(alpine, row, f"walled-{[*TABLE].index(row)}")


@rootless
@pytest.mark.parametrize("row", OF_ORDINARY_USERS)
def test_and_of_an_ordinary_user_s(second_user: Command, row: str) -> None:
    _same(second_user, row, "walled")


def _streams(mydocker: Command) -> None:
    with running(mydocker, name="streams"):
        data = bytes(range(256)) * 4096
        done = mydocker("exec", "-i", "streams", "sh", "-c", "cat; echo over >&2", input=data)
        assert (done.stdout, done.stderr, done.code) == (data, b"over\n", 0)
        assert mydocker("exec", "streams", "cat", input=b"unread").stdout == b""
        shown = mydocker("exec", "-e", "A=1", "-w", "/etc", "streams", "sh", "-c", "pwd; env", env={"TOKEN": "x"})
        assert b"/etc\n" in shown.stdout and b"A=1\n" in shown.stdout and b"TOKEN" not in shown.stdout
        bare = mydocker("exec", "-e", "HOSTNAME", "-e", "TOKEN", "streams", "sh", "-c", "env", env={"TOKEN": "x"})
        assert b"TOKEN=x\n" in bare.stdout and b"HOSTNAME" not in bare.stdout
        assert mydocker("exec", "streams", "sh", "-c", "ls /proc/self/fd").stdout == b"0\n1\n2\n3\n"
        user = mydocker("exec", "-u", "1000", "streams", "sh", "-c", "id -u; echo $HOME; grep CapEff /proc/self/status")
        assert user.stdout.split() == [b"1000", b"/", b"CapEff:", b"0" * 16] or user.code == 125


@root
def test_streams_and_environment(alpine: Command) -> None:
    _streams(alpine)


@rootless
def test_streams_and_environment_of_an_ordinary_user(second_user: Command) -> None:
    _streams(second_user)


@root
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("codes", "sh", "-c", "exit 7"), 7, ""),
        (("codes", "sh", "-c", "kill -TERM $$"), 143, ""),
        (("codes", "nonesuch"), 127, "executable file not found"),
        (("codes", "/etc/passwd"), 126, "permission denied"),
        (("-w", "/nonesuch", "codes", "true"), 126, "working directory /nonesuch in the container: No such file"),
        (("-w", "/proc/self/fd/9", "codes", "true"), 126, "working directory"),
        (("-w", "here", "codes", "true"), 126, "expected an absolute path"),
        (("-u", "nobody9", "codes", "true"), 126, "unable to find user 'nobody9'"),
        (("-d", "codes", "nonesuch"), 127, "executable file not found"),
        (("--privileged=false", "codes", "true"), 0, ""),
        (("--privileged", "codes", "true"), 125, "--privileged is not supported"),
        ((), 1, "no container"),
        (("codes",), 1, "no command"),
        (("nonesuch-container", "true"), 1, "no such container: nonesuch-container"),
        (("-it", "codes", "true"), 1, "the input device is not a TTY"),
    ],
)
def test_exit_codes(alpine: Command, words: tuple[str, ...], code: int, message: str) -> None:
    name = f"codes-{abs(hash(words))}"
    with running(alpine, name=name):
        done = alpine("exec", *(name if word == "codes" else word for word in words))
    assert done.code == code and message in done.stderr.decode() and b"Traceback" not in done.stderr, done
    assert bool(message) == bool(done.stderr)


@root
@pytest.mark.parametrize("options", [(), ("--init",), ("--pid", "host"), ("--cap-add", "SYS_PTRACE")])
def test_a_terminal(alpine: Command, options: tuple[str, ...]) -> None:
    name = f"tty-{len(options)}-{len(''.join(options))}"
    with running(alpine, *options, name=name), screen(rows=33, columns=77) as at:
        process = start_at(at, alpine, "exec", "-it", name, "sh")
        at.type(b"echo $((40+2)) $(tty) $TERM; stty size\n")
        at.until(rb"42 /dev/pts/\d+ xterm\r\n33 77\r\n")
        at.resize(20, 50)
        assert within(
            20, lambda: at.type(b"stty size\n") is None and bool(at.until(rb"(20 50|33 77)\r\n")[1] == b"20 50")
        )
        at.type(b"trap 'echo stopped' INT; echo it$((40+2)); sleep 600 & wait\n")
        at.until(rb"it42\r\n")
        at.type(b"\x03")
        at.until(rb"\^C")
        for seconds in (1, 4, 16, 64):  # the first one may have come before `wait`
            at.type(b"exit 5\n")
            if within(seconds, lambda: process.poll() is not None):
                break
            at.type(b"\x03")
        assert process.returncode == 5  # though the sleep has the terminal open


@root
def test_all_that_a_terminal_gets_is_shown(alpine: Command) -> None:
    with running(alpine, name="tty-whole"), screen() as at:
        script = "sleep 600 & seq 20000; printf end"
        process = start_at(at, alpine, "exec", "-t", "tty-whole", "sh", "-c", script)
        shown = at.until(rb"end$")
        assert process.wait(100) == 0
    lines = shown.string.replace(b"\r", b"").splitlines()
    assert lines == [*(b"%d" % number for number in range(1, 20001)), b"end"]


@root
@pytest.mark.parametrize("options", [(), ("--init",), ("--pid", "host")])
def test_it_ends_with_its_container(alpine: Command, options: tuple[str, ...]) -> None:
    mark = f"36{os.getpid()}{len(options)}{len(''.join(options))}"
    name = f"ends-{mark}"
    with running(alpine, *options, name=name):
        process = alpine.start("exec", name, "sh", "-c", f"sleep {mark} & exec sleep {mark}")
        detached = alpine("exec", "-d", name, "sh", "-c", f"sleep {mark} & exec sleep {mark}")
        assert (detached.code, detached.stdout, detached.stderr) == (0, b"", b"")
        assert within(100, lambda: len(sleeping(mark)) == 4)
    process.communicate(timeout=240)
    assert process.returncode == 137
    assert within(100, lambda: sleeping(mark) == [])


@root
def test_a_sudden_death_leaves_the_command(alpine: Command) -> None:
    """As Docker leaves it: it goes on, whatever it writes, until the container ends."""
    mark = f"37{os.getpid()}"
    with running(alpine, name=f"left-{mark}"):
        script = f"while :; do cat /bin/busybox; sleep {mark}.0; done & sleep {mark}; cat /bin/busybox; touch /over"
        process = alpine.start("exec", "-i", f"left-{mark}", "sh", "-c", script)
        assert within(100, lambda: len(sleeping(mark)) == 1)
        process.kill()
        process.communicate(timeout=240)
        time.sleep(0.2)
        [pid] = sleeping(mark)
        os.kill(pid, signal.SIGKILL)
        assert within(100, lambda: alpine("exec", f"left-{mark}", "ls", "/over").code == 0)
    assert within(100, lambda: sleeping(mark) == [])


@root
def test_signals_are_passed_on(alpine: Command) -> None:
    mark = f"38{os.getpid()}"
    with running(alpine, name=f"signals-{mark}"):
        script = f"trap 'echo got; exit 3' TERM; sleep {mark} & wait"
        process = alpine.start("exec", f"signals-{mark}", "sh", "-c", script)
        assert within(100, lambda: len(sleeping(mark)) == 1)
        time.sleep(0.2)
        process.terminate()
        out, _ = process.communicate(timeout=240)
        assert (out, process.returncode) == (b"got\n", 3)


@root
def test_a_filter_without_fork_still_executes(alpine: Command, tmp_path: pathlib.Path) -> None:
    """What mydocker does itself is not filtered, but for execve(2)."""
    profile = tmp_path / "profile.json"
    profile.write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", '
        '"syscalls": [{"names": ["setsid", "setpgid"], "action": "SCMP_ACT_ERRNO"}]}'
    )
    with running(alpine, "--security-opt", f"seccomp={profile}", name="narrow"):
        assert alpine("exec", "narrow", "echo", "hi").stdout == b"hi\n"


SECRET = "xyzzySECRETofthehost"
HALVES = f"{SECRET[:9]},{SECRET[9:]}"


@pytest.fixture
def catcher(taker: pathlib.Path, tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> None:
    program = tmp_path_factory.mktemp("catch") / "catch"
    source = pathlib.Path(__file__).parents[2] / "lab" / "catch.c"
    subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Wno-unused-result", "-o", program, source], check=True)
    programs = {"catch": Program(program.read_bytes()), "take-over": Program(taker.read_bytes())}
    registry.push(busybox.alpine(layer(programs)), "hostile/catcher")


def _caught(mydocker: Command, *options: str) -> list[list[str]]:
    """What the container takes of a command of exec that it has stopped before it is executed."""
    process = mydocker.start("run", "--name", "catcher", *options, "hostile/catcher", "/catch", HALVES)
    try:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        lines: list[str] = []
        while "caught" not in lines:
            lines.clear()
            done = mydocker("exec", "catcher", "true", env={"TOKEN": SECRET})
            assert done.code == 0, done
            while (lines or [""])[-1] not in ("caught", "missed"):
                lines.append(process.stdout.readline().decode().strip())
    finally:
        process.kill()
        process.communicate()
    return [line.split(" ", 3)[1:] for line in lines[:-2] if not line.startswith("1 ")]


@root
@pytest.mark.usefixtures("catcher")
@pytest.mark.parametrize("options", [("--cap-add", "SYS_PTRACE"), ("--privileged",), ()])
def test_nothing_of_the_host_s_can_be_taken(alpine: Command, options: tuple[str, ...]) -> None:
    taken = _caught(alpine, *options)
    assert ["command", "mydocker-exec"] in taken
    kinds = {kind for kind, *_ in taken}
    if not options:
        assert kinds == {"command", "capabilities"}
    assert not kinds & {"escape", "memory", "environment"}
    assert not [path for kind, path, *_ in taken if kind == "writable" and path.endswith("/exe")]
    descriptors = {re.sub(r"\d+", "N", " ".join(rest)) for kind, _, *rest in taken if kind in ("descriptor", "fd")}
    assert descriptors <= {"pipe:[N]", "/", "/dev/null", "anon_inode:[pidfd]"}
    [capabilities] = {rest[0] for kind, *rest in taken if kind == "capabilities"}
    mask = int(capabilities, 16)
    assert options == ("--privileged",) or not mask >> 21 & 1 or not options  # CAP_SYS_ADMIN, to load the filter
