"""The report in the Test Anything Protocol, version 14: a line for each case, YAML below one that did not pass."""

from __future__ import annotations

from mydocker.errors import printable
from mydocker.record import TYPE_CHECKING
from mydocker.services.case import JudgedCase
from mydocker.untrusted import clean, quoted
from mydocker.verdict.finding import PASSED, SKIPPED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def tap(results: Sequence[JudgedCase], *, seconds: float) -> str:
    """The whole report."""
    lines = ["TAP version 14", f"1..{len(results)}"]
    for number, result in enumerate(results, start=1):
        good = "ok" if result.verdict in (PASSED, SKIPPED) else "not ok"
        skip = f" # SKIP {_line(result.reason)}" if result.verdict == SKIPPED else ""
        lines.append(f"{good} {number} - {_escaped(result.case.title)}{skip}")
        if good == "not ok":
            lines += _diagnostics(result)
    return "\n".join(lines) + "\n"


def _diagnostics(result: JudgedCase) -> Iterator[str]:
    """A YAML block; strings are written as JSON writes them, which YAML reads."""
    yield "  ---"
    yield f"  severity: {'fail' if result.failures else 'error'}"
    yield f"  at: {quoted(f'{result.case.file}:{result.case.line}')}"
    yield f"  again: {quoted(result.case.again)}"
    if result.reason:
        yield f"  message: {quoted(result.reason)}"
    if result.failures:
        yield "  failures:"
    for failure in result.failures:
        for number, (name, value) in enumerate(failure.texts().items()):
            if value or name != "difference":
                yield f"  {'    ' if number else '  - '}{name}: {quoted(value)}"
    yield "  ..."


def _escaped(title: str) -> str:
    """TITLE without a `#`, which begins a directive, so it is spelled out: version 14 has `\\#` for it, which parsers
    of version 13 do not know. A title that begins with a digit is kept apart by the dash."""
    return _line(title).replace("#", "\\x23").replace("\\", "\\\\")


def _line(text: str) -> str:
    return printable(" ".join(clean(text).split()))
