"""The watcher: a separate process that inspects a container as long as it runs, and reports what has changed.

Files, ports and processes are inspected again and again; HTTP requests are under way meanwhile, each in a separate
process. Nothing is judged here. SIGTERM, which is blocked as in the worker, says that the container is to be stopped:
then the commands of `pre_stop` are executed, and whoever waits for that stops it.
"""

from __future__ import annotations

import select
import time
from functools import partial

from mydocker.errors import LaunchError
from mydocker.kernel.signals import signal
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.inspect.http import PendingRequest
from mydocker.runtime.inspect.ports import listening
from mydocker.runtime.inspect.processes import list_processes
from mydocker.services.workers.messages import Observed, PreStopEnded, WatcherEnded
from mydocker.services.workers.observe import file_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

    from mydocker.record import Record
    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.runtime.inspect.exec import Exec
    from mydocker.services.health import Health
    from mydocker.services.workers.exec_checks import ExecChecks
    from mydocker.specs.model import ContainerSpec
    from mydocker.specs.model.expect import Expect

INTERVAL = 0.05  # seconds between two inspections
ENDING = 0.2  # seconds from the end of a container's other processes to that of its first
KILLED = 128 + signal.SIGKILL
LONGEST = 1.0  # seconds between two requests; a tenth of the time that it has taken so far, up to that


class Watcher:
    """`report` gets messages: what has changed, in which `began` is a fact once the command runs; and the end."""

    def __init__(
        self,
        spec: ContainerSpec,
        report: Callable[[Record], None],
        *,
        expect: Expect | None = None,
        health: Health | None = None,
    ) -> None:
        self.spec, self.report, self.expect, self.health = spec, report, expect, health
        self.reported: dict[str, Any] = {}
        self.began = time.monotonic()
        self.requests = {request.url: request for request in expect.requests} if expect else {}
        self.due = dict.fromkeys(self.requests, 0.0)
        self.pending: dict[int, tuple[PendingRequest | Exec, Callable[[dict[str, Any]], None]]] = {}  # by descriptor
        self.responses: dict[str, Any] = {}
        self.execs = self._commands()
        self.hooks = [*spec.post_start]

    def _commands(self) -> ExecChecks | None:
        if not self.expect or not self.expect.commands:
            return None
        from mydocker.services.workers.exec_checks import ExecChecks

        return ExecChecks(self.expect)

    def watch(self, view: ContainerView) -> None:
        """Until the container has ended, or this process is. A defect is reported: nothing more will be observed."""
        try:
            self._watch(view)
        except ProcessLookupError:
            self.report(WatcherEnded())
        except LaunchError as error:
            self.report(WatcherEnded(failure=error.message))
        except Exception as error:
            self.report(WatcherEnded(failure=f"the watcher of the container failed: {type(error).__name__}: {error}"))

    def _watch(self, view: ContainerView) -> NoReturn:
        while True:
            began = {"began": True} if view.has_begun() and self._run_hooks(view) else {}
            if began and signal.SIGTERM in signal.sigpending():
                self._run_last_hooks(view)
            self._report_changes(began)  # before what may take long: from now on the batch's clock runs
            health = self.health.facts if self.health else {}
            execs = self.execs.facts if self.execs else {}
            self._report_changes(
                file_facts(self.expect, view, expand=self.spec.expand)
                | self._running_facts(view)
                | self.responses
                | execs
                | health
                | began
            )
            self._begin_requests(view)
            self._begin_healthcheck(view)
            if began:
                self._execute(view)
            self._receive()

    def _run_hooks(self, view: ContainerView) -> bool:
        """Run the commands of `post_start`, once. Raises LaunchError for one that fails."""
        if self.hooks:
            from mydocker.services.hook import run_hooks_of

            hooks, self.hooks = self.hooks, []
            if failure := run_hooks_of(hooks, "post_start", view):
                raise LaunchError(failure)
        return True

    def _run_last_hooks(self, view: ContainerView) -> None:
        """Run the commands of `pre_stop`, once."""
        from mydocker.services.hook import run_hooks_of

        signal.sigtimedwait([signal.SIGTERM], 0)
        try:
            failure = run_hooks_of(self.spec.pre_stop, "pre_stop", view)
        except LaunchError as error:
            failure = error.message
        self.report(PreStopEnded(failure=failure))

    def _report_changes(self, facts: Mapping[str, Any]) -> None:
        changed = {
            name: value for name, value in facts.items() if name not in self.reported or self.reported[name] != value
        }
        self.reported.update(changed)
        if changed:
            self.report(Observed(facts=changed))

    def _running_facts(self, view: ContainerView) -> dict[str, Any]:
        """`ports` and `processes`, if they are expected."""
        facts: dict[str, Any] = {}
        namespaces = view.namespaces
        expect = self.expect
        try:
            if expect and expect.of("ports"):
                facts["ports"] = listening(view.process, namespaces)
            if expect and expect.of("process"):
                facts["processes"] = [[*process.names] for process in list_processes(view.process, namespaces)]
        except ProcessLookupError:
            raise
        except (LookupError, OSError) as error:
            facts["running problem"] = str(error)
        return facts

    def _begin_requests(self, view: ContainerView) -> None:
        """Begin the requests that are due."""
        now = time.monotonic()
        ports = {port.published: port.target for port in self.spec.ports if port.published and port.protocol == "tcp"}
        for url, due in self.due.items():
            if due <= now:
                request = self.requests[url]
                running = PendingRequest(request, network=view.namespaces.get("net"), ports=ports)
                self.pending[running.descriptor] = (running, partial(self._take_response, url))
                self.due[url] = float("inf")

    def _begin_healthcheck(self, view: ContainerView) -> None:
        if self.health and self.health.due <= time.monotonic():
            try:
                test = self.health.run_test(view)
            except LaunchError as error:
                self.health.give_up(error.message)
                return
            self.pending[test.descriptor] = (test, self.health.take)

    def _execute(self, view: ContainerView) -> None:
        """Begin the next command, if one is due."""
        if self.execs and self.execs.due <= time.monotonic():
            started = self.execs.start(view)
            if started:
                number, command = started
                self.pending[command.descriptor] = (command, partial(self._executed, view, number))

    def _executed(self, view: ContainerView, number: int, facts: dict[str, Any]) -> None:
        """Take what came of a command, unless it was killed since the container ends: PID 1 ends after all others have
        been killed (pid_namespaces(7))."""
        assert self.execs
        if facts.get("exit_code") == KILLED:
            ended = select.poll()
            ended.register(view.process, select.POLLIN)
            if ended.poll(ENDING * 1000):
                raise ProcessLookupError
        self.execs.take(number, facts)

    def _receive(self) -> None:
        """Take the results that come before the next inspection, which the first of them hastens.

        They are reported together with what is inspected then: a server that has responded is not to be reported as it
        was before.
        """
        poll = select.poll()
        for descriptor in self.pending:
            poll.register(descriptor, select.POLLIN)
        until = time.monotonic() + INTERVAL
        responded = False
        while not responded and (left := until - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left * 1000 + 1):
                running, action = self.pending[descriptor]
                facts = running.take()
                if facts is not None:
                    responded = True
                    del self.pending[descriptor]
                    poll.unregister(descriptor)
                    action(facts)

    def _take_response(self, url: str, facts: dict[str, Any]) -> None:
        self.responses[f"http {url}"] = facts
        now = time.monotonic()
        self.due[url] = now + min(LONGEST, max(INTERVAL, (now - self.began) / 10))
