"""Taking part in a container in the background: its output here, input and signals there."""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import sys
import termios
import tty
from contextlib import suppress

from mydocker.cli.common import say
from mydocker.errors import LaunchError
from mydocker.kernel.signals import Signals, signal
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import control
from mydocker.services.containers.stop import kill, wait

if TYPE_CHECKING:
    from mydocker.services.containers import Container

_CHUNK = 1 << 14
_DETACH = b"\x10\x11"  # Ctrl-P Ctrl-Q


class DetachKeys:
    """Finds in what is typed the keys that leave the container alone. The first of them is held back until it is clear
    that it is another key."""

    def __init__(self) -> None:
        self.held = b""

    def split(self, typed: bytes) -> tuple[bytes, bool]:
        """What of TYPED, and before, is for the container; whether it is left."""
        typed = self.held + typed
        before, keys, _ = typed.partition(_DETACH)
        self.held = _DETACH[:1] if not keys and typed.endswith(_DETACH[:1]) else b""
        return before[: len(before) - len(self.held)], bool(keys)


def follow(
    container: Container,
    connection: socket.socket,
    *,
    forward_input: bool = False,
    pass_signals: bool = True,
) -> int:
    """Print what comes over CONNECTION, which is attached, until the container has ended; its exit code, or 0 if the
    user leaves it."""
    with connection, Signals() as signals:
        return _Session(container, connection, signals, forward_input=forward_input, pass_signals=pass_signals).run()


class _Session:
    def __init__(
        self,
        container: Container,
        connection: socket.socket,
        signals: Signals,
        *,
        forward_input: bool,
        pass_signals: bool,
    ) -> None:
        self.container, self.connection, self.signals = container, connection, signals
        self.input = forward_input and container.config.spec.stdin_open
        self.pass_signals = pass_signals
        self.terminal = container.config.spec.tty and sys.stdin is not None and os.isatty(0)
        self.keys = DetachKeys()
        self.waiting: list[bytes] = []  # frames that the keeper has no room for yet

    def run(self) -> int:
        saved = None
        if self.terminal and self.input:
            saved = termios.tcgetattr(0)
            tty.setraw(0, termios.TCSANOW)
        try:
            self._resize()
            return self._loop()
        finally:
            if saved is not None:
                termios.tcsetattr(0, termios.TCSANOW, saved)

    def _loop(self) -> int:
        poll = select.poll()
        poll.register(self.signals.descriptor, select.POLLIN)
        while True:
            self._send_waiting()
            poll.register(self.connection, select.POLLIN | (select.POLLOUT if self.waiting else 0))
            if self.input and not self.waiting:
                poll.register(0, select.POLLIN)
            for descriptor, events in poll.poll():
                if descriptor == self.signals.descriptor:
                    if self._take_signal():
                        return 0
                elif descriptor == 0:
                    poll.unregister(0)
                    if self._take_input():
                        return 0
                elif events & ~select.POLLOUT and (code := self._take_frame()) is not None:
                    return code

    def _take_input(self) -> bool:
        """Pass on input, and that it has ended; whether the user leaves the container."""
        data = os.read(0, _CHUNK)
        if not data:
            self.input = False
            self.waiting.append(control.END_OF_STDIN)
            return False
        left = False
        if self.terminal:
            data, left = self.keys.split(data)
        if data:
            self.waiting.append(control.STDIN + data)
        self._send_waiting()
        return left

    def _send_waiting(self) -> None:
        """Send what there is room for; that nobody is there is found when a frame is taken."""
        with suppress(OSError):
            while self.waiting:
                self.connection.send(self.waiting[0], socket.MSG_DONTWAIT)
                del self.waiting[0]

    def _take_frame(self) -> int | None:
        """Print a frame; the exit code, if it is the last one."""
        frame = control.receive(self.connection)
        if frame[:1] == control.ENDED:
            return int(json.loads(frame[1:])["exit_code"])
        if not frame:
            code = wait(self.container)
            say("mydocker: the keeper of the container was killed")
            return code
        _write(2 if frame[:1] == control.STDERR else 1, frame[1:])
        return None

    def _take_signal(self) -> bool:
        """Pass on a signal; whether it ends the attachment."""
        number = self.signals.take()
        if number == signal.SIGWINCH:
            self._resize()
        elif self.pass_signals:
            with suppress(LaunchError):  # it has ended, or is about to be started again
                kill(self.container, number)
        else:
            return number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        return False

    def _resize(self) -> None:
        if self.terminal:
            size = fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8)
            self.waiting.append(control.RESIZE + size)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
