"""The results of a batch from the JSONL reports of its parts: none is lost without an error."""

from __future__ import annotations

import json

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.services.case import JudgedCase, Place, Span
from mydocker.testing.batch.batch import INTERRUPTED
from mydocker.testing.parts.line import BROKEN, PartResult, case_of, from_line
from mydocker.verdict.finding import ERROR, FAILED, PASSED, SKIPPED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

_WORSE = (PASSED, SKIPPED, ERROR, FAILED)  # from the best to the worst
_MOST = 1_000_000  # cases of a batch


class Merged(Record):
    """A whole batch, its results in the order of the cases, and how long it took from the first begin to the last
    end."""

    results: tuple[JudgedCase, ...]
    seconds: float


class Merge:
    """Takes the lines of reports, each with `add`. WARN gets what is said about lines that cannot be read."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.warn = warn
        self.batch = ""
        self.of = 0
        self.listed: list[dict[str, Any]] = []
        self.divisions: dict[int, set[int]] = {}  # by the number of parts, the parts that have said anything
        self.found: dict[int, list[PartResult]] = {}
        self.lines = 0  # that could be read
        self.unread: dict[str, list[int]] = {}  # by the path of a file, the numbers of those that could not

    def add(self, path: str, lines: Iterable[bytes]) -> None:
        """The LINES of the report in file PATH. Raises UsageError if it is of another batch, or no such report."""
        before = self.lines
        for number, raw in enumerate(lines, start=1):
            self.add_line(path, number, raw)
        self.name_unread()
        if self.lines == before:
            self.warn(f"{path} has no results")

    def add_line(self, path: str, number: int, raw: bytes) -> PartResult | None:
        """Line NUMBER, from 1, of the report in file PATH: the result in it, if any. Raises UsageError if it is
        of another batch."""
        found = None
        try:
            data = dict(json.loads(raw))
            self._is_of_this(path, data)
            if "cases" in data:
                self._head(data)
            else:
                found = from_line(data)
                self.found.setdefault(found.place.number, []).append(found)
            self.lines += 1
        except (*BROKEN, RecursionError):
            self.unread.setdefault(path, []).append(number)
        return found

    def name_unread(self) -> None:
        """Warn of the lines that could not be read since the last time."""
        for path, (first, *others) in self.unread.items():
            more = f", as are {len(others)} others" if others else ""
            self.warn(f"{path}:{first}: this line is torn, or of no JSONL report, and left out{more}")
        self.unread.clear()

    def _is_of_this(self, path: str, data: dict[str, Any]) -> None:
        batch, of = str(data["batch"]), int(data["of"])
        if not 0 < of <= _MOST:
            raise ValueError(of)
        number, count = (int(word) for word in str(data["part"]).split("/"))
        if not 1 <= number <= count:
            raise ValueError(data["part"])
        if self.batch and (batch, of) != (self.batch, self.of):
            hint = "parts of one batch have the same spec files and the same options that choose cases"
            raise UsageError(f"{path} is of another batch than the reports before it", hint=hint)
        self.batch, self.of = batch, of
        self.divisions.setdefault(count, set()).add(number)

    def _head(self, data: dict[str, Any]) -> None:
        if len(data["cases"]) != self.of:
            raise ValueError(self.of)
        self.listed = self.listed or [dict(each) for each in data["cases"]]

    def result(self, number: int) -> JudgedCase | None:
        """That of case NUMBER, as far as it has been reported by now."""
        found = self.found.get(number)
        return _chosen(found).result if found else None

    def finish(self, reasons: Mapping[int, str] = {}) -> Merged:
        """All results; for a case that no part has reported, an error. REASONS: why parts, by their numbers, did not
        report all. Raises UsageError if there is no line at all."""
        if not self.of:
            raise UsageError("there is no result in these files", hint="they are reports of 'test --report jsonl=FILE'")
        chosen = {number: _chosen(found) for number, found in self.found.items()}
        began = {
            key: min(each.place.time - each.result.began for each in group) for key, group in _runs(chosen).items()
        }
        lanes = _lanes(chosen)
        first = min((each.place.time for each in chosen.values() if each.result.spans), default=0.0)
        results, end = [], first
        for number in range(self.of):
            if number not in chosen:
                results.append(self._missing(number, reasons))
                continue
            one = chosen[number]
            offset = began[_run(one)] - first
            spans = tuple(_moved(span, offset, lanes[_run(one)]) for span in one.result.spans)
            results.append(_explained(one, reasons).replace(spans=spans))
            end = max(end, *(first + span.began + span.seconds for span in spans)) if spans else end
        return Merged(results=tuple(results), seconds=end - first)

    def _missing(self, number: int, reasons: Mapping[int, str]) -> JudgedCase:
        """An error in place of the result of case NUMBER."""
        count = max(self.divisions)
        why = reasons.get(number % count + 1)
        place = Place(number=number, of=self.of, batch=self.batch, part=f"{number % count + 1}/{count}")
        parts = [f"part {number % count + 1}/{count}" for count in sorted(self.divisions) if count > 1]
        named = {
            "file": "",
            "line": 0,
            "name": f"case {number + 1} of {self.of}",
            "ordinal": 0,
            "matrix": {},
            "options": [],
            "variables": [],
        }
        case = case_of(self.listed[number] if self.listed else named, number)
        whose = f": {' or '.join(parts)} has not reported it" if parts else ""
        reason = f"not run to its end: {why}" if why else f"no result of it is in these files{whose}"
        return JudgedCase(case=case.replace(place=place), verdict=ERROR, reason=reason, attempts=0, cut_short=True)


def _chosen(found: Sequence[PartResult]) -> PartResult:
    """Of several results of one case: of two attempts of a part the later, of two parts the worse; one that has ended
    rather than one that was cut short, and that rather than one that has not run."""
    ran = [each for each in found if each.result.has_ended]
    ran = ran or [each for each in found if not each.result.unbegun] or [*found]
    latest: dict[str, PartResult] = {}
    for each in sorted(ran, key=lambda one: one.place.time):
        latest[each.place.part] = each
    return max(latest.values(), key=lambda each: _WORSE.index(each.result.verdict))


def _explained(one: PartResult, reasons: Mapping[int, str]) -> JudgedCase:
    """The result, with the reason why its part was ended, if it was."""
    result = one.result
    why = reasons.get(int(one.place.part.partition("/")[0]))
    is_interrupted = not result.has_ended and INTERRUPTED in result.reason
    return result.replace(reason=f"{result.reason}: {why}") if why and is_interrupted else result


def _run(one: PartResult) -> tuple[str, str]:
    return one.place.part, one.place.node


def _runs(chosen: dict[int, PartResult]) -> dict[tuple[str, str], list[PartResult]]:
    runs: dict[tuple[str, str], list[PartResult]] = {}
    for each in chosen.values():
        runs.setdefault(_run(each), []).append(each)
    return runs


def _lanes(chosen: dict[int, PartResult]) -> dict[tuple[str, str], int]:
    """The number of the first lane of each part and node on a time line."""
    lanes, following = {}, 0
    for run, group in sorted(_runs(chosen).items(), key=lambda item: (item[0][1], item[0][0])):
        lanes[run] = following
        following += 1 + max((span.slot for each in group for span in each.result.spans), default=0)
    return lanes


def _moved(span: Span, offset: float, lane: int) -> Span:
    return span.replace(slot=span.slot + lane, began=max(0.0, span.began + offset))
