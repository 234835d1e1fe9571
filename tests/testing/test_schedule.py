"""What a large batch costs: the work grows as the cases do, counted in calls of functions, not in seconds."""

from __future__ import annotations

import os
import pathlib
import sys
import time
from collections.abc import Callable
from types import FrameType

import pytest
from lab.command import Command
from lab.counting import calls

from mydocker.errors import Origin
from mydocker.runtime.command.outcome import Outcome
from mydocker.services.case import Case, JudgedCase, cases_of
from mydocker.services.schedule import Schedule, with_needed
from mydocker.specs.model import ContainerSpec
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.parts import COMPLETED, HEALTHY, STARTED, Dependency, Healthcheck
from mydocker.testing.cases.collect import with_variables
from mydocker.testing.report.junit import junit
from mydocker.verdict.finding import PASSED, Finding


def _specs(count: int, needs: Callable[[int], list[tuple[int, str]]], *, skip: int = 0) -> list[CaseSpec]:
    return [
        CaseSpec(
            container=ContainerSpec(
                name=f"n{number}",
                origin=Origin(file=f"{number}.yaml", line=1),
                rootfs="/",
                healthcheck=Healthcheck(test=("true",)),
            ),
            skip="no" if skip and number % skip == 0 else None,
            depends_on=tuple(
                Dependency(name=f"n{on}", condition=condition, origin=Origin(line=1, column=1))
                for on, condition in needs(number)
            ),
        )
        for number in range(count)
    ]


SHAPES: dict[str, Callable[[int], list[tuple[int, str]]]] = {
    "alone": lambda number: [],
    "one service for all": lambda number: [(0, STARTED)] if number else [],
    "one that is healthy for all": lambda number: [(0, HEALTHY)] if number else [],
    "one that is over before all": lambda number: [(0, COMPLETED)] if number else [],
    "one that is over before all, and comes last": lambda number: [(999_999, COMPLETED)],
    "chains": lambda number: [(number - 1, COMPLETED)] if number % 50 else [],
    "services in chains": lambda number: [(number - 1, STARTED)] if number % 50 else [],
}


def _run(cases: list[Case]) -> list[JudgedCase]:
    """As a batch runs them, two at once; what serves others goes on until nobody needs it."""
    schedule, results = Schedule(cases, skipped={case.number: case.spec.skip for case in cases if case.spec.skip}), []
    running: list[Case] = []
    while schedule.waiting or running:
        schedule.see({case.number: {"began": True, "health": "healthy"} for case in running})
        results += schedule.hopeless()
        running += [case for case, _ in schedule.take(slots=2 - sum(not schedule.is_service(each) for each in running))]
        for case in [*running]:
            if schedule.is_service(case) and not schedule.is_released(case):
                continue
            running.remove(case)
            results.append(JudgedCase(case=case, verdict=PASSED, finding=Finding(outcome=Outcome(exit_code=0))))
            schedule.conclude(results[-1])
    return results


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("skip", [0, 3])
def test_twice_as_many_cases_are_twice_the_work(shape: str, skip: int) -> None:
    counts = []
    for count in (200, 400):
        needs = [
            [(min(on, count - 1), how) for on, how in SHAPES[shape](number) if min(on, count - 1) != number]
            for number in range(count)
        ]
        cases = cases_of(_specs(count, needs.__getitem__, skip=skip))
        assert len(_run(cases)) == count
        counts.append(calls(lambda cases=cases: _run(cases)) + calls(lambda cases=cases: with_needed(cases)))
    assert counts[1] < 2.2 * counts[0], counts


def _lines_executed(action: Callable[[], object]) -> int:
    """How many lines of Python ACTION executes, those of comprehensions included."""
    lines = 0

    def note(frame: FrameType, event: str, argument: object) -> FrameType | object:
        nonlocal lines
        lines += event == "line"
        return note

    sys.settrace(note)
    try:
        action()
    finally:
        sys.settrace(None)
    return lines


@pytest.mark.parametrize("files", ["one each", "one for all"])
@pytest.mark.parametrize("what", ["junit", "variables"])
def test_twice_as_many_files_are_twice_the_work(tmp_path: pathlib.Path, what: str, files: str) -> None:
    """Of JUnit's report, which has a suite for each, and of looking for the variables that each case uses."""
    counts = []
    (tmp_path / "all.yaml").write_text("image: a\n---\n" * 400)
    for count in (200, 400):
        cases = cases_of(_specs(count, SHAPES["alone"]))
        if files == "one for all":
            cases = [case.replace(file=f"{tmp_path}/all.yaml", line=2 * case.number + 1) for case in cases]
        results = [JudgedCase(case=case, verdict=PASSED) for case in cases]
        actions: dict[str, Callable[[], object]] = {
            "junit": lambda results=results: junit(results, seconds=1.0),  # type: ignore[misc]
            "variables": lambda cases=cases: with_variables(cases, {"A": "b"}),  # type: ignore[misc]
        }
        counts.append(_lines_executed(actions[what]))
    assert counts[1] < 2.2 * counts[0], counts


@pytest.mark.root
def test_the_time_of_the_summary_is_the_time_that_passed(alpine: Command, tmp_path: pathlib.Path) -> None:
    """With what it takes to read the files before anything runs: here, a FIFO that somebody fills late."""
    (tmp_path / "x.smoke.yaml").write_text("image: alpine\ncommand: ['true']\nenv_file: [./late]\n")
    fifo = tmp_path / "late"

    os.mkfifo(fifo)
    process = alpine.start("test", "x.smoke.yaml", cwd=tmp_path)
    with fifo.open("w") as file:  # opened once it is being read
        time.sleep(1)
        file.write("A=b\n")
    stdout, _ = process.communicate(timeout=240)
    seconds = float(stdout.decode().rsplit(" in ", 1)[1].split()[0])
    assert (process.returncode, seconds >= 1) == (0, True)
