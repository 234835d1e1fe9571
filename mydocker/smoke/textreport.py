"""The report for people: a line for each case, in file order, and below one that failed what is needed to see why."""

from __future__ import annotations

from mydocker.errors import printable
from mydocker.record import TYPE_CHECKING
from mydocker.smoke.case import ERROR, FAILED, PASSED, SKIPPED, VERDICTS, Failure, Result
from mydocker.smoke.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LAST_LINES = 5  # of an output that no expectation speaks of
_MARKS = {PASSED: "passed ", FAILED: "FAILED ", ERROR: "ERROR  ", SKIPPED: "skipped"}
_COLUMN = 56


def lines_of(result: Result) -> Iterator[str]:
    """The lines of one case."""
    tries = f", attempt {result.attempts}" if result.attempts > 1 else ""
    ran = result.attempts > 0 and result.verdict != SKIPPED
    took = f"  {result.finding.seconds:.2f} s{tries}" if ran else ""
    yield f"{_MARKS[result.verdict]} {printable(result.case.title)}".ljust(_COLUMN if took else 0) + took
    if result.reason:
        yield from _block("", result.reason)
    for failure in result.failures:
        yield from _failure(failure)
    if result.verdict in (FAILED, ERROR):
        yield from _outputs(result)
        if result.finding.kept:
            yield f"    kept:     mydocker diff {result.finding.kept}"
        if result.finding.not_kept:
            yield f"    not kept: {printable(result.finding.not_kept)}"
        yield f"    again:    {printable(result.case.again)}"


def _failure(failure: Failure) -> Iterator[str]:
    yield f"    {printable(failure.place)}: {printable(failure.about)}"
    yield from _block("expected:", failure.expected)
    yield from _block("actual:", failure.actual)


def _block(head: str, text: str) -> Iterator[str]:
    """TEXT beside its head, each further line below the first."""
    indent = 6 if head else 4
    for number, line in enumerate(split_lines(text) or [""]):
        left = head if number == 0 else ""
        yield (" " * indent + left.ljust(10 if head else 0) + printable(line)).rstrip()


def _outputs(result: Result) -> Iterator[str]:
    """The ends of both outputs, but for one that a failure has shown already."""
    for name in ("stdout", "stderr"):
        lines = split_lines(getattr(result.finding, name))
        if lines and name not in {failure.about for failure in result.failures}:
            more = f" (the last {LAST_LINES} lines of {len(lines)})" if len(lines) > LAST_LINES else ""
            yield f"    {name}{more}:"
            yield from (f"      {printable(line[:200])}" for line in lines[-LAST_LINES:])


def summary(results: Sequence[Result], *, seconds: float) -> str:
    """`3 passed, 1 failed in 1.20 s`."""
    counts = {verdict: sum(result.verdict == verdict for result in results) for verdict in VERDICTS}
    words = [f"{count} {plural(verdict, count)}" for verdict, count in counts.items() if count]
    return f"{', '.join(words) or 'nothing ran'} in {seconds:.2f} s"


def plural(verdict: str, count: int) -> str:
    """`2 errors`: the only verdict that is a noun."""
    return "errors" if verdict == ERROR and count > 1 else verdict
