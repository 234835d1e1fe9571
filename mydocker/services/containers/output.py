"""What a container in the background writes, on its way into the log and to those who are attached; and their input.

Nothing here waits: one who is attached and takes nothing slows the container down, as a slow reader of a pipe does.
"""

from __future__ import annotations

import os
import select
import socket
import stat
from contextlib import suppress

from mydocker import kernel
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.streams import NULL, StreamPipes
from mydocker.runtime.streams.relay import Relay
from mydocker.runtime.streams.terminal import Terminal
from mydocker.services.containers.control import FRAME, STDERR, STDOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.runtime.command import Watched
    from mydocker.services.containers.log_files import LogFiles

_CHUNK = 1 << 16
_TIOCGPTPEER = 0x5441  # ioctl_tty(2)
INPUT_LIMIT = 1 << 16  # bytes of input that wait for the container; then no more is taken


class KeptPipes(StreamPipes):
    """The pipes of a container whose standard streams nobody has open: its output is always wanted."""

    def _open(self, plan: Watched, states: list[os.stat_result]) -> None:
        if plan.stdin_open and plan.stdin is None:
            self.child_ends[0], self.parent_ends[0] = os.pipe()
        for number in (1, 2):
            self.parent_ends[number], self.child_ends[number] = os.pipe()


class KeptTerminal(Terminal):
    """The terminal of such a container: what it shows is not for a terminal of the caller's."""

    def receive(self) -> None:
        _, received, _, _ = socket.recv_fds(self.parent_end, 1, 1)
        if received:
            [self.master] = received
            os.set_blocking(self.master, False)


def _open_peer(master: int) -> int:
    import fcntl

    try:
        return fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # it is gone already
        return NULL


class Attached:
    """One who is attached over CONNECTION: the frames that it has not taken yet."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.sink = os.dup(connection.fileno())  # polled for room, while the connection is polled for what comes
        self.waiting: list[bytes] = []

    def add(self, frame: bytes) -> None:
        self.waiting.append(frame)
        self.flush()

    def flush(self) -> None:
        """Send what there is room for. Raises OSError if nobody is there any more."""
        with suppress(BlockingIOError):
            while self.waiting:
                kernel.send(self.sink, self.waiting[0])
                del self.waiting[0]

    def close(self) -> None:
        """Send no more; the connection itself is its owner's."""
        self.waiting.clear()
        if self.sink != NULL:
            os.close(self.sink)
            self.sink = NULL


class Output(Relay):
    """The streams of one start of a container: into LOG, and to those in ATTACHED, which may change meanwhile."""

    def __init__(self, streams: StreamPipes | Terminal, log: LogFiles, attached: dict[int, Attached]) -> None:
        super().__init__()
        self.terminal: KeptTerminal | None = None
        self.peer = NULL  # the other side of the terminal: while it is open, that never seems to be closed
        self.log, self.attached = log, attached
        self.sources: dict[int, bytes] = {}
        self.sink = NULL
        self.input, self.input_ends = b"", False
        self.on_room: Callable[[], None] = lambda: None  # called when some of the input has been taken
        self.left: dict[int, int] | None = None  # once it has ended: bytes of each pipe that it had written
        if isinstance(streams, KeptTerminal):
            self.terminal = streams
        elif isinstance(streams, StreamPipes):
            self.sink, *outputs = streams.release_parent_ends()
            self.sources = dict(zip(outputs, (STDOUT, STDERR), strict=True))
            if self.sink != NULL:
                os.set_blocking(self.sink, False)

    @property
    def _blocked(self) -> list[Attached]:
        """Those who hold the container up; once it has ended, they can take what they want when they want."""
        return [] if self.left is not None else [each for each in self.attached.values() if each.waiting]

    def waits(self) -> dict[int, int]:
        if self.terminal and self.terminal.master >= 0 and self.terminal.master not in self.sources:
            self.sources[self.terminal.master] = STDOUT
            self.sink = self.terminal.master
            if self.left is None:  # else the terminal came with the container's end, and is to seem closed
                self.peer = _open_peer(self.terminal.master)
        blocked = self._blocked
        events = dict.fromkeys((each.sink for each in blocked), select.POLLOUT)
        if not blocked:
            events |= dict.fromkeys(self.sources, select.POLLIN)
        if self.input and self.sink != NULL:
            events[self.sink] = events.get(self.sink, 0) | select.POLLOUT
        return events

    def carry(self, descriptor: int, events: int) -> None:
        for key, each in [*self.attached.items()]:
            if each.sink == descriptor:
                try:
                    each.flush()
                except OSError:
                    self.attached.pop(key).close()  # its connection is closed when it is found to have ended
        if descriptor == self.sink and events & (select.POLLOUT | select.POLLERR) and self.input:
            self._write()
        if descriptor in self.sources and events & (select.POLLIN | select.POLLHUP | select.POLLERR):
            self._read(descriptor)

    def _read(self, descriptor: int) -> None:
        size = _CHUNK if self.left is None or self.terminal else min(_CHUNK, self.left[descriptor])
        try:
            data = os.read(descriptor, size) if size else b""
        except BlockingIOError:
            if self.left is None:
                return
            data = b""
        except OSError:  # EIO: no process has the terminal open now
            if self.left is None:
                import time

                time.sleep(0.01)  # it may be opened again; its end is noticed elsewhere
                return
            data = b""
        if not data:
            self._close(descriptor)
            return
        if self.left is not None and not self.terminal:
            self.left[descriptor] -= len(data)
        self.take(self.sources[descriptor], data)

    def take(self, stream: bytes, data: bytes) -> None:
        """Write DATA to the log, and pass it on."""
        self.log.add("stderr" if stream == STDERR else "stdout", data)
        for key, each in [*self.attached.items()]:
            try:
                for at in range(0, len(data), FRAME):
                    each.add(stream + data[at : at + FRAME])
            except OSError:
                self.attached.pop(key).close()

    def give(self, data: bytes) -> None:
        """DATA is input for the container, which takes it when it can."""
        if self.sink != NULL and not self.input_ends:
            self.input += data

    def give_end(self) -> None:
        """There is no more input; a terminal stays as it is."""
        if not self.terminal:
            self.input_ends = True
            if not self.input:
                self._close_sink()

    def resize(self, size: bytes) -> None:
        """Give the terminal, if there is one, SIZE: a struct winsize (ioctl_tty(2))."""
        if self.terminal and self.terminal.master >= 0:
            import fcntl
            import termios

            with suppress(OSError):
                fcntl.ioctl(self.terminal.master, termios.TIOCSWINSZ, size)

    def _write(self) -> None:
        try:
            self.input = self.input[os.write(self.sink, self.input) :]
        except BlockingIOError:
            return
        except OSError:  # it has closed its standard input
            self.input = b""
            if not self.terminal:
                self._close_sink()
        if self.input_ends and not self.input:
            self._close_sink()
        self.on_room()

    def _close_sink(self) -> None:
        if self.sink != NULL and stat.S_ISFIFO(os.fstat(self.sink).st_mode):
            os.close(self.sink)
        self.sink = NULL

    def _close(self, descriptor: int) -> None:
        del self.sources[descriptor]
        if not self.terminal:
            os.close(descriptor)
        elif self.sink == descriptor:
            self.sink, self.input = NULL, b""
            self._close_peer()
            self.terminal.hang_up()

    def _close_peer(self) -> None:
        if self.peer != NULL:
            os.close(self.peer)
            self.peer = NULL

    def end_input(self) -> None:
        self.input = b""
        if self.terminal:
            self.left = {}
            self._close_peer()  # a hang-up is the end of what it wrote
            return
        self._close_sink()
        self.left = {descriptor: kernel.bytes_waiting(descriptor) for descriptor in self.sources}
        for descriptor, count in self.left.items():
            if not count:
                self._close(descriptor)

    def hang_up(self) -> None:
        self._close_peer()
        if not self.terminal:
            self._close_sink()
        for descriptor in [*self.sources]:
            self._close(descriptor)
