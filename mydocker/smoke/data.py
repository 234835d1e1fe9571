"""A result as plain data, for reports that programs read."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.smoke.case import VERDICTS, Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any


def as_data(result: Result) -> dict[str, Any]:
    """Everything about one case. Times are seconds, sizes bytes; text is valid Unicode."""
    case, finding = result.case, result.finding
    outcome = finding.outcome.as_dict() if finding.outcome else None
    return {
        "name": clean(case.title),
        "file": clean(case.file),
        "line": case.line,
        "verdict": result.verdict,
        "reason": clean(result.reason),
        "failures": [{key: clean(value) for key, value in failure.as_dict().items()} for failure in result.failures],
        "attempts": result.attempts,
        "began": round(result.began, 6),
        "slot": result.spans[-1].slot if result.spans else None,
        "seconds": round(finding.seconds, 6),
        "outcome": outcome,
        "stdout": clean(finding.stdout),
        "stderr": clean(finding.stderr),
        "exec": [*_executed(result)],
        "again": clean(case.again),
        "kept": finding.kept or None,
    }


def _executed(result: Result) -> Iterator[dict[str, Any]]:
    """The commands of `exec`, and what came of each; nothing did where the container had ended before."""
    expect = result.case.spec.expect
    for number, command in enumerate(expect.commands if expect else ()):
        facts = result.finding.facts.get(f"exec {number}", {})
        came = {name: clean(value) if isinstance(value, str) else value for name, value in facts.items()}
        yield {"command": [clean(word) for word in command.argv], **came}


def counts(results: Sequence[Result]) -> dict[str, int]:
    """How many there are of each verdict."""
    return {verdict: sum(result.verdict == verdict for result in results) for verdict in VERDICTS}


def clean(text: str) -> str:
    """TEXT with what could not be decoded as U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
