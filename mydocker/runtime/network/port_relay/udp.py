"""Datagrams: each client gets a socket to the container, by which replies find back to it, until it has been idle.

A reply leaves from the address that the client wrote to, which is not the one that routing would choose where the host
has several (ip(7), IP_PKTINFO).
"""

from __future__ import annotations

import _socket as socket
from contextlib import suppress
from functools import partial
from time import monotonic

from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network.port_relay import IP_PKTINFO
from mydocker.runtime.network.port_relay.loop import EPOLLIN, Loop

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mydocker.runtime.network.port_relay import Listener

    Key = tuple[int, bytes, tuple[str, int]]  # the listener's descriptor, the address asked, the client

IDLE = 90  # seconds, as Docker's proxy has it
MOST = 1024  # clients at once; one more takes the place of the one that has been idle longest
_LARGEST = 1 << 16  # bytes of a datagram
_AT_ONCE = 64  # datagrams of one socket before it is another one's turn
_IPV6_PKTINFO = 50  # linux/in6.h
_CONTROL = 64  # bytes, for one struct in6_pktinfo and its header


class _Client:
    """What leads to the container and back for one client."""

    __slots__ = ("address", "control", "last", "listener", "socket")

    def __init__(self, sock: socket.socket, listener: Listener, address: tuple[str, int], asked: bytes) -> None:
        self.socket, self.listener, self.address = sock, listener, address
        self.control = _reply_control(listener, asked)
        self.last = monotonic()


class Udp:
    """Relays datagrams between LISTENERS and ADDRESS, for at most MOST clients at once."""

    def __init__(
        self, loop: Loop, listeners: Iterable[Listener], address: str, *, most: int = MOST, idle: float = IDLE
    ) -> None:
        self._loop, self._address, self._most, self._idle = loop, address, most, idle
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._clients: dict[Key, _Client] = {}  # in the order of their last datagram
        for listener in listeners:
            loop.watch(listener.socket.fileno(), EPOLLIN, partial(self._receive, listener))

    @property
    def has_clients(self) -> bool:
        return bool(self._clients)

    def forget_idle(self) -> None:
        """Forget the clients that have neither sent nor received anything for a while."""
        limit = monotonic() - self._idle
        for key in [key for key, client in self._clients.items() if client.last < limit]:
            self._forget(key)

    def _receive(self, listener: Listener, _: int) -> None:
        for _ in range(_AT_ONCE):
            try:
                datagram, control, _, address = listener.socket.recvmsg(_LARGEST, _CONTROL)
            except OSError:  # there is no more, or an error of an earlier reply
                return
            key = (listener.socket.fileno(), _asked(control), address)
            client = self._clients.pop(key, None)
            try:
                client = client or self._meet(listener, key)
            except OSError:  # no descriptors, no route: the datagram is lost, as on a network
                continue
            client.last = monotonic()
            self._clients[key] = client  # at the end
            _send(client.socket, datagram)

    def _meet(self, listener: Listener, key: Key) -> _Client:
        if len(self._clients) >= self._most:
            self._forget(next(iter(self._clients)))
        sock = socket.socket(self._family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            sock.connect((self._address, listener.port.target))
            client = _Client(sock, listener, key[2], key[1])
            self._loop.watch(sock.fileno(), EPOLLIN, partial(self._reply, key, client))
        except OSError:
            sock.close()
            raise
        return client

    def _reply(self, key: Key, client: _Client, _: int) -> None:
        for _ in range(_AT_ONCE):
            try:
                datagram = client.socket.recv(_LARGEST)
            except BlockingIOError:
                break
            except OSError:  # refused: nothing listens there, at the moment
                continue
            with suppress(OSError):  # lost, as on a network
                client.listener.socket.sendmsg([datagram], client.control, 0, client.address)
        client.last = monotonic()
        if key in self._clients:
            self._clients[key] = self._clients.pop(key)

    def _forget(self, key: Key) -> None:
        self._loop.close(self._clients.pop(key).socket)


def _send(sock: socket.socket, datagram: bytes) -> None:
    """Send DATAGRAM. An error may be that of an earlier one, which the container refused: that one is tried again."""
    for _ in range(2):
        try:
            sock.send(datagram)
            return
        except ConnectionRefusedError:
            continue
        except OSError:
            return


def _asked(control: list[tuple[int, int, bytes]]) -> bytes:
    """The struct in_pktinfo or in6_pktinfo that came with a datagram."""
    for level, kind, content in control:
        if (level, kind) in ((socket.IPPROTO_IP, IP_PKTINFO), (socket.IPPROTO_IPV6, _IPV6_PKTINFO)):
            return content
    return b""


def _reply_control(listener: Listener, asked: bytes) -> list[tuple[int, int, bytes]]:
    """What lets a reply leave from the address ASKED. Not by the interface of the question, unless the address means
    something on that one only."""
    if not asked:
        return []
    if listener.socket.family == socket.AF_INET6:  # address, interface
        interface = asked[16:20] if asked[0] == 0xFE and asked[1] & 0xC0 == 0x80 else bytes(4)
        return [(socket.IPPROTO_IPV6, _IPV6_PKTINFO, asked[:16] + interface)]
    return [(socket.IPPROTO_IP, IP_PKTINFO, bytes(4) + asked[4:8] + bytes(4))]  # interface, from, to
