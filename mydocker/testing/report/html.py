"""The report that people show each other: one HTML file with a time line of the batch, and failures before all else.

It needs nothing but itself: no script, no font, no request, which its own security policy forbids besides. Every word
that a container or a spec file has written is escaped, and what could command a terminal or turn a line of text round
is spelt out.
"""

from __future__ import annotations

import math
import time
from html import escape

from mydocker.record import TYPE_CHECKING
from mydocker.services.case import JudgedCase
from mydocker.testing.report.as_json import counts
from mydocker.testing.report.html_style import STYLE
from mydocker.testing.report.text import plural, summary
from mydocker.untrusted import html_text, markup
from mydocker.verdict.finding import ERROR, FAILED, PASSED, SKIPPED, VERDICTS, Failure
from mydocker.verdict.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LAST_LINES = 400  # of an output; a page with more is no fun to open
WIDTH = 2000  # characters of a line
TICKS = 8  # at most, below the time line
NAMED = 0.03  # of the time line's width: narrower bars have no room for a name
_MARKS = {PASSED: "✓", FAILED: "✗", ERROR: "!", SKIPPED: "–"}


def html(results: Sequence[JudgedCase], *, seconds: float) -> str:
    """The whole report. RESULTS are in the order of their cases, SECONDS what the batch took."""
    bad = [result for result in results if result.verdict in (FAILED, ERROR)]
    rest = [result for result in results if result.verdict not in (FAILED, ERROR)]
    title = f"{len(bad)} of {len(results)} did not pass" if bad else f"{summary(results, seconds=seconds)}"
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{'✗' if bad else '✓'} {escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
        *_head(results, seconds=seconds),
        *_time_line(results, seconds=seconds),
        *(["<section><h2>What did not pass</h2>", *(_card(result) for result in bad), "</section>"] if bad else []),
        *(["<section><h2>The others</h2>", *(_row(result) for result in rest), "</section>"] if rest else []),
        "</body>\n</html>\n",
    ]
    return markup("\n".join(parts))


def _head(results: Sequence[JudgedCase], *, seconds: float) -> Iterator[str]:
    """The verdict in a few words, and the counts of each."""
    found = counts(results)
    bad = found[FAILED] + found[ERROR]
    words = "Nothing ran" if not results else f"{bad} of {len(results)} did not pass" if bad else "All is well"
    slots = len({span.slot for result in results for span in result.spans})
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    together = f", {slots} at once" if slots > 1 else ""
    yield f'<header class="{FAILED if bad else PASSED}"><h1>{words}</h1>'
    yield f"<p>{when} · {len(results)} cases in {seconds:.2f} s{together}</p>"
    shares = [(verdict, found[verdict]) for verdict in VERDICTS if found[verdict]]
    yield '<div class="shares">'
    for verdict, count in shares:
        yield f'<span class="{verdict}" style="flex-grow:{count}">{count} {plural(verdict, count)}</span>'
    yield "</div></header>"


def _time_line(results: Sequence[JudgedCase], *, seconds: float) -> Iterator[str]:
    """A lane for each slot, a bar for each attempt; wide enough to see, however short it was."""
    spans = [(result, span) for result in results for span in result.spans]
    if not spans:
        return
    total = max(seconds, *(span.began + span.seconds for _, span in spans), 1e-3)
    yield '<section><h2>What ran when</h2><div class="line">'
    for slot in sorted({span.slot for _, span in spans}):
        yield f'<div class="lane"><i>{slot + 1}</i><div>'
        for result, span in spans:
            if span.slot == slot:
                yield _bar(result, span is result.spans[-1], span.began / total, span.seconds / total, span.seconds)
        yield "</div></div>"
    yield '<div class="ticks"><i>s</i><div>'
    for tick in _ticks(total):
        yield f'<span style="left:{tick / total:.4%}">{tick:g}</span>'
    yield "</div></div></div></section>"


def _bar(result: JudgedCase, last: bool, left: float, width: float, seconds: float) -> str:
    """An attempt; one that was followed by another is paler."""
    name, kind = html_text(result.case.title), result.verdict if last else f"{result.verdict} early"
    return (
        f'<a class="{kind}" href="#case{result.case.number}" style="left:{left:.4%};width:{width:.4%}" '
        f'title="{name}: {result.verdict}, {seconds:.2f} s">{name if width > NAMED else ""}</a>'
    )


def _ticks(total: float) -> list[float]:
    """Round numbers from 0 to TOTAL, at steps of 1, 2 or 5 times a power of ten."""
    rough = total / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [number * step for number in range(int(total / step) + 1)]


def _card(result: JudgedCase) -> str:
    """A case that did not pass, with what shows why."""
    case = result.case
    parts = [f'<article class="{result.verdict}" id="case{case.number}">', _title(result)]
    if result.reason:
        parts.append(f"<pre>{html_text(result.reason)}</pre>")
    parts += [_failure(failure) for failure in result.failures]
    parts += [_attempt(number, early) for number, early in enumerate(result.earlier, start=1)]
    parts += [_output(result, name, shown=True) for name in ("stdout", "stderr")]
    if result.finding.kept:
        parts.append(f'<p class="again">kept <code>mydocker diff {html_text(result.finding.kept)}</code></p>')
    parts.append(f'<p class="again">again <code>{html_text(case.again)}</code></p></article>')
    return "\n".join(part for part in parts if part)


def _failure(failure: Failure) -> str:
    place = f"<span>{html_text(str(failure.origin))}</span>"
    head = f'<div class="failure"><h4>{html_text(failure.about)} {place}</h4>'
    if failure.difference:
        lines = "\n".join(_difference_line(line) for line in failure.difference.split("\n"))
        return f'{head}<pre class="difference"><b>- expected</b>\n<i>+ actual</i>\n{lines}</pre></div>'
    return (
        f'{head}<div class="sides">'
        f"<div><b>expected</b><pre>{html_text(failure.expected)}</pre></div>"
        f'<div class="actual"><b>actual</b><pre>{html_text(failure.actual)}</pre></div></div></div>'
    )


def _difference_line(line: str) -> str:
    tag = {"-": "b", "+": "i"}.get(line[:1], "span")
    blank = "" if line.startswith(("@", "\\")) else " "
    return f"<{tag}>{html_text(line[:1])}{blank}{html_text(line[1:])}</{tag}>"


def _row(result: JudgedCase) -> str:
    """A case that passed, folded; it opens to show the outputs."""
    outputs = [_output(result, name, shown=False) for name in ("stdout", "stderr")]
    reason = f"<pre>{html_text(result.reason)}</pre>" if result.reason else ""
    earlier = [_attempt(number, early) for number, early in enumerate(result.earlier, start=1)]
    inside = "\n".join(part for part in (reason, *earlier, *outputs) if part) or "<p>It wrote nothing.</p>"
    start = f'<details class="{result.verdict}" id="case{result.case.number}">'
    return f"{start}<summary>{_title(result)}</summary>{inside}</details>"


def _attempt(number: int, result: JudgedCase) -> str:
    """An attempt that was followed by another, in a line."""
    return f"<p>attempt {number}: {html_text(result.in_short)}</p>"


def _title(result: JudgedCase) -> str:
    tries = f"attempt {result.attempts}, " if result.attempts > 1 else ""
    took = f"{tries}{result.finding.seconds:.2f} s" if result.spans else ""
    return (
        f'<h3><i title="{result.verdict}">{_MARKS[result.verdict]}</i> {html_text(result.case.title)} '
        f"<span>{html_text(f'{result.case.file}:{result.case.line}')}</span><em>{took}</em></h3>"
    )


def _output(result: JudgedCase, name: str, *, shown: bool) -> str:
    """The end of an output; not what a failure has shown already as a whole."""
    lines = split_lines(getattr(result.finding, name))
    if not lines or (shown and len(lines) == 1 and name in {failure.about for failure in result.failures}):
        return ""
    more = f", the last {LAST_LINES} of {len(lines)} lines" if len(lines) > LAST_LINES else ""
    cut = ", more than is kept" if name in result.finding.cut else ""
    text = "\n".join(html_text(line[:WIDTH] + "…" * (len(line) > WIDTH)) for line in lines[-LAST_LINES:])
    opened = " open" if shown and len(lines) <= 10 else ""
    return f"<details{opened}><summary>{name}{more}{cut}</summary><pre>{text}</pre></details>"
