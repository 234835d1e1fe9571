"""Where two texts differ, as `diff -u` shows it: lines with `-` were expected, lines with `+` are in the actual text.

However long the texts are, the result has about LINES lines of about WIDTH characters, and takes no more than a few
milliseconds.
"""

from __future__ import annotations

import os

from mydocker.record import TYPE_CHECKING
from mydocker.verdict.match import holds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mydocker.specs.model.expect import Matcher

LINES = 40
WIDTH = 160
AROUND = 2  # lines before and after
COMPARED = 200  # lines, from the first that differs on; the comparison is quadratic
NO_END = "\\ no line end"  # as in diff(1)
_LEAD = 40  # characters of a long line, before the first that differs


def difference(matcher: Matcher, value: Any) -> str:
    """Lines that begin with `-`, `+`, a blank or `@`, where MATCHER is for a whole text and VALUE differs; nothing for
    other matchers, and for two different short lines, which are best shown whole."""
    if not isinstance(value, str):
        return ""
    if matcher.op == "and":
        unmet = [inner for inner in matcher.want if not holds(inner, value)]
        return difference(unmet[0], value) if unmet else ""
    want = matcher.want
    if matcher.op != "text" or not want or not value or (_is_short(want) and _is_short(value)):
        return ""
    if not want.endswith("\n"):  # a last line end may come besides (match.py)
        want, value = f"{want}\n", value.removesuffix("\n") + "\n"
    return "\n".join(_bounded([*_hunks(_lines(want), _lines(value))]))


def _is_short(text: str) -> bool:
    line = text.removesuffix("\n")
    return "\n" not in line and len(line) <= WIDTH // 2


def _lines(text: str) -> list[str]:
    """Only a newline ends a line, so that a carriage return is shown; the last element is what comes after the last."""
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else [*lines[:-1], f"{lines[-1]}\0"]  # NUL: without an end


def _hunks(expected: list[str], came: list[str]) -> Iterator[str]:
    same = len(os.path.commonprefix([expected, came]))
    skipped = max(0, same - AROUND)
    left, right = expected[skipped : skipped + COMPARED], came[skipped : skipped + COMPARED]
    from difflib import SequenceMatcher  # only where two texts differ

    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for group in matcher.get_grouped_opcodes(AROUND):
        yield f"@@ line {skipped + group[0][3] + 1} @@"
        for kind, first, last, begin, end in group:
            if kind == "equal":
                yield from _marked(" ", left[first:last])
            else:
                yield from _changed(left[first:last], right[begin:end])
    rest = max(len(expected), len(came)) - skipped - COMPARED
    if rest > 0:
        yield f"@@ {rest} more lines are not compared @@"


def _changed(removed: list[str], added: list[str]) -> Iterator[str]:
    """The lines of both sides; of two long ones that stand at the same place, what is around the first difference."""
    starts = [len(os.path.commonprefix(pair)) for pair in zip(removed, added, strict=False)]
    for mark, lines in (("-", removed), ("+", added)):
        for number, line in enumerate(lines):
            yield from _marked(mark, [line], start=starts[number] if number < len(starts) else 0)


def _marked(mark: str, lines: list[str], *, start: int = 0) -> Iterator[str]:
    for line in lines:
        bare = line.removesuffix("\0")
        yield mark + _window(bare, start)
        if bare != line and mark != " ":
            yield NO_END


def _window(line: str, start: int) -> str:
    """LINE, or the part of a long one from a little before START on."""
    if len(line) <= WIDTH:
        return line
    first = max(0, start - _LEAD)
    shown = line[first : first + WIDTH]
    left, right = "…" * (first > 0), "…" * (first + WIDTH < len(line))
    return f"{left}{shown}{right} ({len(line)} characters)"


def _bounded(lines: list[str]) -> list[str]:
    more = len(lines) - LINES
    return lines if more <= 0 else [*lines[:LINES], f"@@ {more} more lines @@"]
