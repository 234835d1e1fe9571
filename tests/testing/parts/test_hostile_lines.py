"""Lines of reports that no mydocker has written: what they say is left out, or shown, and never ends the merge."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from mydocker.errors import Origin, UsageError
from mydocker.services.case import Case, JudgedCase, Place, Span
from mydocker.specs.model import ContainerSpec
from mydocker.specs.model.case import CaseSpec
from mydocker.testing.parts.line import as_line, heading
from mydocker.testing.parts.merge import Merge, Merged
from mydocker.testing.report.formats import WHOLE
from mydocker.testing.report.text import closing_lines, styled_lines
from mydocker.verdict.finding import FAILED, Failure, Finding

HUGE, NO_NUMBER, ESCAPE = float("inf"), float("nan"), "\x1b[2J"


def _lines() -> list[dict[str, Any]]:
    """The heading, and a result that has everything."""
    container = ContainerSpec(name="web", origin=Origin(file="a.yaml", line=1))
    place = Place(number=0, of=1, batch="b", part="1/1", node="n", time=100.0)
    case = Case(number=0, spec=CaseSpec(container=container), file="a.yaml", line=1).replace(place=place)
    failure = Failure(origin=Origin(file="a.yaml", line=2, column=3), about="stdout", expected="a", actual="b")
    failure = failure.replace(difference="-a\n+b")
    result = JudgedCase(
        case=case.replace(variables=("V",)),
        verdict=FAILED,
        failures=(failure,),
        finding=Finding(stdout="x", stderr="y", seconds=1.0, kept="k", not_kept="n"),
        spans=(Span(slot=0, began=0.0, seconds=1.0),),
        attempts=1,
    )
    return [heading([case], part="1/1", batch="b"), as_line(result.replace(earlier=(result,)))]


def _merged(lines: list[dict[str, Any]]) -> Merged:
    merge = Merge(lambda text: None)
    merge.add("f.jsonl", [json.dumps(line).encode() + b"\n" for line in lines])
    return merge.finish({1: "the part was lost"})


def _changed(line: dict[str, Any], path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """LINE, with VALUE at PATH."""
    found: Any = copy.deepcopy(line)
    *parents, last = path
    inner = found
    for key in parents:
        inner = inner[key]
    inner[last] = value
    return dict(found)


@pytest.mark.parametrize("part", ["1/0", "0/1", "2/1", "-1/-1", "1", "1/2/3", "x/y"])
def test_no_such_part(part: str) -> None:
    with pytest.raises(UsageError, match="there is no result"):
        _merged([_changed(_lines()[0], ("part",), part)])


NUMBERS = (
    ("number",),
    ("of",),
    ("time",),
    ("attempts",),
    ("seconds",),
    ("case", "line"),
    ("rest", "origins", 0, 1),
    ("rest", "spans", 0, 0),
    ("rest", "spans", 0, 1),
    ("rest", "spans", 0, 2),
)


@pytest.mark.parametrize("path", NUMBERS)
@pytest.mark.parametrize("value", [HUGE, -HUGE, NO_NUMBER])
def test_a_number_that_is_none_is_a_lost_result(path: tuple[str | int, ...], value: float) -> None:
    heading, line = _lines()
    [result] = _merged([heading, _changed(line, path, value)]).results
    assert result.cut_short and "the part was lost" in result.reason


TEXTS = (
    ("reason",),
    ("kept",),
    ("stdout",),
    ("case", "name"),
    ("case", "file"),
    ("case", "variables", 0),
    ("failures", 0, "difference"),
    ("failures", 0, "about"),
    ("earlier", 0, "reason"),
    ("rest", "not_kept"),
)


@pytest.mark.parametrize("path", TEXTS)
@pytest.mark.parametrize("value", [ESCAPE, 7.5, HUGE])
def test_a_text_commands_no_terminal(path: tuple[str | int, ...], value: object) -> None:
    heading, line = _lines()
    merged = _merged([heading, _changed(line, path, value)])
    for write in WHOLE.values():
        assert "\x1b" not in write(merged.results, seconds=merged.seconds)
    [result] = merged.results
    shown = [*styled_lines(result), *closing_lines(merged.results, seconds=merged.seconds)]
    assert "\x1b" not in "".join(text for _, text in shown)
