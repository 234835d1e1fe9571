"""The report for people: a line for each case, in file order, and below one that failed what is needed to see why."""

from __future__ import annotations

from mydocker.errors import inert, printable
from mydocker.record import TYPE_CHECKING
from mydocker.services.case import JudgedCase
from mydocker.verdict.finding import ERROR, FAILED, PASSED, SKIPPED, VERDICTS, Failure
from mydocker.verdict.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Line = tuple[str, str]  # how it is shown, of STYLES, and its text

STYLES = (*VERDICTS, "-", "+", "@", "faint", "")
LAST_LINES = 5  # of an output that no expectation is about
NAMED = 3  # cases that did not run, by name
_MARKS = {PASSED: "passed ", FAILED: "FAILED ", ERROR: "ERROR  ", SKIPPED: "skipped"}
_COLUMN = 56


def lines_of(result: JudgedCase) -> Iterator[str]:
    """The lines of one case."""
    return (text for _, text in styled_lines(result))


def styled_lines(result: JudgedCase) -> Iterator[Line]:
    """The lines of one case, none of which commands a terminal or the runner of a CI job; nothing of one that has not
    begun, which closing_lines names together with others."""
    if not result.unbegun:
        yield from ((style, inert(line)) for style, line in _lines(result))


def _lines(result: JudgedCase) -> Iterator[Line]:
    tries = f", attempt {result.attempts}" if result.attempts > 1 else ""
    ran = result.attempts > 0 and result.verdict != SKIPPED
    took = f"  {result.finding.seconds:.2f} s{tries}" if ran else ""
    title = f"{_MARKS[result.verdict]} {printable(result.case.title)}"
    yield result.verdict, title.ljust(_COLUMN if took else 0) + took
    for number, early in enumerate(result.earlier, start=1):
        yield "faint", f"    attempt {number}: {printable(early.in_short)}"
    if result.reason:
        yield from _block("", result.reason)
    for failure in result.failures:
        yield from _failure(failure)
    if result.verdict in (FAILED, ERROR):
        yield from _outputs(result)
        if result.finding.kept:
            yield "", f"    kept:     mydocker diff {printable(result.finding.kept)}"
        if result.finding.not_kept:
            yield "", f"    not kept: {printable(result.finding.not_kept)}"
        yield "faint", f"    again:    {printable(result.case.again)}"
        if result.case.variables:
            yield "faint", f"              with {printable(', '.join(result.case.variables))} in the environment"


def _failure(failure: Failure) -> Iterator[Line]:
    yield "", f"    {printable(str(failure.origin))}: {printable(failure.about)}"
    if failure.difference:
        yield "-", "      - expected"
        yield "+", "      + actual"
        for line in failure.difference.split("\n"):
            blank = "" if line.startswith(("@", "\\")) else " "
            yield line[:1].strip("\\ "), f"      {printable(line[:1])}{blank}{printable(line[1:])}".rstrip()
        return
    yield from _block("expected:", failure.expected)
    yield from _block("actual:", failure.actual)


def _block(head: str, text: str) -> Iterator[Line]:
    """TEXT after its head, each further line below the first."""
    indent = 6 if head else 4
    for number, line in enumerate(split_lines(text) or [""]):
        left = head if number == 0 else ""
        yield "", (" " * indent + left.ljust(10 if head else 0) + printable(line)).rstrip()


def _outputs(result: JudgedCase) -> Iterator[Line]:
    """The ends of both outputs, but for one that a failure has shown already."""
    for name in ("stdout", "stderr"):
        lines = split_lines(getattr(result.finding, name))
        if lines and name not in {failure.about for failure in result.failures}:
            more = f" (the last {LAST_LINES} lines of {len(lines)})" if len(lines) > LAST_LINES else ""
            yield "", f"    {name}{more}:"
            yield from (("", f"      {printable(line[:200])}") for line in lines[-LAST_LINES:])


def closing_lines(results: Sequence[JudgedCase], *, seconds: float, durations: int = 0) -> Iterator[Line]:
    """What comes after all cases: the slowest, those that did not run, the failures again by name, and the summary."""
    slowest = sorted(results, key=lambda result: -result.finding.seconds)[:durations]
    if ran := [result for result in slowest if result.finding.seconds]:
        yield "", ""
        yield "", "slowest:"
        yield from (("", f"  {each.finding.seconds:8.2f} s  {_place(each)}") for each in ran)
    bad = [result for result in results if result.verdict in (FAILED, ERROR)]
    if bad and len(results) > 1:
        yield "", ""
        yield "", "did not pass:"
        yield from ((each.verdict, inert(f"  {_MARKS[each.verdict]}{_place(each)}: {_in_short(each)}")) for each in bad)
    yield "", ""
    for reason in dict.fromkeys(result.reason for result in results if result.unbegun):
        yield SKIPPED, _not_run([result for result in results if result.unbegun and result.reason == reason])
    worst = next((verdict for verdict in (FAILED, ERROR) if any(each.verdict == verdict for each in bad)), PASSED)
    yield worst, summary(results, seconds=seconds)


def _place(result: JudgedCase) -> str:
    title, place = result.case.title, f"{result.case.file}:{result.case.line}"
    return inert(printable(title if title == place else f"{place} {title}"))


def _in_short(result: JudgedCase) -> str:
    words = printable(result.in_short)
    return words if len(words) <= 120 else f"{words[:120]}…"


def _not_run(results: Sequence[JudgedCase]) -> str:
    """One line for all, however many they are."""
    names = ", ".join(printable(result.case.title) for result in results[:NAMED])
    more = f" and {len(results) - NAMED} more" if len(results) > NAMED else ""
    return inert(f"{len(results)} {printable(results[0].reason)}: {names}{more}")


def summary(results: Sequence[JudgedCase], *, seconds: float) -> str:
    """`3 passed, 1 failed in 1.20 s`."""
    counts = {verdict: sum(result.verdict == verdict for result in results) for verdict in VERDICTS}
    words = [f"{count} {plural(verdict, count)}" for verdict, count in counts.items() if count]
    return f"{', '.join(words) or 'nothing ran'} in {seconds:.2f} s"


def plural(verdict: str, count: int) -> str:
    """`2 errors`: the only verdict that is a noun."""
    return "errors" if verdict == ERROR and count > 1 else verdict
