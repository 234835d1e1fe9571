"""Services: containers that run in the background of a sequence, for as long as others need them.

Each has a worker, and writes to mydocker's stdout and stderr. Nothing of theirs outlives the `with`: they are stopped
as `docker stop` stops them, and killed with the worker if even the waiting is interrupted.
"""

from __future__ import annotations

import select

from mydocker.kernel.processes import has_ended
from mydocker.kernel.signals import send, signal
from mydocker.record import TYPE_CHECKING
from mydocker.services.workers.attempt import CLEARING, Attempt
from mydocker.services.workers.worker import Role, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mydocker.services.case import Case
    from mydocker.verdict.finding import Finding


class Services:
    """Context manager: those that run, by their cases' keys."""

    def __init__(self, *, environ: Mapping[str, str], warn: Callable[[str], None]) -> None:
        """WARN is called with what went wrong without keeping a service from its end."""
        self.environ, self.warn = environ, warn
        self.running: dict[tuple[str, str], Attempt] = {}

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *_: object) -> None:
        for key in reversed([*self.running]):
            self.stop(key)

    def begin(self, case: Case, *, health: bool) -> None:
        worker = start(case.spec.container, environ=self.environ, role=Role(service=True, health=health))
        self.running[case.key] = Attempt(case, worker, attempt=1, service=True)

    def wait(self) -> Iterator[tuple[Case, Finding]]:
        """Until there is news of any; those that have ended by themselves."""
        poll = select.poll()
        for run in self.running.values():
            poll.register(run.worker.pidfd, select.POLLIN)
            poll.register(run.worker.finding, select.POLLIN)
            if run.watching >= 0 and not (run.unjudged or run.watched):
                poll.register(run.watching, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll()}
        # now: the number of what one that ends here closes may be given to what the next one opens
        ended = {key for key, run in self.running.items() if run.watching in ready}
        for key, run in [*self.running.items()]:
            if run.worker.finding in ready:
                run.receive(run.worker.finding)
            if key in ended and not run.over:
                run.end_of_watcher()
            if run.worker.pidfd in ready:
                del self.running[key]
                yield run.case, _found(run)

    def stop(self, key: tuple[str, str]) -> Finding:
        """Stop it, and wait for its end; its worker kills it if it takes longer than its grace."""
        run = self.running[key]
        try:
            self._request_stop(run)
            if not has_ended(run.worker.pidfd, run.case.spec.container.stop_grace_period + CLEARING):
                send(run.worker.pidfd, signal.SIGKILL)  # it is stopped, perhaps
                run.killed = True
        except BaseException:
            send(run.worker.pidfd, signal.SIGKILL)  # its cleanup process ends the container
            raise
        finally:
            del self.running[key]
            finding = _found(run)
        return finding

    def _request_stop(self, run: Attempt) -> None:
        """Stop it, once the commands of `pre_stop` have ended, if it has some."""
        if not run.held:
            send(run.worker.pidfd, signal.SIGTERM)
            return
        run.release()
        while run.parting and not run.over:
            poll = select.poll()
            for descriptor in (run.worker.finding, run.watching):
                poll.register(descriptor, select.POLLIN)
            if run.worker.finding in (descriptor for descriptor, _ in poll.poll()):
                run.receive(run.worker.finding)
            else:
                run.end_of_watcher()
        for text in run.warnings:
            self.warn(text)


def _found(run: Attempt) -> Finding:
    """What came of RUN, which has ended; of one that could not be watched to its end, why."""
    finding = run.finish()
    return finding.replace(outcome=None, problem=run.unjudged) if run.unjudged else finding
