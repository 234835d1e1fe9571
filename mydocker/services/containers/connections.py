"""Those who speak with a keeper over its socket, in the loop that the keeper runs at that time."""

from __future__ import annotations

import json
import select
import socket
import time
from contextlib import suppress

from mydocker.errors import MydockerError
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import control
from mydocker.services.containers.output import INPUT_LIMIT, Attached

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from mydocker.runtime.command.supervise import Watch
    from mydocker.services.containers.output import Output

_LONGEST = 86400.0  # seconds that one call may wait: poll(2) takes milliseconds as an int


class Connections:
    """By the number of its descriptor, each connection; of those, who is attached, who waits for the end, and who
    follows each change. ANSWER is called with the number and the words of each request."""

    def __init__(self, answer: Callable[[int, Mapping[str, Any]], None], *, stdin_once: bool) -> None:
        self.answer, self.stdin_once = answer, stdin_once
        self.open: dict[int, socket.socket] = {}
        self.attached: dict[int, Attached] = {}
        self.waiters: list[int] = []
        self.followers: list[int] = []
        self.actions: dict[int, Callable[[], None]] = {}
        self.held: list[int] = []  # those whose input is not taken now, as there is too much of it
        self.loop: Watch | Waiting | None = None
        self.output: Output | None = None
        self.listener: socket.socket | None = None

    def join(self, loop: Watch | Waiting) -> None:
        """Everybody is served in LOOP from now on."""
        self.loop = loop
        for descriptor, action in self.actions.items():
            loop.on(descriptor, action)

    def part(self) -> None:
        """The loop is over; the input that has come for this start of the container is, too."""
        self.loop = self.output = None
        self.resume()

    def listen(self, directory: str) -> None:
        """Accept connections to the container in DIRECTORY. Raises OSError."""
        self.listener = control.listen(directory)
        self.on(self.listener.fileno(), self._accept)

    def close_listener(self) -> None:
        """Nobody new is accepted."""
        if self.listener:
            self.forget(self.listener.fileno())
            self.listener.close()
            self.listener = None

    def attach(self, number: int) -> None:
        """What the container writes is sent over connection NUMBER, too, and what comes from there is its input."""
        self.attached[number] = Attached(self.open[number])

    def admit(self, connection: socket.socket) -> int:
        """Serve CONNECTION; its number."""
        connection.setblocking(False)
        number = connection.fileno()
        self.open[number] = connection
        self.on(number, lambda: self._hear(number))
        return number

    def send(self, number: int, message: bytes) -> None:
        """Send MESSAGE, if somebody is there to take it now."""
        connection = self.open.get(number)
        if connection:
            with suppress(OSError):
                connection.send(message)

    def finish(self, answer: bytes) -> None:
        """The container has ended for good, as ANSWER says: everybody hears of it, and gets what it has written,
        however slow they are to take it. One who is gone, or goes, needs no more."""
        for number in self.waiters:
            self.send(number, answer)
        poll = select.poll()
        for each in self.attached.values():
            each.waiting.append(control.ENDED + answer)
            poll.register(each.sink, select.POLLOUT)
        left = {each.sink: each for each in self.attached.values()}
        while left:
            for descriptor, _ in poll.poll():
                with suppress(OSError):
                    left[descriptor].flush()
                    if left[descriptor].waiting:
                        continue
                poll.unregister(descriptor)
                del left[descriptor]

    def resume(self) -> None:
        """Take input again from those who were held up, if there is room for it."""
        if self.held and not (self.output and len(self.output.input) >= INPUT_LIMIT):
            held, self.held = self.held, []
            for number in held:
                self.on(number, lambda number=number: self._hear(number))  # type: ignore[misc]  # mypy sees no default

    def on(self, descriptor: int, action: Callable[[], None]) -> None:
        self.actions[descriptor] = action
        if self.loop:
            self.loop.on(descriptor, action)

    def forget(self, descriptor: int) -> None:
        if self.actions.pop(descriptor, None) and self.loop:
            self.loop.forget(descriptor)

    def _accept(self) -> None:
        assert self.listener
        with suppress(OSError):  # it has gone already
            self.admit(self.listener.accept()[0])

    def _hear(self, number: int) -> None:
        if number in self.attached and self.output and len(self.output.input) >= INPUT_LIMIT:
            self.held.append(number)
            self.forget(number)
            return
        try:
            raw = control.receive(self.open[number])
        except BlockingIOError:
            return
        except OSError:
            raw = b""
        if not raw:
            self._leave(number)
        elif number in self.attached:
            self._take_frame(raw)
        else:
            self._answer(number, raw)

    def _leave(self, number: int) -> None:
        self.forget(number)
        connection = self.open.pop(number)
        attached = self.attached.pop(number, None)
        for listed in (self.waiters, self.followers, self.held):
            with suppress(ValueError):
                listed.remove(number)
        if attached:
            attached.close()
        connection.close()

    def _take_frame(self, raw: bytes) -> None:
        if not self.output:  # between two starts
            return
        if raw[:1] == control.STDIN:
            self.output.give(raw[1:])
        elif raw[:1] == control.END_OF_STDIN and self.stdin_once:
            self.output.give_end()
        elif raw[:1] == control.RESIZE and len(raw) >= 9:
            self.output.resize(raw[1:9])

    def _answer(self, number: int, raw: bytes) -> None:
        try:
            self.answer(number, json.loads(raw))
        except MydockerError as error:
            self.send(number, json.dumps({"refused": error.message, "hint": error.hint}).encode())
        except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            self.send(number, json.dumps({"refused": "the request is malformed"}).encode())


class Waiting:
    """The loop of a keeper between two starts of its container: until a moment by time.monotonic(), it serves what is
    registered."""

    def __init__(self, *, until: float) -> None:
        self.until, self.cancelled = until, False
        self.actions: dict[int, Callable[[], None]] = {}
        self.poll = select.poll()

    def on(self, descriptor: int, action: Callable[[], None]) -> None:
        """Call ACTION whenever DESCRIPTOR is readable."""
        self.actions[descriptor] = action
        self.poll.register(descriptor, select.POLLIN)

    def forget(self, descriptor: int) -> None:
        """The opposite of `on`, before DESCRIPTOR is closed."""
        del self.actions[descriptor]
        self.poll.unregister(descriptor)

    def cancel(self) -> None:
        """Wait no longer."""
        self.cancelled = True

    def wait(self) -> bool:
        """Serve; whether the moment has come, and nobody has cancelled it."""
        while not self.cancelled and (left := self.until - time.monotonic()) > 0:
            for descriptor, _ in self.poll.poll(min(left, _LONGEST) * 1000 + 1):
                if descriptor in self.actions:
                    self.actions[descriptor]()
        return not self.cancelled
