"""The loop of a keeper between two starts of its container."""

from __future__ import annotations

import select
import time

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


LONGEST = 86400.0  # seconds that one call may wait: poll(2) takes milliseconds as an int


class Waiting:
    """Until a moment by time.monotonic(), what is registered is served."""

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
            for descriptor, _ in self.poll.poll(min(left, LONGEST) * 1000 + 1):
                if descriptor in self.actions:
                    self.actions[descriptor]()
        return not self.cancelled
