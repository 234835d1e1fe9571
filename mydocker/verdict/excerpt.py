"""The lines of a long text that show why a matcher did not hold: where it differs, or has something that it must not
have."""

from __future__ import annotations

import bisect
import re

from mydocker.record import TYPE_CHECKING
from mydocker.verdict.convert import InapplicableError
from mydocker.verdict.gjson import find
from mydocker.verdict.lines import line_starts, split_lines
from mydocker.verdict.match import holds, json_document, shown

if TYPE_CHECKING:
    from mydocker.specs.model.expect import Matcher

LINES = 10
WIDTH = 200
_EMPTY = {"": "nothing", "\n": "an empty line"}


def excerpt(matcher: Matcher, text: str) -> str:
    """At most about a dozen lines of TEXT, each with its number once there are several."""
    if text in _EMPTY:
        return _EMPTY[text]
    lines = split_lines(text)
    if matcher.op == "and":
        return excerpt(next(inner for inner in matcher.want if not holds(inner, text)), text)
    if matcher.op == "not":
        return _listed(lines, _guilty(matcher.want, lines, text))
    if matcher.op == "gjson":
        return "\n".join(
            _in_json(path, text) for path, inner in matcher.want if not holds(inner, find(json_document(text), path))
        )
    if matcher.op == "text":
        return _difference(matcher.want, lines, text)
    return _listed(lines, [])


def last_lines(text: str) -> str:
    """The end of TEXT."""
    return _EMPTY.get(text) or _listed(split_lines(text), [])


def why_inapplicable(error: InapplicableError, text: str) -> str:
    """Why a matcher could not be applied to TEXT, with the end of TEXT unless the error is the complete message."""
    if error.whole:
        return _cut(str(error))
    return f"{error}:\n{last_lines(text)}"


def _in_json(path: str, text: str) -> str:
    """The value at PATH, which exists."""
    return f"{path}: {_cut(shown(find(json_document(text), path)))}"


def _guilty(matcher: Matcher, lines: list[str], text: str) -> list[int]:
    """The numbers of the lines in which there is what MATCHER found; a pattern is applied to all of TEXT, as in the
    check itself."""
    if matcher.op != "match-regexp":
        return [number for number, line in enumerate(lines) if _is_guilty(matcher, line)]
    starts = line_starts(text)
    found = re.finditer(matcher.want, text, re.MULTILINE)
    spans = (
        (bisect.bisect(starts, each.start()), bisect.bisect(starts, max(each.start(), each.end() - 1)))
        for each in found
    )
    return sorted({number - 1 for first, last in spans for number in range(first, last + 1) if number <= len(lines)})


def _is_guilty(matcher: Matcher, line: str) -> bool:
    try:
        return holds(matcher, line)
    except InapplicableError:  # to one line of what it could be applied to as a whole
        return False


def _difference(want: str, lines: list[str], text: str) -> str:
    """From the first line that differs on."""
    expected = split_lines(want)
    common = min(len(expected), len(lines))
    first = next((number for number in range(common) if expected[number] != lines[number]), common)
    if first >= len(lines):
        if len(expected) > len(lines):
            return (
                _listed(lines, range(max(0, first - 2), first))
                + f"\nand then the end; expected next: {expected[first]}"
            )
        return _listed(lines, []) + ("\nwith a line end after it" if text.endswith("\n") else "\nwithout a line end")
    return _listed(lines, range(first, len(lines)))


def _listed(lines: list[str], numbers: range | list[int]) -> str:
    """The lines with these NUMBERS, cut to a few; without NUMBERS, the last lines."""
    chosen = list(numbers) or list(range(max(0, len(lines) - LINES), len(lines)))
    numbered = len(lines) > 1
    shown = [f"{number + 1}: " * numbered + _cut(lines[number]) for number in chosen[:LINES]]
    more = len(chosen) - LINES
    return "\n".join(shown + ([f"and {more} more"] if more > 0 else []))


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[:WIDTH]}… ({len(line)} characters)"
