"""The process above the command, for an ordinary user."""

from __future__ import annotations

import time

import pytest
from lab.command import Command, Result
from lab.processes import mentioning, within_a_second

pytestmark = pytest.mark.rootless


@pytest.mark.parametrize(
    "daemon", ["sleep 7{m} &", "setsid sleep 7{m} &", "(setsid sh -c 'setsid sleep 7{m} & sleep 8{m}' &) ;"]
)
@pytest.mark.parametrize("end", ["KILL", "STOP"])
def test_no_process_is_left_without_outer_init(second_user: Command, daemon: str, end: str) -> None:
    """The command does away with it; mydocker adopts the orphans."""
    mark = f"{time.monotonic_ns() % 10**8:08}"
    script = f"{daemon} kill -{end} $PPID; sleep 9{{m}}".replace("{m}", mark)
    limits = ("--timeout", "200s" if end == "KILL" else "1s", "--stop-timeout", "0")
    done = second_user("run", "--pid", "host", *limits, "alpine", "sh", "-c", script)
    assert done.code == {"KILL": 137, "STOP": 124}[end], done
    assert within_a_second(lambda: not mentioning(mark)), mentioning(mark)


@pytest.mark.parametrize(
    ("options", "script", "expected"),
    [
        (("--init",), "echo $$; exit 3", Result(b"2\n", b"", 3)),
        (("--init",), "kill -TERM $$", Result(b"", b"", 143)),
        (("--pid", "host"), "(setsid sleep 1000 &); exit 3", Result(b"", b"", 3)),
        (("--stdin", "hello"), "cat; exit 4", Result(b"hello", b"", 4)),
        (("--ulimit", "nofile=99:100"), "ulimit -n", Result(b"99\n", b"", 0)),
        (("--cap-drop", "ALL"), "grep CapEff /proc/self/status", Result(b"CapEff:\t0000000000000000\n", b"", 0)),
    ],
)
def test_as_an_ordinary_user(second_user: Command, options: tuple[str, ...], script: str, expected: Result) -> None:
    assert second_user("run", *options, "alpine", "sh", "-c", script) == expected
