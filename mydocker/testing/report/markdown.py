"""The report in Markdown, such as for the summary of a GitHub job: counts, what did not pass, and why.

GitHub takes 1 MiB for the summary of a step, and nothing of one that is larger; so the report is bounded.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.services.case import JudgedCase
from mydocker.testing.report.as_json import counts
from mydocker.testing.report.text import plural, summary
from mydocker.untrusted import markdown_block, markdown_text
from mydocker.verdict.finding import ERROR, FAILED, PASSED, SKIPPED, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LIMIT = 800_000  # bytes
LAST_LINES = 30  # of an output
WIDTH = 400  # characters of a line
_MARKS = {PASSED: "✅", FAILED: "❌", ERROR: "⚠️", SKIPPED: "⏭️"}


def markdown(results: Sequence[JudgedCase], *, seconds: float) -> str:
    """The whole report. RESULTS are in the order of their cases."""
    bad = [result for result in results if result.verdict in (FAILED, ERROR)]
    rest = [result for result in results if result.verdict not in (FAILED, ERROR)]
    head = [f"### {_MARKS[FAILED if bad else PASSED]} {markdown_text(summary(results, seconds=seconds))}", ""]
    parts = ["\n".join([*head, *_table(results), ""]), *("\n".join(_case(result)) for result in bad)]
    if rest:
        listed = (_row(result) for result in rest)
        parts += ["<details><summary>The others</summary>\n", *listed, "\n</details>"]
    return "\n".join(_bounded(parts)) + "\n"


def _bounded(parts: Sequence[str]) -> Iterator[str]:
    size = 0
    for number, part in enumerate(parts):
        size += len(part.encode()) + 1
        if size > LIMIT:
            yield f"\n{len(parts) - number} more are not shown: the summary would be too long."
            return
        yield part


def _table(results: Sequence[JudgedCase]) -> Iterator[str]:
    found = counts(results)
    shown = [verdict for verdict in VERDICTS if found[verdict]]
    if shown:
        yield "| " + " | ".join(f"{_MARKS[verdict]} {plural(verdict, found[verdict])}" for verdict in shown) + " |"
        yield "|" + "---|" * len(shown)
        yield "| " + " | ".join(str(found[verdict]) for verdict in shown) + " |"


def _row(result: JudgedCase) -> str:
    tries = f", attempt {result.attempts}" if result.attempts > 1 else ""
    reason = f": {markdown_text(result.reason)}" if result.reason else ""
    return f"- {_MARKS[result.verdict]} {_title(result)}{tries}{reason}"


def _title(result: JudgedCase) -> str:
    place = f"{result.case.file}:{result.case.line}"
    return markdown_text(result.case.title) + f" <code>{markdown_text(place)}</code>"


def _case(result: JudgedCase) -> Iterator[str]:
    yield f"#### {_MARKS[result.verdict]} {_title(result)}"
    yield ""
    if result.reason:
        yield markdown_block(_end(result.reason))
    for failure in result.failures:
        yield f"<code>{markdown_text(str(failure.origin))}</code> {markdown_text(failure.about)}"
        yield ""
        yield markdown_block(failure.shown, language="diff" if failure.difference else "text")
    for name in ("stdout", "stderr"):
        text = getattr(result.finding, name)
        if text and name not in {failure.about for failure in result.failures}:
            yield f"<details><summary>{name}</summary>\n"
            yield markdown_block(_end(text))
            yield "</details>\n"  # a block of HTML ends at an empty line only
    yield markdown_block(result.case.again, language="sh")
    yield ""


def _end(text: str) -> str:
    """The last lines of TEXT."""
    lines = text.splitlines()
    more = [f"({len(lines) - LAST_LINES} lines before)"] if len(lines) > LAST_LINES else []
    return "\n".join([*more, *(line[:WIDTH] + "…" * (len(line) > WIDTH) for line in lines[-LAST_LINES:])])
