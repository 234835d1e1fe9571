"""Connections: each accepted one gets another to the container, and what comes in from one goes out to the other.

Data goes through a pipe with splice(2), and so is never in this process's memory; a pipe is taken only while there are
data in it. As between two machines, the end of one direction leaves the other as it is, who reads slowly makes the
other write slowly, and a reset resets.
"""

from __future__ import annotations

import _socket as socket
import errno
import os
from functools import partial

from mydocker import kernel
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network.port_relay.loop import (
    EPOLLERR,
    EPOLLET,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    EPOLLRDHUP,
    Loop,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mydocker.runtime.network.port_relay import Listener

MOST = 16_384  # connections at once, of which each may have two pipes of 64 KiB
DESCRIPTORS = 6  # that a connection may take: two sockets and two pipes
_PIECE = 1 << 20  # bytes that are moved at once
_ROUNDS = 16  # pieces of one connection before it is another one's turn
_ACCEPTED = 64  # connections of one listener, likewise
_IDLE_PIPES = 64  # kept for the next connection
_LARGE_PIPES = 16  # that hold _PIECE bytes; the others have the usual size
_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_WATCHED = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
_RESET = b"\1\0\0\0\0\0\0\0"  # struct linger: close(2) sends a reset at once (socket(7), SO_LINGER)
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))  # seconds
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class _End:
    """One of the two sockets of a connection, and the pipe with what was read from it."""

    __slots__ = ("descriptor", "ended", "held", "other", "passed_on", "pipe", "readable", "socket", "writable")

    def __init__(self, sock: socket.socket, *, ready: bool) -> None:
        self.socket = sock
        self.descriptor = sock.fileno()
        self.other: _End | None = None  # None once the connection is closed
        self.pipe: tuple[int, int] | None = None
        self.held = 0  # bytes in the pipe
        self.readable = self.writable = ready  # until a call says otherwise; then until an event does
        self.ended = False  # nothing more will come from it
        self.passed_on = False  # and the other side has learned that


class Tcp:
    """Relays what is accepted from LISTENERS to ADDRESS, by at most MOST connections at once."""

    def __init__(self, loop: Loop, listeners: Iterable[Listener], address: str, *, most: int) -> None:
        self._loop, self._address, self._most = loop, address, most
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listeners = tuple(listeners)
        self._clients: set[_End] = set()
        self._busy: set[_End] = set()  # those that could move more at once
        self._pipes = _Pipes()
        self.is_paused = False  # until a connection ends, no other is accepted
        for listener in self._listeners:
            loop.watch(listener.socket.fileno(), EPOLLIN, partial(self._accept, listener))

    @property
    def is_busy(self) -> bool:
        """Whether `go_on` has something to do."""
        return bool(self._busy)

    @property
    def is_behind(self) -> bool:
        """Whether a client has not read what is there for it."""
        behind = (each for each in self._clients if not each.writable and each.other)
        return any(each.other.held or each.other.readable for each in behind if each.other)

    def go_on(self) -> None:
        """Move more for the connections that had their turn."""
        busy, self._busy = self._busy, set()
        for end in busy:
            self._move_both(end)
        self._loop.close_forgotten()

    def resume(self) -> None:
        """Accept connections again, if that is paused."""
        if self.is_paused:
            self.is_paused = False
            for listener in self._listeners:
                self._loop.change(listener.socket.fileno(), EPOLLIN)

    def stop_accepting(self) -> None:
        for listener in self._listeners:
            self._loop.close(listener.socket)
        self._listeners = ()
        self.is_paused = False

    def _pause(self) -> None:
        self.is_paused = True
        for listener in self._listeners:
            self._loop.change(listener.socket.fileno(), 0)

    def _accept(self, listener: Listener, _: int) -> None:
        for _ in range(_ACCEPTED):
            if len(self._clients) >= self._most:
                self._pause()
                return
            try:
                descriptor = listener.socket._accept()[0]  # type: ignore[attr-defined]  # what socket.accept calls
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OUT_OF_DESCRIPTORS:
                    self._pause()
                    return
                continue  # of a connection that is gone already (accept(2), "Error handling")
            client = socket.socket(listener.socket.family, socket.SOCK_STREAM, 0, descriptor)
            try:
                self._open(client, (self._address, listener.port.target))
            except OSError:
                _reset(client)
                self._loop.close(client)

    def _open(self, client: socket.socket, address: tuple[str, int]) -> None:
        client.setblocking(False)
        target = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            for sock in (client, target):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                client.setsockopt(socket.IPPROTO_TCP, option, value)
            number = target.connect_ex(address)
            if number not in (0, errno.EINPROGRESS):
                raise OSError(number, os.strerror(number))
        except OSError:
            target.close()
            raise
        near, far = _End(client, ready=True), _End(target, ready=False)
        near.other, far.other = far, near
        self._clients.add(near)
        for end in (near, far):
            self._loop.watch(end.descriptor, _WATCHED, partial(self._take, end))

    def _take(self, end: _End, events: int) -> None:
        """EVENTS have come for END. A failure, of connect(2) as well, is what its next call raises."""
        if events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR):
            end.readable = True
        if events & (EPOLLOUT | EPOLLHUP | EPOLLERR):
            end.writable = True
        if events & EPOLLERR and end.ended:  # nothing will be read from it any more
            self._close(end, reset=True)
        else:
            self._move_both(end)

    def _move_both(self, end: _End) -> None:
        other = end.other
        if other is None:
            return
        try:
            is_not_done = [self._move(end, other), self._move(other, end)]
        except OSError:
            self._close(end, reset=True)
            return
        if end.passed_on and other.passed_on:
            self._close(end, reset=False)
        elif any(is_not_done):
            self._busy.add(end)

    def _move(self, source: _End, sink: _End) -> bool:
        """Move from SOURCE to SINK what can be moved at once; whether there may be more."""
        rounds = _ROUNDS
        while rounds and sink.writable and (source.held or (source.readable and not source.ended)):
            rounds -= 1
            if source.pipe is None:
                source.pipe = self._pipes.take()
            try:
                if not source.held:
                    source.held = os.splice(source.descriptor, source.pipe[1], _PIECE, flags=_FLAGS)
                    source.ended = not source.held
            except BlockingIOError:
                source.readable = False
            try:
                if source.held:
                    source.held -= os.splice(source.pipe[0], sink.descriptor, source.held, flags=_FLAGS)
            except BlockingIOError:
                sink.writable = False
        if not source.held:
            if source.pipe:
                self._pipes.put_back(source.pipe)
                source.pipe = None
            if source.ended and not source.passed_on:
                sink.socket.shutdown(socket.SHUT_WR)
                source.passed_on = True
        return not rounds

    def _close(self, end: _End, *, reset: bool) -> None:
        other = end.other
        if other is None:
            return
        for each in (end, other):
            if each.pipe:
                self._pipes.close(each.pipe)
                each.pipe = None
            if reset:
                _reset(each.socket)
            self._loop.close(each.socket)
            each.other = None
            self._clients.discard(each)
            self._busy.discard(each)
        self.resume()


class _Pipes:
    """Pipes that are empty, for whoever needs one next."""

    def __init__(self) -> None:
        self._idle: list[tuple[int, int]] = []
        self._large = 0

    def take(self) -> tuple[int, int]:
        if self._idle:
            return self._idle.pop()
        pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._large < _LARGE_PIPES:
            self._large += 1
            try:
                kernel.enlarge_pipe(pipe[1], _PIECE)
            except OSError:  # the user's pipes together are limited (pipe(7)); the usual size does as well
                self._large = _LARGE_PIPES
        return pipe

    def put_back(self, pipe: tuple[int, int]) -> None:
        """PIPE, which is empty, is not needed now."""
        if len(self._idle) < _IDLE_PIPES:
            self._idle.append(pipe)
        else:
            self.close(pipe)

    def close(self, pipe: tuple[int, int]) -> None:
        for descriptor in pipe:
            os.close(descriptor)


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
