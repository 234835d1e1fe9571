"""Messages to the service manager that has started mydocker: that it is ready, that it lives, that it stops.

The protocol of sd_notify(3): a datagram of NAME=VALUE lines to the socket of $NOTIFY_SOCKET; sd_watchdog_enabled(3)
says how often WATCHDOG=1 is expected. Without these variables, nothing is sent.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import AbstractContextManager, nullcontext, suppress

from mydocker.kernel.processes import DescendantsAwaited
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIMIT = 2**62
_SECONDS_TO_END = 5.0  # for the bridges and the firewall of networks that nobody uses any more


class ServiceManager:
    """The service manager, by the variables ENVIRON of this process; `is_ready` once that has been reported."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.address = environ.get("NOTIFY_SOCKET", "")
        self.is_ready = self._is_stopping = False
        microseconds = whole_number(environ.get("WATCHDOG_USEC", ""), _LIMIT)
        is_meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.interval = microseconds / 2e6 if self.address and microseconds and is_meant else None
        self._due = time.monotonic()

    def ready(self, status: str) -> None:
        """All that was to start has started. STATUS: a line for `systemctl status`."""
        if not self.is_ready:
            self.is_ready = True
            self._send(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        """It has been asked to stop."""
        if not self._is_stopping:
            self._is_stopping = True
            self._send("STOPPING=1")

    def live(self, *, is_well: bool) -> None:
        """Say so, if it is time. Without IS_WELL nothing is said, and the next time is as far off."""
        if self.interval is not None and time.monotonic() >= self._due:
            self._due = time.monotonic() + self.interval
            if is_well:
                self._send("WATCHDOG=1")

    @property
    def milliseconds(self) -> float | None:
        """How long the caller may wait before it calls `live`; None for any time."""
        return None if self.interval is None else max(0.0, self._due - time.monotonic()) * 1000

    def _send(self, message: str) -> None:
        if not self.address.startswith(("/", "@")):  # also where there is none
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        # if the manager is gone, so is whoever would care
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection, suppress(OSError):
            connection.sendto(message.encode(), address)


def unit_ends_clean(environ: Mapping[str, str]) -> AbstractContextManager[None]:
    """If this is the main process of a unit, by its variables ENVIRON (systemd.exec(5), "$SYSTEMD_EXEC_PID"): what has
    been started within the `with` has ended after it. systemd kills what the main process leaves behind, and a bridge
    is only taken down a moment after the last container in its network (launch/cleanup_process.py)."""
    is_main = environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())
    return DescendantsAwaited(_SECONDS_TO_END) if is_main else nullcontext()
