"""`mydocker run` as a process: its streams, signals, time limits and terminal, and what is left when it dies."""

from __future__ import annotations

import os
import pathlib
import pty
import shutil
import signal
import subprocess
import termios
import time

import pytest
from lab.command import Command, Result
from lab.processes import mentioning, within_a_second

pytestmark = pytest.mark.root


def _run(mydocker: Command, *words: str) -> Result:
    return mydocker("run", *words)


def test_standard_input_is_closed_unless_asked_for(alpine: Command) -> None:
    assert alpine("run", "alpine", "cat", input=b"x" * 100) == Result(b"", b"", 0)
    assert alpine("run", "-i", "alpine", "wc", "-c", input=b"x" * 1_000_000) == Result(b"1000000\n", b"", 0)


@pytest.mark.parametrize("options", [(), ("-v", "/dev:/dev"), ("--tmpfs", "/dev")])
def test_no_input_under_a_volume(alpine: Command, options: tuple[str, ...]) -> None:
    """No volume opens device files."""
    assert alpine("run", *options, "alpine", "wc", "-c", input=b"x") == Result(b"0\n", b"", 0)


@pytest.mark.parametrize("options", [(), ("--namespaces", "")])
def test_no_input_in_a_bare_directory(alpine: Command, tmp_path: pathlib.Path, options: tuple[str, ...]) -> None:
    shutil.copy(str(shutil.which("busybox")), tmp_path)
    done = alpine("run", *options, "--rootfs", str(tmp_path), "/busybox", "wc", "-c", input=b"x")
    assert done == Result(b"0\n", b"", 0)


def test_no_terminal_where_the_container_can_make_none(alpine: Command) -> None:
    done = alpine("run", "-t", "-v", "/dev:/dev", "alpine", "true")
    assert done.code == 125 and b"/dev/ptmx: Permission denied" in done.stderr and b"over /dev" in done.stderr


def test_closed_descriptors(alpine: Command) -> None:
    """With 0, 1 and 2 closed no file of mydocker's may end up there."""
    words = " ".join(alpine.argv("run", "alpine", "sh", "-c", "'echo x; exit 5'"))
    done = subprocess.run(["sh", "-c", f"exec {words} <&- >&- 2>&-"], env=dict(alpine.environment), timeout=240)
    assert done.returncode == 5


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_a_directory_as_a_stream_is_refused(alpine: Command, tmp_path: pathlib.Path, stream: str) -> None:
    """It would be a way out of the container. Python itself refuses it, before any code of mydocker runs, with exit
    code 1 (docs/run.md)."""
    root = os.open("/", os.O_RDONLY)
    words = ("run", "-i", "-v", f"{tmp_path}:/mnt", "alpine", "touch", "/mnt/started")
    process = alpine.start(*words, **{stream: root})
    os.close(root)
    _, message = process.communicate(timeout=240)
    assert process.returncode == 1 and list(tmp_path.glob("started")) == []
    assert stream == "stderr" or message.startswith(b"Fatal Python error") and b"s a directory" in message


def test_output_is_exact_and_unbounded(alpine: Command) -> None:
    done = _run(alpine, "alpine", "sh", "-c", "head -c 50000000 /dev/zero; echo end >&2")
    assert (len(done.stdout), done.stdout.strip(b"\0"), done.stderr, done.code) == (50_000_000, b"", b"end\n", 0)


def test_a_reader_that_leaves_ends_the_command(alpine: Command) -> None:
    """`mydocker run alpine yes | head -1`: the command gets SIGPIPE or EPIPE, and no word comes from us."""
    with alpine.start("run", "alpine", "yes") as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == b"y\n"
        process.stdout.close()
        assert process.wait(timeout=240) in (1, 128 + signal.SIGPIPE)
        assert b"mydocker" not in process.stderr.read()


READY = """
trap 'echo got TERM; exit 7' TERM
trap 'echo got HUP; exit 8' HUP
trap 'echo got INT; exit 9' INT
echo ready
while :; do sleep 0.05; done
"""


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (signal.SIGTERM, (b"got TERM\n", 7)),
        (signal.SIGHUP, (b"got HUP\n", 8)),
        (signal.SIGINT, (b"got INT\n", 9)),
    ],
)
def test_signals_are_forwarded(alpine: Command, number: int, expected: tuple[bytes, int]) -> None:
    process = alpine.start("run", "alpine", "sh", "-c", READY)
    assert process.stdout and process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    out, error = process.communicate(timeout=240)
    assert (out, process.returncode, error) == (*expected, b"")


def test_a_second_interrupt_kills(alpine: Command) -> None:
    script = "trap 'echo got' INT; trap '' TERM; echo ready; while :; do sleep 0.05; done"
    process = alpine.start("run", "alpine", "sh", "-c", script)
    assert process.stdout and process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == b"got\n"  # else the two might be one: signal(7)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=240)
    assert process.returncode == 128 + signal.SIGKILL


@pytest.mark.parametrize(
    "script",
    [
        "trap 'exit 0' TERM; while :; do sleep 0.05; done",  # nobody would wait for the end of its grace
        "sleep 1000",  # PID 1 without a handler would ignore TERM, and is killed
    ],
)
def test_timeout(alpine: Command, script: str) -> None:
    before = time.monotonic()
    done = _run(alpine, "--timeout", "1s", "--stop-timeout", "1000", "alpine", "sh", "-c", f"{script}; true")
    assert (done.stdout, done.code) == (b"", 124)
    assert time.monotonic() - before >= 1


def test_a_timeout_that_is_not_reached(alpine: Command) -> None:
    assert _run(alpine, "--timeout", "200s", "alpine", "echo", "x") == Result(b"x\n", b"", 0)


def test_kill_leaves_nothing_within_a_second(alpine: Command) -> None:
    marker = f"{time.monotonic_ns() % 10**8:08}"  # more digits would overflow, and sleep end at once
    process = alpine.start("run", "alpine", "sh", "-c", f"sleep 7{marker} & echo ready; sleep 8{marker}; true")
    assert process.stdout and process.stdout.readline() == b"ready\n"
    assert mentioning(marker)
    process.kill()
    process.communicate()
    assert within_a_second(lambda: not mentioning(marker))
    assert within_a_second(lambda: os.listdir(alpine.store / "containers") == [])


def test_many_at_once(alpine: Command) -> None:
    """Each has its own writable layer."""
    script = "echo $$ > /only; sleep 0.2; cat /only"
    started = [alpine.start("run", "alpine", "sh", "-c", script) for _ in range(20)]
    outcomes = [(*process.communicate(timeout=240), process.returncode) for process in started]
    assert outcomes == [(b"1\n", b"", 0)] * 20
    assert os.listdir(alpine.store / "containers") == []


def test_a_terminal(alpine: Command) -> None:
    """On a real terminal: the container's own pty, TERM set, both streams on it, and ours restored afterwards."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    script = "tty; echo $TERM; echo error >&2; test -t 0 && test -t 1 && test -t 2; exit $?"
    process = alpine.start(
        "run", "-it", "alpine", "sh", "-c", script, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    assert process.wait(timeout=240) == 0
    assert termios.tcgetattr(slave) == before
    os.close(slave)
    assert _drain(master) == b"/dev/pts/0\r\nxterm\r\nerror\r\n"


def _drain(master: int) -> bytes:
    text = b""
    try:
        while part := os.read(master, 4096):
            text += part
    except OSError:  # EIO: the other side is closed
        pass
    os.close(master)
    return text
