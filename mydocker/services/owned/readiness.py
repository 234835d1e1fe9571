"""Waiting until a container is ready: a function for services/workers/call.py.

A condition that has come true counts, whatever follows. Ports and HTTP are those inside the container's network: they
need not be published.
"""

from __future__ import annotations

import re
import time
from contextlib import ExitStack

from mydocker.errors import LaunchError, UsageError, WaitError
from mydocker.kernel.processes import has_ended
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.inspect.http import PendingRequest
from mydocker.runtime.inspect.ports import listening
from mydocker.runtime.inspect.running_container import open_running
from mydocker.services.containers import RUNNING, directory
from mydocker.services.containers.log_files import LogEntry, read_log
from mydocker.services.health import HEALTHY, UNHEALTHY
from mydocker.specs.model.expect import Request
from mydocker.untrusted import lines_spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.services.containers import Container, ContainerState
    from mydocker.services.owned.lifecycle import Placed

_PAUSE = 0.05  # seconds between two looks at a condition; a tenth of the time that it has taken so far, from that on,
_LONGEST_PAUSE = 1.0  # and no more than this: a server writes each request into its log
_RESPONSE = 5.0  # seconds for one HTTP response
_FAILURE = 400  # the first HTTP status that is none of success
_TAIL = 20  # lines of the log in an error


class Conditions(Record):
    """What is waited for, all of it. `ports` as (number, protocol), `urls` as seen inside the container; a line of the
    log for each pattern of `log`, in this order."""

    ports: tuple[tuple[int, str], ...] = ()
    urls: tuple[str, ...] = ()
    log: tuple[re.Pattern[str], ...] = ()
    health: bool = False


def wait_for(placed: Placed, conditions: Conditions, *, timeout: float, since: str) -> None:
    """Return once all CONDITIONS have come true. Of the log, what was written SINCE that time counts.

    Raises WaitError after TIMEOUT seconds, or when the container has ended; UsageError for what can never come true.
    """
    with ExitStack() as stack:
        _Wait(placed, conditions, timeout, stack).run(since)


class _Wait:
    def __init__(self, placed: Placed, conditions: Conditions, timeout: float, stack: ExitStack) -> None:
        self.placed, self.timeout = placed, timeout
        self.began = time.monotonic()
        self.until = self.began + timeout
        self.view_stack = stack.enter_context(ExitStack())
        self.view: ContainerView | None = None
        self.patterns = list(conditions.log)
        self.ports = dict.fromkeys(conditions.ports, "")  # and what is to be said of each
        self.urls = dict.fromkeys(conditions.urls, "")
        self.health = conditions.health
        self.due = 0.0  # when to look again

    def run(self, since: str) -> None:
        if self.patterns:
            self._await_log(since)
        while True:
            over = self._look()
            if not self._pending():
                return
            self._judge(over)
            time.sleep(max(0.0, min(self.due, self.until) - time.monotonic()))

    def _await_log(self, since: str) -> None:
        """Read the log as it is written until all patterns have matched, or the container has ended."""
        logging = directory.read(self.placed.directory).config.spec.logging
        if logging and logging.driver == "none":
            raise UsageError(f"container {self.placed.title} has no log: its log driver is none")
        for line in joined(read_log(f"{self.placed.directory}/logs", follow=self._goes_on), since=since):
            if self.patterns[0].search(line):
                del self.patterns[0]
                if not self.patterns:
                    return

    def _goes_on(self) -> bool:
        over = self._look()
        if not over:
            self._judge(over)
        return not over

    def _look(self) -> bool:
        """See what has come true by now; whether the container has ended."""
        now = time.monotonic()
        if self.due > now < self.until:
            return False
        container = directory.read(self.placed.directory)
        if container.is_alive and (self.ports or self.urls) and self._open():
            self._look_at_ports()
            self._look_at_urls()
        if self.health:
            self._look_at_health(container)
        self.due = time.monotonic() + min(_LONGEST_PAUSE, max(_PAUSE, (now - self.began) / 10))
        return not container.is_alive

    def _open(self) -> bool:
        """Have a view of the container's present run; whether there is one."""
        if self.view and not has_ended(self.view.process):
            return True
        self.view_stack.close()
        self.view = None
        try:
            self.view = self.view_stack.enter_context(open_running(self.placed.run_dir))
        except LaunchError:
            return False
        return True

    def _look_at_ports(self) -> None:
        assert self.view
        try:
            sockets = listening(self.view.process, self.view.namespaces) if self.ports else {}
        except (ProcessLookupError, LookupError):
            return
        for number, protocol in [*self.ports]:
            addresses = sockets.get(f"{protocol}:{number}", []) + sockets.get(f"{protocol}6:{number}", [])
            if "net" in self.view.namespaces and addresses and all(map(_is_loopback, addresses)):
                self.ports[number, protocol] = f" (only at {addresses[0]}, which nothing outside the container reaches)"
            elif addresses:
                del self.ports[number, protocol]

    def _look_at_urls(self) -> None:
        assert self.view
        for url in [*self.urls]:
            left = min(_RESPONSE, max(0.1, self.until - time.monotonic()))
            request = Request(url=url, timeout=left, verify=False)
            network = self.view.namespaces.get("net")
            user = self.view.namespaces.get("user") if network is not None else None
            pending = PendingRequest(request, network=network, user=user, ports={})
            while (facts := pending.take()) is None:
                pass
            if facts.get("status", _FAILURE) < _FAILURE:
                del self.urls[url]
            else:
                self.urls[url] = f" ({facts['problem']})" if "problem" in facts else f" (status {facts['status']})"

    def _look_at_health(self, container: Container) -> None:
        state = container.state
        if state.health == HEALTHY:
            self.health = False
        elif state.health == UNHEALTHY:
            raise self._error("is unhealthy", state.health_output)
        elif state.status == RUNNING and not state.health:
            hint = 'set healthcheck={"test": COMMAND}'
            raise UsageError(f"container {self.placed.title} has no healthcheck, nor has its image", hint=hint)

    def _pending(self) -> list[str]:
        """What has not come true, in words."""
        found = [f"a line of its log that matches {self.patterns[0].pattern!r}"] if self.patterns else []
        found += [f"port {number}/{protocol} to listen{why}" for (number, protocol), why in self.ports.items()]
        found += [f"a response of {url}{why}" for url, why in self.urls.items()]
        return [*found, "its healthcheck to succeed"] if self.health else found

    def _judge(self, over: bool) -> None:
        """Raise WaitError if there is nothing more to wait for."""
        state = directory.read(self.placed.directory).state
        waited = f", waiting for {'; '.join(self._pending())}"
        if over:
            raise self._error(f"has ended ({_how(state)}){waited}")
        if time.monotonic() >= self.until:
            raise self._error(f"is not ready after {self.timeout:g} s{waited}", state.health_output)

    def _error(self, message: str, more: str = "") -> WaitError:
        log = "\n".join(joined(read_log(f"{self.placed.directory}/logs", tail=_TAIL)))
        parts = [f"its healthcheck: {more}"] if more and (self.health or "unhealthy" in message) else []
        parts.append(f"the end of its log:\n{log}" if log else "its log is empty")
        hint = lines_spelled("\n".join(parts))
        return WaitError(f"container {self.placed.title} {message}", hint=hint, log=log)


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def _how(state: ContainerState) -> str:
    if state.oom_killed:
        return f"out of memory, exit code {state.exit_code}"
    if state.signal:
        return f"killed by signal {state.signal}, exit code {state.exit_code}"
    return f"exit code {state.exit_code}{f': {state.error}' if state.error else ''}"


def joined(entries: Iterator[LogEntry], *, since: str = "", stream: str = "") -> Iterator[str]:
    """The lines of ENTRIES, each without its end; those of one STREAM, if it is set. Long lines come in parts."""
    parts: dict[str, str] = {}
    for entry in entries:
        if entry.time < since or (stream and entry.stream != stream):
            continue
        text = parts.pop(entry.stream, "") + entry.text.decode(errors="surrogateescape")
        if text.endswith("\n"):
            yield text[:-1].removesuffix("\r")
        else:
            parts[entry.stream] = text
    yield from parts.values()
