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

from mydocker.cli.common import say
from mydocker.kernel.signals import Signals, signal
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import control, directory
from mydocker.services.containers.stop import kill

if TYPE_CHECKING:
    from mydocker.services.containers import Container

_CHUNK = 1 << 14
_MESSAGE = 1 << 16
_DETACH = b"\x10\x11"  # Ctrl-P Ctrl-Q


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
        self.pressed = b""

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
        for descriptor in (self.connection.fileno(), self.signals.descriptor, *([0] if self.input else [])):
            poll.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self.signals.descriptor:
                    if self._take_signal():
                        return 0
                elif descriptor == 0:
                    data = os.read(0, _CHUNK)
                    if not data or self._leaves(data):
                        poll.unregister(0)
                        if data:
                            return 0
                    else:
                        self.connection.send(control.STDIN + data)
                elif (code := self._take_frame()) is not None:
                    return code

    def _leaves(self, data: bytes) -> bool:
        """Whether the user has typed the keys that leave the container alone."""
        self.pressed = (self.pressed + data)[-len(_DETACH) :]
        return self.terminal and self.pressed == _DETACH

    def _take_frame(self) -> int | None:
        """Print a frame; the exit code, if it is the last one."""
        frame = self.connection.recv(_MESSAGE)
        if frame[:1] == control.ENDED:
            return int(json.loads(frame[1:])["exit_code"])
        if not frame:
            state = directory.read(self.container.directory).state
            say(f"mydocker: {state.error or 'the keeper of the container has ended'}")
            return state.exit_code
        _write(2 if frame[:1] == control.STDERR else 1, frame[1:])
        return None

    def _take_signal(self) -> bool:
        """Pass on a signal; whether it ends the attachment."""
        number = self.signals.take()
        if number == signal.SIGWINCH:
            self._resize()
        elif self.pass_signals:
            kill(self.container, number)
        else:
            return number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        return False

    def _resize(self) -> None:
        if self.terminal:
            size = fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8)
            self.connection.send(control.RESIZE + size)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
