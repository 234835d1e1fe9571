"""A result as plain data, for reports that programs read."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.services.case import JudgedCase
from mydocker.untrusted import clean
from mydocker.verdict.finding import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any


def as_data(result: JudgedCase) -> dict[str, Any]:
    """Everything about one case. Times are seconds, sizes bytes; text is valid Unicode."""
    case, finding = result.case, result.finding
    outcome = finding.outcome.as_dict() if finding.outcome else None
    return {
        "name": clean(case.title),
        "file": clean(case.file),
        "line": case.line,
        "verdict": result.verdict,
        "reason": clean(result.reason),
        "failures": _failures(result),
        "attempts": result.attempts,
        "earlier": [_attempt(early) for early in result.earlier],
        "began": round(result.began, 6),
        "slot": result.spans[-1].slot if result.spans else None,
        "seconds": round(finding.seconds, 6),
        "outcome": outcome,
        "stdout": clean(finding.stdout),
        "stderr": clean(finding.stderr),
        "exec": [*_executed(result)],
        "again": clean(case.again),
        "variables": [*case.variables],
        "kept": finding.kept or None,
    }


def _executed(result: JudgedCase) -> Iterator[dict[str, Any]]:
    """The commands of `exec`, and the result of each; there is none if the container had ended before."""
    expect = result.case.spec.expect
    for number, command in enumerate(expect.commands if expect else ()):
        facts = result.finding.facts.get(f"exec {number}", {})
        came = {name: clean(value) if isinstance(value, str) else value for name, value in facts.items()}
        yield {"command": [clean(word) for word in command.argv], **came}


def _failures(result: JudgedCase) -> list[dict[str, str]]:
    return [{key: clean(value) for key, value in failure.texts().items()} for failure in result.failures]


def _attempt(result: JudgedCase) -> dict[str, Any]:
    """One that was followed by another."""
    return {
        "verdict": result.verdict,
        "reason": clean(result.reason),
        "failures": _failures(result),
        "stdout": clean(result.finding.stdout),
        "stderr": clean(result.finding.stderr),
    }


def counts(results: Sequence[JudgedCase]) -> dict[str, int]:
    """How many there are of each verdict."""
    return {verdict: sum(result.verdict == verdict for result in results) for verdict in VERDICTS}
