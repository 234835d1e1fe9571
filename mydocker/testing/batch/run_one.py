"""One spec, run for a Python program, by a worker that is a fresh process.

An exception in the waiting program, such as KeyboardInterrupt, ends the container before it is raised further.
"""

from __future__ import annotations

import os
import select
import sys

from mydocker.kernel.signals import send, signal
from mydocker.record import TYPE_CHECKING
from mydocker.services.case import Case
from mydocker.services.workers import interpreter
from mydocker.services.workers.attempt import INSIST, LAST_RESORT, Attempt
from mydocker.services.workers.worker import Worker, work
from mydocker.specs.model.case import CaseSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from mydocker.specs.model import ContainerSpec
    from mydocker.verdict.finding import Finding


class CancelledRunError(Exception):
    """The run was to be cancelled, and its container has ended."""


def run_one(spec: ContainerSpec, *, environ: Mapping[str, str], capture: bool, cancel: int = -1) -> Finding:
    """Run SPEC to its end: what was found.

    Without CAPTURE, the container writes to the program's stdout and stderr. Once descriptor CANCEL is readable, the
    container is ended, and CancelledRunError raised. Raises HostError if there is no interpreter to run it.
    """
    case = Case(number=0, spec=CaseSpec(container=spec), file=str(spec.origin), line=0)
    process = interpreter.start(__name__, spec, environ=environ, capture=capture, stdin=spec.stdin_open)
    worker = Worker(
        pid=process.pid,
        pidfd=process.pidfd,
        stdout=process.stdout,
        stderr=process.stderr,
        finding=process.result,
    )
    run = Attempt(case, worker, attempt=1, kept=sys.maxsize)
    try:
        _until_end(run, cancel)
    except BaseException:
        _end(run)
        raise
    finally:
        finding = run.finish()
    return finding


def _until_end(run: Attempt, cancel: int) -> None:
    poll = select.poll()
    for descriptor in (run.worker.pidfd, *run.received, *([cancel] if cancel >= 0 else [])):
        poll.register(descriptor, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == run.worker.pidfd:
                return
            if descriptor == cancel:
                raise CancelledRunError
            if not run.receive(descriptor):
                poll.unregister(descriptor)


def _end(run: Attempt) -> None:
    """Stop the container, and kill it after that; what it still writes is discarded."""
    ended = select.poll()
    ended.register(run.worker.pidfd, select.POLLIN)
    try:
        run.end_within(LAST_RESORT)
        run.insist()
        while not ended.poll(INSIST * 1000):
            for descriptor in run.received:
                run.receive(descriptor)
            run.insist()
    except BaseException:
        send(run.worker.pidfd, signal.SIGKILL)  # its cleanup process ends the container
        raise


def work_on(spec: ContainerSpec, parent: int) -> NoReturn:
    """Be the worker."""
    work(spec, environ=os.environ, parent=parent, finding=interpreter.RESULT)
