"""Several cases, judged for a Python program: a batch in a fresh process, whose results come back whole.

An exception in the waiting program, such as KeyboardInterrupt, ends the batch and its containers.
"""

from __future__ import annotations

import os

from mydocker.errors import HostError
from mydocker.record import TYPE_CHECKING
from mydocker.services.schedule import with_needed
from mydocker.services.workers import interpreter
from mydocker.services.workers.worker import settle
from mydocker.testing.batch.batch import Batch, Limits
from mydocker.testing.batch.spawner import Spawner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from mydocker.services.case import Case, JudgedCase


def examine(
    cases: Sequence[Case], *, environ: Mapping[str, str], limits: Limits | None = None
) -> dict[tuple[str, str], JudgedCase]:
    """The results of CASES, and of all that they need, by their keys, in their order. Raises HostError if there is no
    interpreter for the batch, or if that is killed."""
    limits = limits or Limits(jobs=len(os.sched_getaffinity(0)))
    process = interpreter.start(__name__, (with_needed(cases), limits), environ=environ, capture=False, stdin=False)
    results: list[JudgedCase] | str | None = interpreter.receive(process)
    if results is None:
        raise HostError("the batch was killed before it reported a result")
    if isinstance(results, str):
        raise HostError(f"the batch failed: {results}")
    return {result.case.key: result for result in sorted(results, key=lambda result: result.case.number)}


def work_on(content: tuple[Sequence[Case], Limits], parent: int) -> NoReturn:
    """Be the batch."""
    try:
        settle(parent)
        interpreter.reply(_results(*content))
    finally:
        os._exit(0)


def _results(cases: Sequence[Case], limits: Limits) -> list[JudgedCase] | str:
    """Their results; or a defect of mydocker."""
    try:
        with Spawner(os.environ) as spawner:
            return [*Batch(cases, limits=limits, spawner=spawner).results()]
    except Exception as error:  # a defect, reported to the program
        return f"{type(error).__name__}: {error}"
