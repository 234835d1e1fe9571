"""`run -t` on a real terminal: its size, its modes, its shell's job control, its end; and much of both directions."""

from __future__ import annotations

import hashlib
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from lab.command import Command
from lab.overtime import enough
from lab.processes import sleeping, wait_for, within
from lab.terminal import Screen, screen, shell_at, start_at

pytestmark = pytest.mark.root


@pytest.fixture
def at() -> Iterator[Screen]:
    with screen(rows=33, columns=77) as opened:
        yield opened


def test_the_size_is_there_from_the_start(alpine: Command, at: Screen) -> None:
    """Also for a command that asks at once, which it may do before we have the other side of its terminal."""
    for _ in range(8):
        process = start_at(at, alpine, "run", "-it", "alpine", "stty", "size")
        assert at.until(rb"(\d+ \d+)\r\n")[1] == b"33 77"
        assert process.wait(timeout=100) == 0


def test_a_new_size_is_passed_on(alpine: Command, at: Screen) -> None:
    script = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done"
    process = start_at(at, alpine, "run", "-it", "alpine", "sh", "-c", script)
    at.until(b"ready\r\n")
    at.resize(44, 111)
    at.until(b"44 111\r\n")
    assert process.wait(timeout=100) == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("alpine", "sh", "-c", "exit 3"), 3),
        (("alpine", "no-such-command"), 127),
        (("-v", "/no/such/source:/mnt", "alpine", "true"), 125),
        (("--timeout", "300ms", "--stop-timeout", "0", "alpine", "sleep", "60"), 124),
        (("alpine", "sh", "-c", "stty raw -echo; exit 4"), 4),
    ],
)
def test_the_modes_are_restored(alpine: Command, at: Screen, words: tuple[str, ...], code: int) -> None:
    before = at.modes()
    assert start_at(at, alpine, "run", "-it", *words).wait(timeout=100) == code
    assert at.modes() == before


def test_much_is_typed_and_echoed(alpine: Command, at: Screen) -> None:
    """More than a terminal holds, in both directions at once."""
    text = b"".join(b"%07d\n" % number for number in range(30_000))
    process = start_at(at, alpine, "run", "-it", "alpine", "sh", "-c", f"echo ready; head -c {len(text)} | md5sum")
    at.until(b"ready\r\n")
    at.type(text)
    assert at.until(rb"([0-9a-f]{32})  -\r\n")[1] == hashlib.md5(text).hexdigest().encode()
    assert process.wait(timeout=100) == 0


@pytest.mark.parametrize("command", [("cat",), ("sleep", "1000")])
def test_much_is_typed_and_nobody_looks(alpine: Command, command: tuple[str, ...]) -> None:
    """Neither a command that reads nothing nor a screen that takes nothing holds up the end."""

    def attempt(seconds: int) -> tuple[int, int, bool]:
        """What was taken, the exit code, and whether it went on until then."""
        limits = ("--timeout", f"{2 + seconds}s", "--stop-timeout", "1s")
        with screen() as at:
            process = start_at(at, alpine, "run", "-it", *limits, "alpine", *command)
            wait_for(lambda: at.is_raw() or process.poll() is not None)
            taken, goes_on = at.stuff(1_000_000), process.poll() is None
            return taken, process.wait(timeout=200), goes_on

    taken, code, went_on = enough(attempt, lambda done: done[2])
    assert taken < 1_000_000 and code == 124 and went_on


def test_it_can_be_stopped_while_nobody_looks(alpine: Command, at: Screen) -> None:
    process = start_at(at, alpine, "run", "-it", "--stop-timeout", "1s", "alpine", "yes")
    at.until(b"y\r\ny\r\n")
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=100) == 128 + signal.SIGKILL


def test_output_that_is_not_taken_does_not_outlast_the_time(alpine: Command) -> None:
    before = time.monotonic()
    with alpine.start("run", "-t", "--timeout", "1s", "--stop-timeout", "500ms", "alpine", "yes") as process:
        assert process.wait(timeout=100) == 124
        assert time.monotonic() - before >= 1.5
        assert process.stderr and process.stderr.read() == b""


@pytest.mark.parametrize("words", [(), ("--timeout", "1000s")])
def test_a_slow_reader_gets_all(alpine: Command, words: tuple[str, ...]) -> None:
    with alpine.start("run", "-t", *words, "alpine", "seq", "60000") as process:
        time.sleep(1.5)
        assert process.stdout
        assert process.stdout.read() == b"".join(b"%d\r\n" % number for number in range(1, 60_001))
        assert process.wait(timeout=100) == 0


def test_a_reader_that_leaves_hangs_up(alpine: Command) -> None:
    """`mydocker run -t alpine yes | head -1`."""
    with alpine.start("run", "-t", "alpine", "yes") as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == b"y\r\n"
        process.stdout.close()
        assert process.wait(timeout=100) == 1  # what yes says to a terminal that takes nothing
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("path", "mode", "reason"),
    [("/dev/full", os.O_WRONLY, b"No space left on device"), ("/dev/null", os.O_RDONLY, b"Bad file descriptor")],
)
@pytest.mark.parametrize("script", ["echo x; exit 3", "trap '' HUP; yes"])
def test_output_that_cannot_be_written_is_an_error(
    alpine: Command, path: str, mode: int, reason: bytes, script: str
) -> None:
    """It is the container's output that has no room: nothing is said about the host's own disk."""
    target = os.open(path, mode)
    try:
        process = alpine.start("run", "-t", "alpine", "sh", "-c", script, stdin=subprocess.DEVNULL, stdout=target)
        _, error = process.communicate(timeout=240)
    finally:
        os.close(target)
    assert (process.returncode, error) == (125, b"mydocker: cannot write the container's output: " + reason + b"\n")


def test_our_streams_stay_blocking(alpine: Command, at: Screen) -> None:
    """They are our caller's as well, who does not expect EAGAIN."""
    assert start_at(at, alpine, "run", "-it", "alpine", "true").wait(timeout=100) == 0
    assert os.get_blocking(at.slave)
    read, write = os.pipe()
    subprocess.run(alpine.argv("run", "-t", "alpine", "true"), stdout=write, env=dict(alpine.environment), check=True)
    assert os.get_blocking(write)
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("options", ["-it", "-t", ""])
def test_a_closed_terminal_ends_the_container(alpine: Command, options: str) -> None:
    """Nobody can come back to it. PID 1 ignores SIGHUP, so that it takes the grace."""
    mark = f"7{time.monotonic_ns() % 10**8:08}"
    with screen() as at:
        words = ["run", *options.split(), "--stop-timeout", "500ms", "alpine", "sleep", mark]
        process = start_at(at, alpine, *words)
        assert within(100, lambda: bool(sleeping(mark)))
    assert process.wait(timeout=100) == 128 + signal.SIGKILL
    assert sleeping(mark) == [] and os.listdir(alpine.store / "containers") == []


def test_a_hangup_that_the_caller_has_foreseen(alpine: Command, tmp_path: pathlib.Path) -> None:
    """nohup(1): the container goes on without a terminal."""
    with screen() as at:
        nohup = Command(alpine.program, alpine.environment, alpine.directory, ["setsid", "-c", "nohup"], alpine.store)
        script = "touch /gate/begun; until [ -e /gate/open ]; do sleep 0.05; done; exit 6"
        words = ("run", "--stop-timeout", "200ms", "-v", f"{tmp_path}:/gate", "alpine", "sh", "-c", script)
        process = nohup.start(*words, stdin=at.slave, stdout=at.slave, stderr=at.slave)
        assert within(100, (tmp_path / "begun").exists)
    time.sleep(1)  # for what a hangup might do
    (tmp_path / "open").touch()
    assert process.wait(timeout=100) == 6


# a shell knows a moment after its job that this has stopped
AWAIT_STOP = b"until jobs | grep -q Stopped; do sleep 0.05; done; jobs\n"
STOPPED = rb"\[1\]\+ +Stopped"


def test_a_job_in_the_background_waits_for_the_foreground(alpine: Command, at: Screen) -> None:
    """It neither takes the shell's terminal nor its input, as no job does (SIGTTOU, SIGTTIN)."""
    shell = shell_at(at, alpine)
    at.until(b"ready> ")
    before = at.modes()
    at.type(b"$mydocker run -it alpine sh -c 'stty -echo; echo in $0; read x; echo got $x' front &\n")
    job = int(at.until(rb"\[1\] (\d+)")[1])
    assert within(100, lambda: _is_stopped(job))
    at.type(AWAIT_STOP)
    at.until(STOPPED)
    assert at.modes() == before
    at.type(b"fg\n")
    at.until(b"in front\r\n")
    assert at.is_raw()
    at.type(b"word\r")
    at.until(b"got word\r\n")
    at.until(b"ready> ")
    assert at.modes() == before
    at.type(b"exit\n")
    assert shell.wait(timeout=100) == 0


def test_a_job_is_stopped_and_continued(alpine: Command, at: Screen) -> None:
    """By SIGSTOP, since ^Z belongs to the container. The shell has its modes meanwhile, then we have ours again."""
    shell = shell_at(at, alpine)
    at.until(b"ready> ")
    at.type(b"$mydocker run -it alpine sh -c 'echo in $0; while read x; do echo got $x; done' front\n")
    at.until(b"in front\r\n")
    [job] = _children(shell.pid)
    os.kill(job, signal.SIGSTOP)
    at.until(rb"Stopped[^>]*ready> ")
    assert not at.is_raw()
    at.type(b"bg\n")
    at.until(rb"ready> ")
    assert within(100, lambda: _is_stopped(job)), "what wants the terminal cannot go on in the background"
    assert not at.is_raw()
    at.type(AWAIT_STOP)
    at.until(STOPPED)
    at.type(b"fg\n")
    assert within(100, at.is_raw)
    at.type(b"word\r")
    at.until(b"got word\r\n")
    at.type(b"\x04")
    at.until(b"ready> ")
    assert not at.is_raw()
    at.type(b"exit\n")
    assert shell.wait(timeout=100) == 0


def _is_stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def test_suspending_belongs_to_the_container(alpine: Command, at: Screen) -> None:
    """^Z stops what runs in the container's own shell, which has its own jobs."""
    process = start_at(at, alpine, "run", "-it", "-e", "PS1=inside> ", "alpine", "sh")
    at.until(b"inside> ")
    mark = f"8{time.monotonic_ns() % 10**8:08}"
    at.type(f"sleep {mark}\r".encode())
    assert within(100, lambda: bool(sleeping(mark)))  # it is in the foreground by then
    at.type(b"\x1a")
    at.until(b"Stopped")
    at.type(b"exec sh -c 'exit 5'\r")
    assert process.wait(timeout=100) == 5
