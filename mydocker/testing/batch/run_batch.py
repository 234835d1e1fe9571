"""Several cases, judged for a program that is not ours: a batch in a fresh process, whose results come back whole.

An exception in the waiting program, such as KeyboardInterrupt, ends the batch and its containers.
"""

from __future__ import annotations

import os
import pickle
import select
from contextlib import suppress

from mydocker.errors import HostError
from mydocker.kernel.signals import send, signal
from mydocker.record import TYPE_CHECKING
from mydocker.services.schedule import with_needed
from mydocker.services.workers import interpreter
from mydocker.services.workers.worker import settle
from mydocker.testing.batch.batch import Batch, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from mydocker.services.case import Case, Result

_CHUNK = 1 << 16
_COURTESY = 10_000  # milliseconds for a batch that was interrupted to end its containers


def examine(
    cases: Sequence[Case], *, environ: Mapping[str, str], limits: Limits | None = None
) -> dict[tuple[str, str], Result]:
    """The results of CASES, and of all that they need, by their keys, in their order. Raises HostError if there is no
    interpreter for the batch, or if that is killed."""
    limits = limits or Limits(jobs=len(os.sched_getaffinity(0)))
    process = interpreter.start(__name__, (with_needed(cases), limits), environ=environ, capture=False, stdin=False)
    answer = receive(process)
    if not answer:
        raise HostError("the batch was killed before it reported a result")
    results: list[Result] | str = pickle.loads(answer)
    if isinstance(results, str):
        raise HostError(f"the batch failed: {results}")
    return {result.case.key: result for result in sorted(results, key=lambda result: result.case.number)}


def receive(process: interpreter.Fresh) -> bytes:
    """All that PROCESS answers, to its end; nothing, if it was killed. An exception meanwhile ends it."""
    try:
        return _hear(process)
    except BaseException:
        _end(process)
        raise
    finally:
        with suppress(ChildProcessError):  # our program waits for all its children elsewhere
            os.waitpid(process.pid, 0)
        os.close(process.answer)
        os.close(process.pidfd)


def _hear(process: interpreter.Fresh) -> bytes:
    os.set_blocking(process.answer, True)
    parts = []
    while part := os.read(process.answer, _CHUNK):
        parts.append(part)
    return b"".join(parts)


def _end(process: interpreter.Fresh) -> None:
    ended = select.poll()
    ended.register(process.pidfd, select.POLLIN)
    try:
        send(process.pidfd, signal.SIGINT)
        os.set_blocking(process.answer, True)
        while os.read(process.answer, _CHUNK):
            pass
        ended.poll(_COURTESY)
    finally:
        send(process.pidfd, signal.SIGKILL)  # its workers, and so their containers, end with it


def work_on(content: tuple[Sequence[Case], Limits], parent: int) -> NoReturn:
    """Be the batch."""
    try:
        settle(parent)
        _tell(_results(*content))
    finally:
        os._exit(0)


def _results(cases: Sequence[Case], limits: Limits) -> list[Result] | str:
    """What they come to; or what is wrong with us."""
    try:
        return [*Batch(cases, limits=limits, environ=os.environ).results()]
    except Exception as error:  # a defect of ours, told where somebody sees it
        return f"{type(error).__name__}: {error}"


def _tell(answer: object) -> None:
    with open(interpreter.ANSWER, "wb") as file:
        pickle.dump(answer, file)
