"""Queries over UDP, and their forwarding: each with a new identifier and from a new port, so that nobody who does not
see it can answer in a server's place (RFC 5452, section 9.2).

A server that does not answer in time is asked again, as is the next one meanwhile; the first answer counts.
"""

from __future__ import annotations

import _socket as socket
import os
from functools import partial
from time import monotonic

from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network.name_server import message
from mydocker.runtime.network.port_relay.loop import EPOLLIN, Loop

if TYPE_CHECKING:
    from mydocker.runtime.network.name_server.message import Question
    from mydocker.runtime.network.name_server.source import Source
    from mydocker.runtime.network.name_server.upstream import Server

    Key = tuple[tuple[str, int], bytes]  # the client, its query

SOCKETS = 3  # for one query: so often it is sent
MOST = 200  # queries that are forwarded at once; others are refused
_INTERVAL = 1.5  # seconds until a query is sent again; the C library's clients give up after five (resolv.conf(5))
_LARGEST = 65535
_AT_ONCE = 64  # datagrams before it is another socket's turn
FAILURES = (message.SERVER_FAILURE, message.NOT_IMPLEMENTED, message.REFUSED)  # another server may know more


class _Forwarded:
    """A query that waits for an answer."""

    __slots__ = ("asked", "failure", "key", "left", "next", "question")

    def __init__(self, key: Key, question: Question, servers: list[Server]) -> None:
        self.key, self.question = key, question
        self.left = (servers * SOCKETS)[:SOCKETS]
        self.asked: dict[socket.socket, tuple[Server, bytes]] = {}  # with the identifier
        self.failure = b""  # the answer of a server that could not help
        self.next = 0.0  # when to ask the next one, or to give up


class Datagrams:
    """Serves the UDP socket SOCK from SOURCE."""

    def __init__(self, loop: Loop, sock: socket.socket, source: Source, *, most: int = MOST) -> None:
        self._loop, self._socket, self._source, self._most = loop, sock, source, most
        self._waiting: dict[Key, _Forwarded] = {}
        loop.watch(sock.fileno(), EPOLLIN, self._receive)

    @property
    def next_time(self) -> float | None:
        """When `tick` has something to do (monotonic); None if it has not."""
        return min((each.next for each in self._waiting.values()), default=None)

    def tick(self) -> None:
        """Ask other servers for what has not been answered in time."""
        now = monotonic()
        for each in [each for each in self._waiting.values() if each.next <= now]:
            for server, _ in each.asked.values():
                self._source.upstream.avoid(server)
            if each.left:
                self._ask(each)
            else:
                self._finish(each, each.failure)

    def _receive(self, _: int) -> None:
        for _ in range(_AT_ONCE):
            try:
                query, client = self._socket.recvfrom(_LARGEST)
            except OSError:  # there is no more
                return
            if message.is_query(query) and (client, query) not in self._waiting:
                self._handle(query, client)

    def _handle(self, query: bytes, client: tuple[str, int]) -> None:
        reply = self._source.reply(query, is_stream=False)
        if isinstance(reply, bytes):
            self._send(reply, client)
        elif len(self._waiting) >= self._most:
            self._send(message.refusal(query, message.SERVER_FAILURE, reply), client)
        else:
            waiting = _Forwarded((client, query), reply, self._source.upstream.servers())
            self._waiting[waiting.key] = waiting
            self._ask(waiting)

    def _ask(self, each: _Forwarded) -> None:
        """Send the query to the next server that can be reached; give up if there is none, and nothing to wait for."""
        while each.left:
            server = each.left.pop(0)
            if self._sent(each, server):
                each.next = monotonic() + _INTERVAL
                return
            self._source.upstream.avoid(server)
        if not each.asked:
            self._finish(each, each.failure)

    def _sent(self, each: _Forwarded, server: Server) -> bool:
        identifier = os.urandom(2)
        try:
            sock = socket.socket(server.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError:
            return False
        try:
            sock.connect(server.address)  # by that it gets no other's datagrams, and a port by chance
            sock.send(identifier + each.key[1][2:])
        except OSError:
            sock.close()
            return False
        each.asked[sock] = server, identifier
        self._loop.watch(sock.fileno(), EPOLLIN, partial(self._answered, each, sock))
        return True

    def _answered(self, each: _Forwarded, sock: socket.socket, _: int) -> None:
        server, identifier = each.asked[sock]
        try:
            response = sock.recv(_LARGEST)
        except BlockingIOError:
            return
        except OSError:  # refused: nothing listens there
            self._source.upstream.avoid(server)
            self._go_on(each, sock)
            return
        if not message.answers(response, identifier, each.question):
            return
        self._source.upstream.trust(server)
        if message.code_of(response) in FAILURES:
            each.failure = response
            self._go_on(each, sock)
        else:
            self._finish(each, response)

    def _go_on(self, each: _Forwarded, sock: socket.socket) -> None:
        """Without SOCK, from which nothing more is expected."""
        del each.asked[sock]
        self._loop.close(sock)
        self._ask(each)

    def _finish(self, each: _Forwarded, response: bytes) -> None:
        """Send RESPONSE to the client, or that there is none."""
        client, query = each.key
        reply = query[:2] + response[2:]
        if not response:
            reply = message.refusal(query, message.SERVER_FAILURE, each.question)
        elif len(response) > each.question.size:
            reply = message.truncated(query, each.question)
        self._send(reply, client)
        del self._waiting[each.key]
        for sock in each.asked:
            self._loop.close(sock)

    def _send(self, reply: bytes, client: tuple[str, int]) -> None:
        try:  # noqa: SIM105
            self._socket.sendto(reply, client)
        except OSError:  # lost, as on a network
            pass
