"""The process above the command, for an ordinary user."""

from __future__ import annotations

import pytest
from lab.command import Command, Result

pytestmark = pytest.mark.rootless


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
