"""Messages between processes: what is encoded is decoded again, and nothing else is."""

from __future__ import annotations

import pytest

from mydocker.errors import CommandNotFoundError, ErrorReport, HostError, LaunchError
from mydocker.message import decode, encode
from mydocker.record import Record
from mydocker.runtime.command.outcome import Outcome
from mydocker.runtime.inspect.exec import SeparateResult
from mydocker.services.workers.messages import REPORTS, Failed, Inspected, Kept, Observed

MESSAGES = [
    Outcome(exit_code=3, wall=1.5),
    Outcome(signal=9, oom_killed=True, killed_by="someone"),
    Failed.of(HostError("no \udcff room\nat all", hint="make\nsome")).replace(exit_code=126, shortage=True),
    Observed(facts={"began": True, "files /x": {"exists": False}}),
    Inspected(facts={}),
    Kept(name="0123"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_a_message_is_itself_again(message: Record) -> None:
    line = encode(message)
    assert line.count(b"\n") == 2 and line[:1] == line[-1:] == b"\n"
    assert decode(line, *REPORTS) == message


def test_a_sequence_of_texts_is_a_tuple_again() -> None:
    result = SeparateResult(exit_code=None, seconds=2, stdout="a", stderr="", cut=("stdout",))
    assert decode(encode(result), SeparateResult) == result


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b'["Kept"]',
        b'["Kept", {}]',
        b'["Kept", {"name": "x", "lost": "", "more": ""}]',
        b'["Kept", {"name": 1, "lost": ""}]',
        b'["Kept", {"name": "x", "lost": null}]',
        b'[["Kept"], {"name": "x", "lost": ""}]',
        b'["SeparateResult", {"exit_code": 0, "seconds": 0, "stdout": "", "stderr": "", "cut": []}]',
        b'["ContainerEnded", {}',
        b'["WatcherStarted", {"pid": true}]',
        b'["WatcherStarted", {"pid": 1.5}]',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_message_of_a_worker(line: bytes) -> None:
    assert decode(line, *REPORTS) is None


def test_texts_are_checked_one_by_one() -> None:
    line = b'["SeparateResult", {"exit_code": 0, "seconds": 0, "stdout": "", "stderr": "", "cut": [1]}]'
    assert decode(line, SeparateResult) is None


@pytest.mark.parametrize(
    ("text", "kind", "message", "hint"),
    [
        (ErrorReport.of(CommandNotFoundError("a\nb", hint="c")).encode(), CommandNotFoundError, "a\nb", "c"),
        (ErrorReport.of(HostError("a")).encode(), LaunchError, "a", None),
        (b"SystemExit\n\nx", LaunchError, "x", None),
        (b"", LaunchError, "", None),
        (b"\xff", LaunchError, "", None),
    ],
)
def test_an_error_is_of_a_class_that_its_receiver_expects(
    text: bytes, kind: type, message: str, hint: str | None
) -> None:
    error = ErrorReport.decode(text).as_error(LaunchError, CommandNotFoundError)
    assert (type(error), error.message, error.hint) == (kind, message, hint)


def test_an_error_fits_into_one_write() -> None:
    assert len(ErrorReport.of(LaunchError("é" * 4096)).encode()) == 4096
