"""One container of a project while `up` is there: its keeper's messages become lines of output, and its state."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress

from mydocker.errors import LaunchError
from mydocker.kernel.signals import signal
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import EXITED, RUNNING, Container, ContainerState, control, directory

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.services.project import Instance

    Show = Callable[[Instance, bool, bytes], None]  # a line, with its end, and whether it is of stderr

_SETTLED = 0.5  # seconds that a container has run before Compose looks for the first time whether it still does
_LINE_LIMIT = 1 << 16  # bytes without an end of line that are shown as one
_STREAMS = {control.STDOUT: False, control.STDERR: True}


class RunningInstance:
    """The container of INSTANCE, created; `output` is the connection that gets what it writes, `states` that of its
    changes."""

    def __init__(self, instance: Instance, container: Container, *, is_new: bool) -> None:
        self.instance, self.container, self.is_new = instance, container, is_new
        self.state = ContainerState()
        self.output: socket.socket | None = None
        self.states: socket.socket | None = None
        self.begun = self.ended = self.stopping = False
        self.was_running = False  # before this run
        self.settled_at = float("inf")  # when its run counts for those who wait, by time.monotonic()
        self._take(container.state, elapsed=max(0.0, time.time() - container.state.started))
        self._rest: dict[bool, bytes] = {}
        self._requests: list[socket.socket] = []

    def follow(self, output: socket.socket | None) -> None:
        """It has started, or was there. OUTPUT: the connection for its output, if the caller has one."""
        self.begun, self.output = True, output
        self._take(directory.read(self.container.directory).state)  # what is known may be of its run before
        try:
            self.states = control.connect(self.container.directory)
            control.request(self.states, "events")
        except LaunchError:  # it has ended already
            self.close_states()
            self.end()

    def attach(self) -> None:
        """Get its output from now on, of one that was there."""
        with suppress(LaunchError):
            self.output = control.connect(self.container.directory)
            control.request(self.output, "attach")

    def take_state(self) -> None:
        """A change has come."""
        assert self.states
        raw = control.receive(self.states)
        if raw:
            found = json.loads(raw)
            known = {name: value for name, value in found.items() if name in ContainerState.fields}
            self._take(ContainerState(**known))
        else:
            self.close_states()
            self.end()

    def _take(self, state: ContainerState, *, elapsed: float = 0.0) -> None:
        """What it is now; one that runs since then has done so for ELAPSED seconds."""
        before, self.state = self.state, state
        if state.status != RUNNING:
            self.settled_at = float("inf")
        elif before.status != RUNNING or before.started != state.started:
            self.settled_at = time.monotonic() + self._settling() - elapsed

    def _settling(self) -> float:
        """Seconds that it has to run to count: no longer than until Docker would test its health for the first time."""
        check = self.container.config.spec.healthcheck
        first = (check.start_interval if check.start_period else check.interval) if check else None
        return min(_SETTLED, first or _SETTLED)

    def end(self) -> None:
        """It has ended for good."""
        self.ended = True
        self.state = directory.read(self.container.directory).state

    def close_states(self) -> None:
        if self.states:
            self.states.close()
            self.states = None

    def take_output(self, show: Show) -> None:
        """A frame has come; SHOW gets the lines that are complete."""
        assert self.output
        raw = control.receive(self.output)
        if raw[:1] in _STREAMS:
            self._lines(_STREAMS[raw[:1]], raw[1:], show)
        elif not raw or raw[:1] == control.ENDED:
            self.close_output(show)

    def close_output(self, show: Show) -> None:
        """No more comes; a line without an end is shown as one."""
        for is_error, rest in self._rest.items():
            if rest:
                show(self.instance, is_error, rest + b"\n")
        self._rest.clear()
        if self.output:
            self.output.close()
            self.output = None

    def _lines(self, is_error: bool, data: bytes, show: Show) -> None:
        lines = (self._rest.pop(is_error, b"") + data).split(b"\n")
        rest = lines.pop()
        if len(rest) > _LINE_LIMIT:
            lines, rest = [*lines, rest], b""
        for line in lines:
            show(self.instance, is_error, line.removesuffix(b"\r") + b"\n")
        if rest:
            self._rest[is_error] = rest

    def stop(self, timeout: float | None = None) -> None:
        """Ask it to end, and do not wait. TIMEOUT: seconds until it is killed, in place of its own."""
        self._ask("stop", **({} if timeout is None else {"timeout": timeout}))

    def kill(self) -> None:
        """End it at once."""
        self._ask("stop", signal=int(signal.SIGKILL), timeout=0)

    def _ask(self, do: str, **words: float) -> None:
        self.stopping = True
        with suppress(LaunchError, OSError):
            connection = control.connect(self.container.directory)
            self._requests.append(connection)  # whose answer comes at the end, and is not needed
            connection.send(json.dumps({"do": do, **words}).encode())

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and all of its output is here."""
        return self.ended and self.output is None

    @property
    def is_up(self) -> bool:
        return self.begun and not self.ended and self.state.status == RUNNING

    @property
    def is_well(self) -> bool:
        """Whether it runs, and is healthy, if it has a healthcheck."""
        return self.is_up and self.state.health in ("", "healthy")

    @property
    def is_settled(self) -> bool:
        """The same, for long enough that it is not about to end at once."""
        return self.is_well and self.settled_at <= time.monotonic()

    @property
    def failed(self) -> bool:
        return self.ended and (self.state.exit_code != 0 or self.state.status != EXITED)

    def close(self) -> None:
        """Release the connections."""
        for connection in (self.output, self.states, *self._requests):
            if connection:
                connection.close()
        self.output = self.states = None
        self._requests.clear()
