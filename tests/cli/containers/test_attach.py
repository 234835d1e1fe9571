"""`mydocker attach` and `start -a`: output, input, keys, signals and sizes of a container in the background."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from lab.command import Command
from lab.processes import within
from lab.terminal import screen, start_at

from mydocker.cli.containers.attach import DetachKeys

root = pytest.mark.root


@pytest.fixture
def kept(alpine: Command) -> Iterator[Command]:
    """The installed command, with a store that has the image alpine, and no containers afterwards."""
    plain = replace(alpine, forks=False)
    yield plain
    ids = plain("ps", "-aq").stdout.decode().split()
    assert not ids or plain("rm", "-f", *ids).code == 0


def run(mydocker: Command, *arguments: str) -> str:
    done = mydocker("run", "-d", *arguments)
    assert done.code == 0, done
    return done.stdout.decode().strip()


@pytest.mark.parametrize(
    ("typed", "passed", "left"),
    [
        ([b"abc"], b"abc", False),
        ([b"\x10\x11"], b"", True),
        ([b"ab\x10\x11cd"], b"ab", True),
        ([b"\x10", b"\x11"], b"", True),
        ([b"\x10", b"x"], b"\x10x", False),
        ([b"\x10\x10", b"\x11"], b"\x10", True),
        ([b"\x11\x10", b"\x10\x11"], b"\x11\x10", True),
    ],
)
def test_the_keys_that_leave_a_container(typed: list[bytes], passed: bytes, left: bool) -> None:
    keys = DetachKeys()
    found = [keys.split(each) for each in typed]
    assert b"".join(data for data, _ in found) == passed and found[-1][1] == left


SCRIPT = """
i=0; while [ $i -lt 16 ]; do
    head -c 65536 /data/random; head -c 65536 /data/random >&2; i=$((i+1))
done; exit 4
"""


@root
def test_output_is_exact_in_the_log_and_for_those_attached(kept: Command, tmp_path: pathlib.Path) -> None:
    """A megabyte of any bytes on each stream, for two at once of whom one is slow."""
    data, mark = os.urandom(65536), b"\n--begin--\n"
    (tmp_path / "random").write_bytes(data)
    arguments = (
        "--name",
        "exact",
        "-v",
        f"{tmp_path}:/data:ro",
        "alpine",
        "sh",
        "-c",
        f"while [ ! -e /data/go ]; do echo tick; sleep 0.1; done; printf '{mark.decode()}'; {SCRIPT}",
    )
    assert kept("create", *arguments).code == 0
    first = kept.start("start", "-a", "exact")
    assert first.stdout and first.stdout.readline() == b"tick\n"
    slow = kept.start("attach", "--no-stdin", "exact")
    assert slow.stdout and slow.stdout.readline() == b"tick\n"  # so it is attached
    (tmp_path / "go").touch()
    with ThreadPoolExecutor(2) as readers:
        quick = readers.submit(first.communicate, timeout=240)
        late = readers.submit(lambda: time.sleep(6) or slow.communicate(timeout=240))
        for out, error in (quick.result(), late.result()):
            assert (out.partition(mark)[2], error) == (data * 16, data * 16)
    assert first.returncode == slow.returncode == 4 and kept("wait", "exact").stdout == b"4\n"
    logged = kept("logs", "exact")
    assert logged.stdout.partition(mark)[2] == logged.stderr == data * 16


@root
def test_one_who_takes_nothing_does_not_hold_up_the_end(kept: Command) -> None:
    assert kept("create", "--name", "job", "alpine", "sh", "-c", "head -c 150000 /dev/zero; exit 6").code == 0
    stuck = kept.start("start", "-a", "job")
    assert within(200, lambda: kept("inspect", "-f", "{{.State.Status}}", "job").stdout == b"exited\n")
    assert kept("rm", "job").code == 0
    out, _ = stuck.communicate(timeout=240)
    assert (len(out), stuck.returncode) == (150_000, 6)


@root
def test_one_who_was_stopped_does_not_hold_up_the_end(kept: Command, tmp_path: pathlib.Path) -> None:
    script = "while [ ! -e /data/go ]; do echo tick; sleep 0.1; done; echo end; exit 6"
    run(kept, "--name", "job", "-v", f"{tmp_path}:/data", "alpine", "sh", "-c", script)
    stuck = kept.start("attach", "job")
    assert stuck.stdout and stuck.stdout.readline() == b"tick\n"
    os.kill(stuck.pid, signal.SIGSTOP)
    (tmp_path / "go").touch()
    assert kept("wait", "job").stdout == b"6\n"
    assert kept("rm", "job").code == 0
    stuck.kill()
    stuck.communicate(timeout=240)


@root
def test_input_of_any_size_arrives_whole_and_ends(kept: Command) -> None:
    data = os.urandom(3_000_000)
    assert kept("create", "-i", "--name", "sum", "alpine", "cat").code == 0
    done = kept("start", "-ai", "sum", input=data)
    assert done.code == 0 and hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()
    assert kept("logs", "sum").stdout == data


@root
def test_what_is_written_arrives_where_input_was_not_read(kept: Command, tmp_path: pathlib.Path) -> None:
    """The keeper's end resets the connection then (unix(7)), which its client finds when it runs again."""
    (tmp_path / "input").write_bytes(b"line\n" * 60_000)
    script = "read line; echo got; until [ -e /data/go ]; do sleep 0.05; done; echo out; exit 3"
    run(kept, "-i", "--name", "deaf", "-v", f"{tmp_path}:/data", "alpine", "sh", "-c", script)
    with open(tmp_path / "input") as file:
        client = kept.start("attach", "deaf", stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert client.stdout and client.stdout.readline() == b"got\n"
    os.kill(client.pid, signal.SIGSTOP)
    (tmp_path / "go").touch()
    assert kept("wait", "deaf").stdout == b"3\n" and kept("rm", "deaf").code == 0
    os.kill(client.pid, signal.SIGCONT)
    assert (*client.communicate(timeout=240), client.returncode) == (b"out\n", b"", 3)


@root
def test_input_for_one_that_stays(kept: Command) -> None:
    """With `run -di`, the end of one input is not the end of the container's."""
    run(kept, "-i", "--name", "shell", "alpine", "sh")
    for text in (b"one", b"two"):
        client = kept.start("attach", "shell")
        assert client.stdin and client.stdout
        client.stdin.write(b"echo %s\n" % text)
        client.stdin.close()
        assert client.stdout.readline() == text + b"\n"
        client.stdin = None
        client.kill()
        client.communicate(timeout=240)
    assert kept("inspect", "-f", "{{.State.Status}}", "shell").stdout == b"running\n"
    assert kept("logs", "shell").stdout == b"one\ntwo\n"
    assert kept("attach", "shell", input=b"exit 9\n").code == 9


@root
def test_signals_are_passed_on(kept: Command) -> None:
    script = "trap 'echo got; exit 8' USR1 INT; echo ready; while :; do sleep 0.1; done"
    assert kept("create", "--name", "trap", "alpine", "sh", "-c", script).code == 0
    client = kept.start("start", "-a", "trap")
    assert client.stdout and client.stdout.readline() == b"ready\n"
    client.send_signal(signal.SIGUSR1)
    out, _ = client.communicate(timeout=240)
    assert (out, client.returncode) == (b"got\n", 8)


@root
def test_a_signal_ends_the_attachment_alone(kept: Command) -> None:
    run(kept, "--name", "alone", "alpine", "sh", "-c", "while :; do echo x; sleep 0.1; done")
    client = kept.start("attach", "--sig-proxy=false", "alone")
    assert client.stdout and client.stdout.readline() == b"x\n"
    client.send_signal(signal.SIGINT)
    client.communicate(timeout=240)
    assert client.returncode == 0
    assert kept("inspect", "-f", "{{.State.Status}}", "alone").stdout == b"running\n"


@root
def test_a_terminal(kept: Command) -> None:
    """Its size, what is typed, Ctrl-P Ctrl-Q, and again."""
    run(kept, "-it", "--name", "term", "alpine", "sh")
    with screen(rows=33, columns=99) as at:
        client = start_at(at, kept, "attach", "term")
        assert within(200, at.is_raw)
        at.type(b"stty size\r")
        at.until(rb"33 99")
        at.resize(40, 120)
        os.kill(client.pid, signal.SIGWINCH)
        at.type(b'until stty size | grep "^40 120"; do sleep 0.1; done\r')
        at.until(rb"\n40 120\r")
        at.type(b"\x10")
        at.type(b"\x11")
        assert client.wait(240) == 0 and not at.is_raw()
    assert kept("inspect", "-f", "{{.State.Status}}", "term").stdout == b"running\n"
    with screen() as at:
        client = start_at(at, kept, "attach", "term")
        assert within(200, at.is_raw)
        at.type(b"stty size; exit 5\r")
        at.until(rb"24 80")
        assert client.wait(240) == 5


@root
def test_the_keeper_s_death_is_reported(kept: Command) -> None:
    id_ = run(kept, "--name", "dies", "alpine", "sh", "-c", "while :; do echo x; sleep 0.1; done")
    client = kept.start("attach", "dies")
    assert client.stdout and client.stdout.readline() == b"x\n"
    os.kill(json.loads((kept.store / "background" / id_[:12] / "state").read_text())["keeper"], signal.SIGKILL)
    _, complaint = client.communicate(timeout=240)
    assert (complaint, client.returncode) == (b"mydocker: the keeper of the container was killed\n", 137)


@root
@pytest.mark.parametrize("command", ["logs -f", "attach", "logs"])
def test_a_reader_that_goes_ends_the_command_without_a_word(kept: Command, command: str) -> None:
    run(kept, "--name", "lines", "alpine", "sh", "-c", "while :; do echo line; sleep 0.1; done")
    assert within(200, lambda: kept("logs", "lines").stdout.count(b"line") > 3)
    script = f"{kept.program} {command} lines </dev/null | head -n 1"
    done = subprocess.run(["sh", "-c", script], capture_output=True, env=dict(kept.environment), timeout=240)
    assert (done.stdout, done.stderr) == (b"line\n", b"")
