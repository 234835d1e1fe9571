"""A result as a line of a JSONL report, from which `mydocker report` makes it again.

Besides what every report for programs has (report/as_json.py), a line says which case of which batch it is about, and
who ran it when: `number`, `of`, `batch`, `part`, `node`, `time`; and `case` and `rest`, what other reports need.
"""

from __future__ import annotations

import math
import socket
import time

from mydocker.errors import Origin
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.command.outcome import Outcome
from mydocker.services.case import Case, JudgedCase, Place, Span
from mydocker.specs.model import ContainerSpec
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.expect import Command, Expect
from mydocker.testing.report.as_json import as_data
from mydocker.untrusted import clean
from mydocker.verdict.finding import VERDICTS, Failure, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

BROKEN = (ValueError, KeyError, TypeError, AttributeError, OverflowError)


class PartResult(Record):
    """A result that was read, and its `place`, which has a node and a time."""

    result: JudgedCase
    place: Place


def heading(cases: Sequence[Case], *, part: str, batch: str) -> dict[str, Any]:
    """The first line of the report of a part: of which batch of CASES it is, so that those that nobody reports have
    their names."""
    listed = [_described(case) for case in cases]
    return {"part": part, "batch": batch, "of": len(cases), "cases": listed}


def as_line(result: JudgedCase) -> dict[str, Any]:
    """RESULT, of a case that has a place, at the moment at which it is there."""
    place = result.case.place
    assert place
    last = result.spans[-1] if result.spans else None
    return {
        **as_data(result),
        **place.as_dict(),
        "node": place.node or socket.gethostname(),
        "time": place.time or round(time.time() - (last.seconds if last else 0.0), 3),
        "case": _described(result.case),
        "rest": {
            "origins": [[clean(each.origin.file), each.origin.line, each.origin.column] for each in result.failures],
            "spans": [[span.slot, round(span.began, 6), round(span.seconds, 6)] for span in result.spans],
            "cut": [*result.finding.cut],
            "not_kept": clean(result.finding.not_kept),
            "unbegun": result.unbegun,
            "cut_short": result.cut_short,
        },
    }


def _described(case: Case) -> dict[str, Any]:
    """What makes its name, its address and the command that runs it again."""
    return {
        "file": clean(case.file),
        "line": case.line,
        "name": clean(case.spec.name) if case.spec.name else None,
        "ordinal": case.ordinal,
        "matrix": {clean(name): clean(value) for name, value in case.spec.matrix.items()},
        "options": [clean(word) for word in case.options],
        "variables": [*case.variables],
    }


def case_of(described: dict[str, Any], number: int) -> Case:
    """The case that a heading or a line describes. Raises one of BROKEN."""
    name, file, line = described["name"], str(described["file"]), int(described["line"])
    container = ContainerSpec(name=None if name is None else str(name), origin=Origin(file=file, line=line))
    matrix = {str(key): str(value) for key, value in described["matrix"].items()}
    return Case(
        number=number,
        spec=CaseSpec(container=container, matrix=matrix),
        file=file,
        line=line,
        options=tuple(map(str, described["options"])),
        variables=tuple(map(str, described["variables"])),
        ordinal=int(described["ordinal"]),
    )


def from_line(data: dict[str, Any]) -> PartResult:
    """The opposite of `as_line`. Raises one of BROKEN for what is no such line."""
    place = _place(data)
    case, rest = case_of(data["case"], place.number), data["rest"]
    if data["verdict"] not in VERDICTS or not 0 <= place.number < place.of:
        raise ValueError(data["verdict"])
    executed = data["exec"]
    commands = tuple(Command(argv=tuple(map(str, each["command"]))) for each in executed)
    expect = Expect(commands=commands) if commands else None
    facts = {
        f"exec {number}": {name: value for name, value in each.items() if name != "command"}
        for number, each in enumerate(executed)
    }
    result = JudgedCase(
        case=case.replace(spec=case.spec.replace(expect=expect), place=place),
        verdict=data["verdict"],
        failures=_failures(data, rest["origins"]),
        reason=str(data["reason"]),
        finding=Finding(
            outcome=_outcome(data["outcome"]),
            stdout=str(data["stdout"]),
            stderr=str(data["stderr"]),
            cut=tuple(map(str, rest["cut"])),
            facts=facts,
            seconds=_number(data["seconds"]),
            kept=str(data["kept"] or ""),
            not_kept=str(rest["not_kept"]),
        ),
        attempts=int(data["attempts"]),
        spans=tuple(
            Span(slot=int(slot), began=_number(began), seconds=_number(took)) for slot, began, took in rest["spans"]
        ),
        earlier=tuple(_attempt(each, case) for each in data["earlier"]),
        unbegun=bool(rest["unbegun"]),
        cut_short=bool(rest.get("cut_short")),
    )
    return PartResult(result=result, place=place)


def _place(data: dict[str, Any]) -> Place:
    return Place(
        number=int(data["number"]),
        of=int(data["of"]),
        batch=str(data["batch"]),
        part=str(data["part"]),
        node=str(data["node"]),
        time=_number(data["time"]),
    )


def _number(value: Any) -> float:
    """VALUE as a finite number: Python's JSON has others, which no report can show. Raises ValueError, TypeError."""
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(value)
    return found


def _attempt(data: dict[str, Any], case: Case) -> JudgedCase:
    return JudgedCase(
        case=case,
        verdict=data["verdict"],
        failures=_failures(data),
        reason=str(data["reason"]),
        finding=Finding(stdout=str(data["stdout"]), stderr=str(data["stderr"])),
    )


def _outcome(data: dict[str, Any] | None) -> Outcome | None:
    if data is None:
        return None
    known = {name: value for name, value in data.items() if name in Outcome.fields}
    return Outcome(**{**known, "ports": tuple(known.get("ports") or ())})


def _failures(data: dict[str, Any], origins: list[Any] | None = None) -> tuple[Failure, ...]:
    """Without ORIGINS, the place as it is written is all that is known of each."""
    places = origins or [[each["place"], 0, 0] for each in data["failures"]]
    return tuple(
        Failure(
            origin=Origin(file=str(file), line=int(line), column=int(column)),
            **{name: str(each[name]) for name in Failure.fields if name in each},
        )
        for each, (file, line, column) in zip(data["failures"], places, strict=True)
    )
