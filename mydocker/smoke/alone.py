"""One case, run for a program that is not ours: it may have threads, and we must not take its signals.

A fork of such a program would inherit locks that nobody ever opens, so the worker is a fresh interpreter. The spec goes
to it as a pickle in memory; what it says comes back as it does in a batch. An exception in the waiting program, such as
KeyboardInterrupt, ends the container before it goes on its way.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import select
import sys

from mydocker.errors import HostError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.signals import send, signal
from mydocker.smoke.case import PASSED
from mydocker.smoke.judge import judge
from mydocker.smoke.underway import KEPT, Underway
from mydocker.smoke.worker import Worker, work

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from mydocker.smoke.case import Case, Failure, Finding, Result
    from mydocker.spec.container import ContainerSpec

INSIST = 100  # milliseconds after which a container that was asked to end is asked again, and so killed (supervise.py)
_FINDING, _REQUEST = 3, 4  # descriptors in the worker
_ABOVE = 10  # from where on ours cannot be mistaken for those
_PROGRAM = "import sys; sys.path += sys.argv[1:]; from mydocker.smoke.alone import main; main()"


def run_alone(
    case: Case, *, environ: Mapping[str, str], capture: bool = True, kept: int = KEPT
) -> tuple[Finding, tuple[Failure, ...] | None]:
    """Run CASE to its end: what was found, and what did not hold of that which was judged while it ran.

    Without CAPTURE, the container writes to our own stdout and stderr. KEPT: bytes of each output, of which more is
    dropped. Raises HostError if there is no interpreter to run it.
    """
    run = Underway(case, _spawn(case.spec, environ=environ, capture=capture), attempt=1, kept=kept)
    try:
        _until_end(run)
    except BaseException:
        _end(run)
        raise
    finally:
        finding = run.finish()
    return finding, run.live


def examine(case: Case, *, environ: Mapping[str, str]) -> Result:
    """The verdict on CASE, which is tried again as often as it says.

    A case that needs others, or that others need, is run with them. Raises HostError as `run_alone` does.
    """
    if case.needs or case.partner:
        from mydocker.smoke.together import examine_together

        return examine_together(case, environ=environ)
    for attempt in range(1, case.spec.retries + 2):
        finding, live = run_alone(case, environ=environ)
        result = judge(case, finding, attempts=attempt, live=live)
        if result.verdict == PASSED:
            break
    return result


def _until_end(run: Underway) -> None:
    poll = select.poll()
    for descriptor in (run.worker.pidfd, *run.heard):
        poll.register(descriptor, select.POLLIN)
    while True:
        patience = run.patience()
        for descriptor, _ in poll.poll(None if patience is None else patience * 1000 + 1):
            if descriptor == run.worker.pidfd:
                return
            if not run.hear(descriptor):
                poll.unregister(descriptor)
        run.watch()


def _end(run: Underway) -> None:
    """Ask the container to end, and then have it killed; what it still writes is let go."""
    ended = select.poll()
    ended.register(run.worker.pidfd, select.POLLIN)
    try:
        send(run.worker.pidfd, signal.SIGINT)
        while not ended.poll(INSIST):
            for descriptor in run.heard:
                run.hear(descriptor)
            send(run.worker.pidfd, signal.SIGINT)
    except BaseException:
        send(run.worker.pidfd, signal.SIGKILL)  # its janitor ends the container
        raise


def _spawn(spec: ContainerSpec, *, environ: Mapping[str, str], capture: bool) -> Worker:
    """Start the worker. What it gets are descriptors above its own, so that none lands on another."""
    if not sys.executable:
        raise HostError("cannot start a container: Python does not know its own program (sys.executable)")
    pipes = [_pipe() if wanted else (-1, -1) for wanted in (capture, capture, True)]
    request = _letter((spec, os.getpid()))
    written = [(os.POSIX_SPAWN_DUP2, writer, number) for number, (_, writer) in enumerate(pipes, 1) if writer >= 0]
    stdin = [] if spec.stdin_open else [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = [here, *(os.path.abspath(place) for place in sys.path if place)]
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _PROGRAM, *path],
            environ,
            file_actions=[*stdin, *written, (os.POSIX_SPAWN_DUP2, request, _REQUEST)],
            setsigmask=[],
        )
    except OSError as error:
        for reader, _ in pipes:
            if reader >= 0:
                os.close(reader)
        raise HostError(f"cannot start {sys.executable}: {error.strerror}") from None
    finally:
        for descriptor in (request, *(writer for _, writer in pipes if writer >= 0)):
            os.close(descriptor)
    stdout, stderr, finding = (reader for reader, _ in pipes)
    return Worker(pid=pid, pidfd=os.pidfd_open(pid), stdout=stdout, stderr=stderr, finding=finding)


def _pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    return _raised(reader), _raised(writer)


def _letter(content: object) -> int:
    """A file in memory that has CONTENT: unlike a pipe it takes any size before somebody reads."""
    descriptor = _raised(os.memfd_create("request"))
    with open(descriptor, "wb", closefd=False) as file:
        pickle.dump(content, file)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _raised(descriptor: int) -> int:
    """DESCRIPTOR under a number that no worker uses."""
    raised = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
    os.close(descriptor)
    return raised


def main() -> NoReturn:
    """The worker's own beginning."""
    os.closerange(_REQUEST + 1, os.sysconf("SC_OPEN_MAX"))  # what our parent lets its children inherit
    with open(_REQUEST, "rb") as file:
        spec, parent = pickle.load(file)
    os.set_inheritable(_FINDING, False)
    work(spec, environ=os.environ, parent=parent, finding=_FINDING)
