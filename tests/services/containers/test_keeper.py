"""The keeper of a container in the background: what it holds, who reaches it, and what its death leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import pwd
import re
import select
import signal
import socket
import stat
import subprocess
import time
from dataclasses import replace

import pytest
from lab.command import Command, entered_as
from lab.processes import within

root = pytest.mark.root
rootless = pytest.mark.rootless

STAYS = ("alpine", "sh", "-c", "echo begun; while :; do sleep 1000; done")
OWN_MEMORY = 12 << 20  # bytes


def run(mydocker: Command, name: str, *arguments: str) -> pathlib.Path:
    """Start a container that stays, as the installed command does: its directory."""
    done = replace(mydocker, forks=False)("run", "-d", "--name", name, *(arguments or STAYS))
    assert done.code == 0, done
    return mydocker.store / "background" / done.stdout.decode()[:12]


def keeper(directory: pathlib.Path) -> int:
    return int(json.loads((directory / "state").read_text())["keeper"])


def field(mydocker: Command, name: str, template: str) -> str:
    done = mydocker("inspect", "-f", template, name)
    assert done.code == 0, done
    return done.stdout.decode().strip()


def cleanup_process(pid: int) -> int:
    """The child of the keeper PID that is no container."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    [found] = [int(child) for child in children if b"mydocker" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes()]
    return found


def own_memory(pid: int) -> int:
    """Bytes that belong to process PID alone, with its share of what others have as well."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[1]) << 10  # type: ignore[index]  # it is there


@root
def test_what_it_has_of_its_caller(kept: Command, tmp_path: pathlib.Path) -> None:
    """Neither descriptors, nor the directory, the session, the mask or ignored signals."""
    with open(tmp_path / "file", "w") as file:
        pipe = os.pipe()
        started = subprocess.run(
            ["sh", "-c", 'umask 077; trap "" HUP; exec "$@"', "-", *kept.argv("run", "-d", "--name", "own", *STAYS)],
            env=dict(kept.environment),
            cwd=tmp_path,
            pass_fds=(file.fileno(), *pipe),
            capture_output=True,
            timeout=240,
        )
        assert started.returncode == 0, started
    directory = kept.store / "background" / started.stdout.decode()[:12]
    pid = keeper(directory)
    links = []
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # one of the start, which it has closed meanwhile
            links.append(os.readlink(link))
    own = re.compile(rf"/dev/null|socket:.*|pipe:.*|anon_inode:.*|{kept.store}.*|/|[a-z]+:\[\d+\]|/sys/fs/cgroup.*")
    assert not [link for link in links if not own.fullmatch(link)], links
    assert {f"pipe:[{os.fstat(end).st_ino}]" for end in pipe}.isdisjoint(links)
    for end in pipe:
        os.close(end)
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    assert status["Umask"] == "0022" and status["Threads"] == "1"
    assert os.getsid(pid) not in (os.getsid(0), 0) and os.getsid(pid) != int(status["PPid"])
    assert pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"mydocker-keeper own")
    in_container = kept("exec", "own", "sh", "-c", "umask; ls /proc/1/fd; grep SigIgn /proc/1/status").stdout.split()
    assert in_container[0] == b"0022" and in_container[1:4] == [b"0", b"1", b"2"]


@root
def test_its_memory(kept: Command) -> None:
    directory = run(kept, "small")
    pid = keeper(directory)
    assert within(200, lambda: kept("logs", "small").stdout == b"begun\n")
    for process in (pid, cleanup_process(pid)):
        assert own_memory(process) < OWN_MEMORY


@root
def test_its_memory_stays_the_same_whatever_the_container_writes(kept: Command) -> None:
    script = "head -c 30000000 /dev/zero; head -c 30000000 /dev/urandom; echo; echo done >&2; sleep 1000"
    options = ("--log-opt", "max-size=1m", "--log-opt", "max-file=2", "alpine")
    directory = run(kept, "flood", *options, "sh", "-c", script)
    assert within(200, lambda: b"done\n" in kept("logs", "--tail", "5", "flood").stderr)
    assert own_memory(keeper(directory)) < OWN_MEMORY
    assert sum(path.stat().st_size for path in (directory / "logs").iterdir()) <= 2_000_000


def _sleeps(directory: pathlib.Path) -> None:
    pid = keeper(directory)

    def turns() -> list[str]:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return re.findall(r"ctxt_switches:\s+(\d+)", status)

    def is_quiet() -> bool:
        before = turns()
        time.sleep(3)
        return turns() == before

    assert within(200, is_quiet)  # the start may not have been over


@root
@pytest.mark.parametrize("options", [(), ("-t",), ("-i",), ("-it",)])
def test_it_sleeps_while_nothing_happens(kept: Command, options: tuple[str, ...]) -> None:
    """Also where the container has closed its terminal."""
    command = ("sh", "-c", "exec sleep 1000 <&- >&- 2>&-")
    directory = run(kept, "asleep", *options, "alpine", *command)
    _sleeps(directory)


@root
def test_it_has_no_zombies(kept: Command) -> None:
    directory = run(kept, "tidy")
    for _ in range(3):
        assert kept("exec", "tidy", "true").code == 0
    pid = keeper(directory)
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(children) == 2
    assert not [child for child in children if "State:\tZ" in pathlib.Path(f"/proc/{child}/status").read_text()]


def _kill(pid: int) -> None:
    """Kill process PID; return once it has ended, a moment after the signal."""
    watch = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([watch], [], [])
    os.close(watch)


def _killed(mydocker: Command, *, both: bool) -> None:
    directory = run(mydocker, "victim")
    pid, first = keeper(directory), int(field(mydocker, "victim", "{{.State.Pid}}"))
    waiting = mydocker.start("wait", "victim")
    following = mydocker.start("logs", "-f", "victim")
    assert following.stdout and following.stdout.readline() == b"begun\n"
    other = cleanup_process(pid)
    _kill(pid)
    if both:
        _kill(other)
    assert field(mydocker, "victim", "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}") == "exited 137 0"
    assert mydocker("ps", "-q").stdout == b""
    assert waiting.communicate(timeout=240) == (b"137\n", b"") and waiting.returncode == 0
    assert following.communicate(timeout=240)[0] == b""
    assert mydocker("logs", "victim").stdout == b"begun\n" and mydocker("wait", "victim").stdout == b"137\n"
    assert mydocker("stop", "victim").code == 0 and mydocker("kill", "victim").code == 1
    assert within(200, lambda: not pathlib.Path(f"/proc/{first}").exists())
    started = mydocker("start", "victim")
    assert started.code == 0, started
    assert field(mydocker, "victim", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}") == "running 0"
    assert mydocker("exec", "victim", "true").code == 0


@root
@pytest.mark.parametrize("both", [False, True])
def test_a_keeper_that_is_killed(kept: Command, both: bool) -> None:
    """Every command says so at once, and the container is gone soon."""
    _killed(kept, both=both)


@root
def test_one_to_be_removed_whose_keeper_is_killed_is_gone(kept: Command) -> None:
    directory = run(kept, "brief", "--rm", *STAYS)
    os.kill(keeper(directory), signal.SIGKILL)
    assert within(200, lambda: kept("ps", "-aq").stdout == b"") and not directory.exists()
    run(kept, "brief")


@root
def test_a_command_that_is_killed_while_it_starts_one_leaves_nothing_half_done(kept: Command) -> None:
    for tenth in range(12):
        process = kept.start("run", "-d", "--name", f"k{tenth}", *STAYS)
        time.sleep(tenth * 0.04)
        process.kill()
        process.communicate(timeout=240)
    run(kept, "after")
    for name in kept("ps", "-a", "--format", "{{.Names}}").stdout.decode().split():
        assert field(kept, name, "{{.State.Status}}") in ("created", "running")
        assert kept("rm", "-f", name).code == 0
    directory = kept.store / "background"
    assert [path.name for path in directory.iterdir()] == ["names"]
    assert within(200, lambda: not list((kept.store / "containers").iterdir()))


@root
def test_a_keeper_that_was_stopped_holds_up_no_command_for_ever(kept: Command) -> None:
    pids = [keeper(run(kept, name)) for name in ("frozen", "removed")]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        commands = [("stop", "frozen"), ("kill", "frozen"), ("attach", "frozen"), ("wait", "frozen")]
        running = [kept.start(*command) for command in commands]
        with kept.start("rm", "-f", "removed") as removal:
            assert field(kept, "frozen", "{{.State.Status}}") == "running" and kept("logs", "frozen").code == 0
            for process in running:
                _, complaint = process.communicate(timeout=240)
                assert process.returncode in (1, 125) and b"the keeper of the container does not answer" in complaint
            assert removal.communicate(timeout=240) == (b"removed\n", b"") and removal.returncode == 0
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    assert kept("rm", "-f", "frozen").code == 0


@root
def test_a_socket_that_was_left_behind(kept: Command) -> None:
    directory = run(kept, "stale")
    assert kept("stop", "-t", "0", "stale").code == 0
    left = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    (directory / "control").unlink()
    left.bind(f"/proc/self/fd/{os.open(directory, os.O_PATH)}/control")
    left.close()
    for command, code in (("stop", 0), ("wait", 0), ("kill", 1), ("attach", 1), ("start", 0), ("stop", 0)):
        assert kept(command, "stale").code == code, command


@root
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "config.json").write_text("{"),
        lambda path: (path / "config.json").unlink(),
        lambda path: (path / "config.json").write_text('{"": "ContainerConfig", "id": "x", "later": 1}'),
        lambda path: (path / "state").write_text("[" * 100_000),
        lambda path: (path / "state").write_bytes(b"\xff" * 100),
        lambda path: (path / "state").unlink(),
    ],
)
def test_a_damaged_container_is_listed_and_can_be_removed(kept: Command, damage) -> None:  # type: ignore[no-untyped-def]
    directory = run(kept, "hurt", "alpine", "true")
    assert kept("wait", "hurt").code == 0
    damage(directory)
    assert kept("ps", "-a", "--format", "{{.Names}} {{.Status}}").stdout == b"hurt Dead\n"
    started = kept("start", "hurt")
    assert started.code == 1 and b"rm -f" in started.stderr
    assert kept("run", "-d", "--name", "hurt", "alpine", "true").code != 0
    assert kept("rm", "-f", "hurt").stdout == b"hurt\n" and not directory.exists()
    run(kept, "hurt")


@root
def test_nobody_else_reaches_it(kept: Command, user: pwd.struct_passwd) -> None:
    directory = run(kept, "closed")
    for path in (kept.store / "background", directory, directory / "logs", kept.store / "background" / "names"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    connect = f"import socket; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect('{directory}/control')"
    for prefix in (entered_as(user), [*entered_as(user), "unshare", "-Ur"]):
        tried = subprocess.run([*prefix, "python3", "-c", connect], capture_output=True, cwd="/", timeout=240)
        assert tried.returncode != 0


@root
def test_what_is_no_request_is_refused(kept: Command) -> None:
    directory = run(kept, "asked")
    handle = os.open(directory, os.O_PATH)
    requests = [b"x", b"[]", b"{}", b"1", b'{"do": []}', b'{"do": "other"}', b"[" * 60_000, b"\xff"]
    requests += [b'{"do": "kill", "signal": "x"}', b'{"do": "kill", "signal": 9999}', b'{"do": "kill", "signal": -1}']
    requests += [b'{"do": "stop", "timeout": "x"}', b'{"do": "stop", "signal": [1]}', b'{"do": "stop", "signal": 1e99}']
    for request in requests:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(240)
            connection.connect(f"/proc/self/fd/{handle}/control")
            connection.send(request)
            assert "refused" in json.loads(connection.recv(1 << 16)), request
    os.close(handle)
    assert field(kept, "asked", "{{.State.Status}}") == "running"


@root
def test_a_full_disk(kept: Command, tmp_path: pathlib.Path) -> None:
    """Where the store is full, what becomes of the container is written down all the same."""
    directory = run(kept, "full", "alpine", "sh", "-c", "trap 'exit 5' TERM; while :; do echo line; sleep 0.05; done")
    logs = directory / "logs"
    assert within(200, lambda: kept("logs", "full").stdout != b"")  # its trap is set
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", logs], check=True)
    try:
        with open(logs / "filler", "wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(b"x" * 4096)
        assert kept("stop", "full").code == 0
        assert field(kept, "full", "{{.State.Status}} {{.State.ExitCode}}") == "exited 5"
        assert kept("logs", "full").code == 0
    finally:
        subprocess.run(["umount", logs], check=True)


@root
def test_two_commands_at_once(kept: Command) -> None:
    """Each ends, and what they leave is one of the two orders."""
    for first, second in (
        (("start",), ("rm", "-f")),
        (("stop",), ("stop",)),
        (("start",), ("start",)),
        (("rm", "-f"),) * 2,
    ):
        run(kept, "pair", "alpine", "sh", "-c", "sleep 1000")
        if first == ("start",):
            assert kept("stop", "pair").code == 0
        both = [kept.start(*words, "pair") for words in (first, second)]
        for process in both:
            out, complaint = process.communicate(timeout=240)
            assert process.returncode == 0 or (process.returncode == 1 and b"pair" in complaint), (
                first,
                out,
                complaint,
            )
        left = kept("ps", "-a", "--format", "{{.State}}").stdout
        if second == ("rm", "-f"):
            assert left == b""
        else:
            assert left == (b"exited\n" if first == ("stop",) else b"running\n")
        kept("rm", "-f", "pair")


@root
def test_many_containers_at_once(kept: Command) -> None:
    started = [kept.start("run", "-d", "--network", "none", *STAYS) for _ in range(20)]
    for process in started:
        out, complaint = process.communicate(timeout=240)
        assert process.returncode == 0, complaint
    ids = kept("ps", "-q").stdout.decode().split()
    assert len(ids) == 20
    stopped = kept("stop", "-t", "0", *ids, timeout=240)
    assert stopped.code == 0 and kept("ps", "-q").stdout == b""
