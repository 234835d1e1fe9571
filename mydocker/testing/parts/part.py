"""Which part of a batch a machine runs: `--shard K/N`, or `auto`, by what a CI service or a cluster says."""

from __future__ import annotations

import hashlib
import json

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING, Record
from mydocker.services.case import Place
from mydocker.services.schedule import with_needed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mydocker.services.case import Case

MOST_PARTS = 100_000  # parts
# variables of the number of a part, of the first number, and of how many there are (None: only auto/N)
_KNOWN: tuple[tuple[str, int, str | None], ...] = (
    ("CIRCLE_NODE_INDEX", 0, "CIRCLE_NODE_TOTAL"),  # CircleCI, "Built-in environment variables"
    ("BUILDKITE_PARALLEL_JOB", 0, "BUILDKITE_PARALLEL_JOB_COUNT"),  # Buildkite, "Environment variables"
    ("CI_NODE_INDEX", 1, "CI_NODE_TOTAL"),  # GitLab CI/CD, "Predefined variables"
    ("JOB_COMPLETION_INDEX", 0, None),  # Kubernetes, "Job", completionMode: Indexed
)
_ARRAY = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT")  # sbatch(1)


class Part(Record):
    """Part `number` of `count`, from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


WHOLE = Part(number=1, count=1)


def parse_part(text: str, environ: Mapping[str, str]) -> Part:
    """The value of `--shard`: K/N, `auto`, or `auto/N`. Raises UsageError."""
    first, slash, last = text.partition("/")
    count = whole_number(last, MOST_PARTS) if slash else None
    if slash and not count:
        raise _invalid(text)
    if first == "auto":
        return _automatic(environ, count)
    number = whole_number(first, MOST_PARTS)
    if not number or not count:
        raise _invalid(text)
    if number > count:
        raise UsageError(f"--shard {text}: there are {count} parts, from 1 to {count}")
    return Part(number=number, count=count)


def _invalid(text: str) -> UsageError:
    return UsageError(f"--shard {text!r}: expected K/N, such as 2/4, auto or auto/N")


def _automatic(environ: Mapping[str, str], count: int | None) -> Part:
    found = _of_slurm(environ) or _of_service(environ)
    if found is None:
        names = ", ".join(name for name, _, _ in _KNOWN)
        raise UsageError(
            f"--shard auto: nothing says which part this is: none of SLURM_ARRAY_TASK_ID, SLURM_PROCID, {names} is set",
            hint="say it: --shard 1/4",
        )
    name, number, total = found
    count = count or total
    if count is None:
        raise UsageError(f"--shard auto: {name} does not say how many parts there are", hint="say it: --shard auto/4")
    if not 1 <= number <= count:
        raise UsageError(f"--shard auto: {name} says part {number} of {count}")
    return Part(number=number, count=count)


def _of_slurm(environ: Mapping[str, str]) -> tuple[str, int, int | None] | None:
    """(variable, number, how many) of a task of an array, or of a step: outside of one, sbatch sets SLURM_PROCID to 0
    for all tasks."""
    if all(environ.get(name) for name in _ARRAY):
        task, least, count = (_number(environ, name) for name in _ARRAY)
        step = _number(environ, "SLURM_ARRAY_TASK_STEP") if environ.get("SLURM_ARRAY_TASK_STEP") else 1
        return _ARRAY[0], (task - least) // max(step, 1) + 1, count
    if environ.get("SLURM_STEP_ID") and environ.get("SLURM_PROCID"):
        total = _number(environ, "SLURM_STEP_NUM_TASKS") if environ.get("SLURM_STEP_NUM_TASKS") else None
        return "SLURM_PROCID", _number(environ, "SLURM_PROCID") + 1, total
    return None


def _of_service(environ: Mapping[str, str]) -> tuple[str, int, int | None] | None:
    for name, first, total in _KNOWN:
        if environ.get(name):
            count = _number(environ, total) if total and environ.get(total) else None
            return name, _number(environ, name) - first + 1, count
    return None


def _number(environ: Mapping[str, str], name: str) -> int:
    number = whole_number(environ[name], 2**31)
    if number is None:
        raise UsageError(f"--shard auto: {name} is {environ[name]!r}, and no number")
    return number


def divide(cases: Sequence[Case], part: Part) -> list[Case]:
    """Those of CASES, a whole batch, that PART runs, with those that they need; each has its place in the batch."""
    batch, numbers = digest(cases), {case.key: number for number, case in enumerate(cases)}
    return [
        case.replace(place=Place(number=numbers[case.key], of=len(cases), batch=batch, part=str(part)))
        for case in cases_of(cases, part)
    ]


def cases_of(cases: Sequence[Case], part: Part) -> list[Case]:
    """Those of CASES, a whole batch, that PART runs, with those that they need.

    The cases are dealt out one by one: neighbours, which often take the same time, are in different parts.
    """
    return [*cases] if part.count == 1 else with_needed(cases[part.number - 1 :: part.count])


def digest(cases: Sequence[Case]) -> str:
    """What distinguishes the batch of CASES from others: their files, lines and names, wherever it is run."""
    listed = json.dumps([[*case.key, case.ordinal] for case in cases])
    return hashlib.sha256(listed.encode(errors="surrogateescape")).hexdigest()[:16]
