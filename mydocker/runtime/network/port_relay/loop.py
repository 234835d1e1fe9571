"""The event loop of the relay: descriptors, and what is called when they are ready."""

from __future__ import annotations

import select
from select import EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

__all__ = ["EPOLLERR", "EPOLLET", "EPOLLHUP", "EPOLLIN", "EPOLLOUT", "EPOLLRDHUP", "Loop"]

_AT_ONCE = 256  # events that are taken in one turn


class Loop:
    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], object]] = {}
        self._closing: list[socket] = []

    def watch(self, descriptor: int, events: int, handler: Callable[[int], object]) -> None:
        """Call HANDLER with those of EVENTS that have come."""
        self._epoll.register(descriptor, events)
        self._handlers[descriptor] = handler

    def change(self, descriptor: int, events: int) -> None:
        """Wait for other EVENTS of DESCRIPTOR, which is watched."""
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Stop watching DESCRIPTOR, which stays open."""
        del self._handlers[descriptor]
        self._epoll.unregister(descriptor)

    def close(self, sock: socket) -> None:
        """Stop watching SOCK, and close it at the end of this turn: its number is given out again, and an event that
        has been taken already must not be another socket's."""
        self._handlers.pop(sock.fileno(), None)
        self._closing.append(sock)

    def turn(self, timeout: float | None) -> int:
        """Wait for events, for at most TIMEOUT seconds, and handle them; how many there were."""
        events = self._epoll.poll(timeout, _AT_ONCE)
        for descriptor, kinds in events:
            if handler := self._handlers.get(descriptor):
                handler(kinds)
        self.close_forgotten()
        return len(events)

    def close_forgotten(self) -> None:
        """Close what `close` was called for."""
        for sock in self._closing:
            sock.close()
        self._closing.clear()
