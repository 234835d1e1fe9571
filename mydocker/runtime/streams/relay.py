"""Bytes on their way between a container and mydocker's caller, in the one loop that watches the container.

Nothing here waits: a slow reader or writer holds up neither another stream nor the watch over time and
signals. Nor is anything stored but what a pipe holds: a slow reader slows the writer down.
"""

from __future__ import annotations

import errno
import os
import select
import stat

from mydocker import kernel
from mydocker.errors import HostError
from mydocker.kernel.signals import signal
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.streams import NULL

if TYPE_CHECKING:
    from mydocker.runtime.streams import StreamPipes

HANG_UPS = (errno.EPIPE, errno.ECONNRESET)  # the other end of a pipe, or of a socket, is closed
_CHUNK = 1 << 16  # bytes that a pipe holds, unless a process changes it (pipe(7))
_LARGE = 1 << 20  # bytes that make a large flow, and the size of its pipes: the most that an ordinary user may set


class Flow:
    """Bytes from descriptor SOURCE to descriptor SINK. No more is read until the sink has taken everything that was.

    With `spliced` the kernel moves them (splice(2)), which takes a pipe on one side; where it can't, they are copied,
    `chunk` bytes at a time. `as_job`: a terminal of the caller's takes part, and its shell may stop mydocker when it is
    in the background (SIGTTIN and SIGTTOU, termios(3)).
    """

    def __init__(
        self, source: int, sink: int, *, spliced: bool = False, chunk: int = select.PIPE_BUF, as_job: bool = True
    ) -> None:
        self.source, self.sink = source, sink
        self.spliced, self.chunk, self.as_job = spliced, chunk, as_job
        self.to_socket = stat.S_ISSOCK(os.fstat(sink).st_mode)
        self.waiting = b""  # bytes read, and not written yet
        self.blocked = False  # there is something to splice, and the sink had no room for it
        self.moved = 0  # bytes, by splicing
        self.left: int | None = None  # bytes to carry, if not all until the end

    @property
    def next(self) -> int:
        """The descriptor that is to be used next."""
        return self.sink if self.waiting or self.blocked else self.source

    @property
    def event(self) -> int:
        """The event to wait for on that descriptor."""
        return select.POLLOUT if self.next == self.sink else select.POLLIN

    def step(self) -> None:
        """Read or write once. Raises EOFError at the end of the source, or OSError."""
        if not self.as_job:
            self._step()
            return
        before = signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTTIN, signal.SIGTTOU))
        try:
            self._step()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _step(self) -> None:
        if self.spliced:
            self._splice()
        elif self.waiting:
            self.waiting = self.waiting[self._write() :]
        else:
            self.waiting = self.read()
            self._count(len(self.waiting))

    def _write(self) -> int:
        """Write as much of the waiting bytes as the sink takes now: how many."""
        if self.to_socket:  # poll may report room, and a blocking socket wait for more of it (tcp(7))
            return kernel.send(self.sink, self.waiting)
        return os.write(self.sink, self.waiting)

    def read(self) -> bytes:
        """Some of the source; nothing at its end."""
        try:
            return os.read(self.source, self._most(self.chunk))
        except OSError as error:
            if error.errno != errno.EIO:  # the other way in which a terminal reports its end
                raise
            return b""

    def _splice(self) -> None:
        try:
            moved = os.splice(self.source, self.sink, self._most(_LARGE), flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            # without room in the sink; or without anything in the source, which another process has read first
            self.blocked = not self._is_drained()
            return
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file that is open for appending, or of a kind that cannot be spliced
                raise
            self.spliced = self.blocked = False
            return
        self.blocked = False
        self._count(moved)
        self.moved += moved
        if self.moved >= _LARGE > self.moved - moved:
            self._enlarge()

    def _is_drained(self) -> bool:
        """Whether the source is a pipe in which nothing is left."""
        return stat.S_ISFIFO(os.fstat(self.source).st_mode) and not kernel.bytes_waiting(self.source)

    def _enlarge(self) -> None:
        """Let both pipes hold more: less changing from one process to the other doubles the rate."""
        for descriptor in (self.source, self.sink):
            try:  # noqa: SIM105  # contextlib is not on the warm path
                kernel.enlarge_pipe(descriptor, _LARGE)
            except OSError:  # no pipe, or the user's pipes hold as much as they may
                pass

    def _most(self, count: int) -> int:
        return count if self.left is None else min(count, self.left)

    def _count(self, moved: int) -> None:
        if not moved:
            raise EOFError
        if self.left is not None:
            self.left -= moved


class Relay:
    """The flows of one container. `lost`: the caller's side of its terminal is closed."""

    def __init__(self) -> None:
        self.flows: list[Flow] = []
        self.lost = False
        self.error = ""  # what the caller's side refused first
        self.opened: list[int] = []

    def waits(self) -> dict[int, int]:
        """The events to poll for, of each descriptor."""
        events: dict[int, int] = {}
        for flow in self.flows:
            events[flow.next] = events.get(flow.next, 0) | flow.event
        return events

    def carry(self, descriptor: int, events: int) -> None:
        """Pass on what can be passed on now that EVENTS have come for DESCRIPTOR."""
        for flow in [*self.flows]:
            if flow.next == descriptor and events & (flow.event | select.POLLHUP | select.POLLERR | select.POLLNVAL):
                try:
                    flow.step()
                except BlockingIOError:  # another process was faster
                    continue
                except (EOFError, OSError) as error:
                    self.end(flow, error)

    def end(self, flow: Flow, error: EOFError | OSError) -> None:
        """FLOW has come to the end of its source, or to an error."""
        raise NotImplementedError

    def end_input(self) -> None:
        """The container has ended: carry only what it wrote."""
        raise NotImplementedError

    def hang_up(self) -> None:
        """Close the container's side: what is on its way is lost."""
        raise NotImplementedError

    def refuse(self, error: OSError, *, is_input: bool) -> None:
        """Keep for `check` that the caller's side failed to take what the container wrote, or to give its input."""
        action = "read the container's input" if is_input else "write the container's output"
        self.error = self.error or f"cannot {action}: {error.strerror}"

    def check(self) -> None:
        """At the end: raises HostError if the caller's side failed to take, or to give, what it should have."""
        if self.error:
            raise HostError(self.error)

    def close(self) -> None:
        """Close every descriptor that `open_again` opened."""
        while self.opened:
            os.close(self.opened.pop())

    def open_again(self, descriptor: int, mode: int) -> int:
        """DESCRIPTOR opened once more, to be non-blocking: it is the caller's as well, and must stay unchanged.

        What cannot be opened is used itself: a file always takes everything, and `send` makes a socket not wait.
        """
        if not os.isatty(descriptor) and not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return descriptor
        path = "/dev/tty" if is_controlling(descriptor) else f"/proc/self/fd/{descriptor}"
        try:
            opened = os.open(path, mode | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return descriptor
        self.opened.append(opened)
        return opened


class Streams(Relay):
    """Joins the pipes of a container with the caller's stdin, stdout and stderr."""

    def __init__(self, pipes: StreamPipes) -> None:
        super().__init__()
        self.ends: dict[Flow, int] = {}  # mydocker's end of each flow's pipe
        for number, end in enumerate(pipes.release_parent_ends()):
            if end != NULL:
                self._add(number, end, pipes.modes[number])

    def _add(self, number: int, end: int, mode: int) -> None:
        terminal = stat.S_ISCHR(mode) and os.isatty(number)
        spliced = stat.S_ISFIFO(mode) or stat.S_ISREG(mode)
        if number == 0:
            os.set_blocking(end, False)
            source = self.open_again(0, os.O_RDONLY) if terminal else 0
            flow = Flow(source, end, spliced=spliced, chunk=_CHUNK, as_job=terminal)
        else:
            sink = self.open_again(number, os.O_WRONLY) if terminal else number
            chunk = _CHUNK if stat.S_ISREG(mode) else select.PIPE_BUF
            flow = Flow(end, sink, spliced=spliced, chunk=chunk, as_job=terminal)
        self.flows.append(flow)
        self.ends[flow] = end

    def waits(self) -> dict[int, int]:
        """Besides what a flow waits for, poll whether its sink has closed, which is noticed without a write."""
        events = super().waits()
        for flow in self.flows:
            events.setdefault(flow.sink, 0)
        return events

    def carry(self, descriptor: int, events: int) -> None:
        super().carry(descriptor, events)
        for flow in [*self.flows]:
            complete = flow.left == 0 and not flow.waiting
            closed = flow.sink == descriptor != flow.next and events & (select.POLLHUP | select.POLLERR)
            if complete or closed:
                self._close(flow)

    def end(self, flow: Flow, error: EOFError | OSError) -> None:
        """Close the pipe, so that a writer gets EPIPE, as it would from the caller's."""
        if isinstance(error, OSError) and not _is_hang_up(error, flow):
            self.refuse(error, is_input=flow.sink == self.ends[flow])
        self._close(flow)

    def _close(self, flow: Flow) -> None:
        self.flows.remove(flow)
        os.close(self.ends.pop(flow))

    def end_input(self) -> None:
        """What another process may still write, which holds a pipe of the container, is dropped."""
        for flow in [*self.flows]:
            end = self.ends[flow]
            if flow.sink == end:
                self._close(flow)
                continue
            flow.left = kernel.bytes_waiting(end)
            if not flow.left and not flow.waiting:
                self._close(flow)

    def hang_up(self) -> None:
        for flow in [*self.flows]:
            self._close(flow)


def _is_hang_up(error: OSError, flow: Flow) -> bool:
    return error.errno in HANG_UPS or (flow.as_job and error.errno == errno.EIO)


def is_controlling(descriptor: int) -> bool:
    """Whether terminal DESCRIPTOR is that of this session, which /dev/tty opens for each process in it."""
    try:
        return os.tcgetpgrp(descriptor) >= 0
    except OSError:
        return False
