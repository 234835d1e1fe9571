"""Queries over TCP (RFC 7766), one after the other on each connection, and their forwarding, over TCP as well."""

from __future__ import annotations

import _socket as socket
import errno
import os
from time import monotonic

from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network.name_server import message
from mydocker.runtime.network.name_server.datagrams import FAILURES
from mydocker.runtime.network.port_relay.loop import EPOLLIN, EPOLLOUT, Loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.runtime.network.name_server.message import Question
    from mydocker.runtime.network.name_server.source import Source
    from mydocker.runtime.network.name_server.upstream import Server

MOST = 64  # connections; one more ends the one that has been idle longest
SOCKETS = 2  # for one connection
_IDLE = 10.0  # seconds between queries
_PATIENCE = 3.0  # seconds, for a server
_AT_ONCE = 16  # connections before it is another socket's turn
_CHUNK = 1 << 16


class _End:
    """A connection, and what it has received and is still to send."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket, self.received, self.unsent = sock, b"", b""

    def send(self) -> None:
        """Send as much as it takes. Raises OSError."""
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            pass

    def receive(self) -> bool:
        """Receive what there is; False at the end. Raises OSError."""
        try:
            content = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return True
        self.received += content
        return bool(content)

    def take(self) -> bytes | None:
        """The next message, if all of it is there: after its length."""
        end = 2 + int.from_bytes(self.received[:2], "big")
        if len(self.received) < max(end, 2):
            return None
        content, self.received = self.received[2:end], self.received[end:]
        return content

    def put(self, content: bytes) -> None:
        self.unsent += len(content).to_bytes(2, "big") + content


class Streams:
    """Serves the listening TCP socket SOCK from SOURCE."""

    def __init__(self, loop: Loop, sock: socket.socket, source: Source, *, most: int = MOST) -> None:
        self.loop, self.source = loop, source
        self._socket, self._most = sock, most
        self.connections: dict[_Connection, None] = {}  # in the order of their last replies
        loop.watch(sock.fileno(), EPOLLIN, self._accept)

    @property
    def next_time(self) -> float | None:
        """When `tick` has something to do (monotonic); None if it has not."""
        return min((each.deadline for each in self.connections), default=None)

    def tick(self) -> None:
        """End connections that are idle, and ask other servers in place of those that have not answered in time."""
        now = monotonic()
        for each in [each for each in self.connections if each.deadline <= now]:
            each.time_out()

    def touch(self, connection: _Connection) -> None:
        if connection in self.connections:
            self.connections[connection] = self.connections.pop(connection)

    def _accept(self, _: int) -> None:
        for _ in range(_AT_ONCE):
            try:
                descriptor, _ = self._socket._accept()  # type: ignore[attr-defined]  # undeclared, as it is for the standard module
            except OSError:  # there is no more
                return
            sock = socket.socket(fileno=descriptor)
            sock.setblocking(False)
            if len(self.connections) >= self._most:
                next(iter(self.connections)).close()
            self.connections[_Connection(self, sock)] = None


class _Connection:
    """One of a client's."""

    def __init__(self, streams: Streams, sock: socket.socket) -> None:
        self._streams, self._loop, self._source = streams, streams.loop, streams.source
        self._client = _End(sock)
        self._query = b""
        self._question: Question | None = None  # of the query, while it is forwarded
        self._servers: list[Server] = []
        self._upstream: _End | None = None
        self._identifier, self._failure = b"", b""
        self.deadline = monotonic() + _IDLE
        self._loop.watch(sock.fileno(), EPOLLIN, self._on_client)

    def _on_client(self, _: int) -> None:
        try:
            if self._client.unsent:
                self._client.send()
            elif not self._client.receive():
                self.close()
                return
            self._serve()
        except OSError:
            self.close()

    def _serve(self) -> None:
        """Answer queries that have arrived, until one has to be forwarded, or a reply cannot be sent at once."""
        while not self._question and not self._client.unsent:
            query = self._client.take()
            if query is None:
                break
            if not message.is_query(query):
                self.close()
                return
            reply = self._source.reply(query, is_stream=True)
            if isinstance(reply, bytes):
                self._reply(reply)
            else:
                self._query, self._question, self._failure = query, reply, b""
                self._servers = self._source.upstream.servers()
                self._ask()
        if self in self._streams.connections:
            events = EPOLLOUT if self._client.unsent else 0 if self._question else EPOLLIN
            self._loop.change(self._client.socket.fileno(), events)

    def _reply(self, reply: bytes) -> None:
        self._client.put(reply)
        self._client.send()
        self.deadline = monotonic() + _IDLE
        self._streams.touch(self)

    def _ask(self) -> None:
        """Connect to the next server; without one, the client gets what the last one has said."""
        self._forget_upstream()
        while self._servers:
            server = self._servers.pop(0)
            if self._connected(server):
                self.deadline = monotonic() + _PATIENCE
                return
        assert self._question
        reply = message.refusal(self._query, message.SERVER_FAILURE, self._question)
        self._question = None
        self._reply(self._query[:2] + self._failure[2:] if self._failure else reply)

    def _connected(self, server: Server) -> bool:
        """Whether SERVER can be reached, as far as that is known at once."""
        try:
            sock = socket.socket(server.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError:
            return False
        if sock.connect_ex(server.address) not in (0, errno.EINPROGRESS):
            sock.close()
            return False
        self._upstream, self._identifier = _End(sock), os.urandom(2)
        self._upstream.put(self._identifier + self._query[2:])
        self._loop.watch(sock.fileno(), EPOLLOUT, self._on_upstream)
        return True

    def _on_upstream(self, _: int) -> None:
        upstream = self._upstream
        if not upstream or not self._question:
            return
        try:
            if upstream.unsent:
                upstream.send()
                if not upstream.unsent:
                    self._loop.change(upstream.socket.fileno(), EPOLLIN)
                return
            has_ended = not upstream.receive()
            response = upstream.take()
        except OSError:
            has_ended, response = True, None
        if response is not None and message.answers(response, self._identifier, self._question):
            self._answered(response)
        elif response is not None or has_ended:
            self._try_next()

    def _answered(self, response: bytes) -> None:
        if message.code_of(response) in FAILURES:
            self._failure = response
            self._try_next()
            return
        self._forget_upstream()
        self._question = None
        self._go_on(lambda: self._reply(self._query[:2] + response[2:]))

    def _try_next(self) -> None:
        self._go_on(self._ask)

    def _go_on(self, step: Callable[[], None]) -> None:
        try:
            step()
            self._serve()
        except OSError:
            self.close()

    def time_out(self) -> None:
        """The deadline has passed."""
        if self._question:
            self._try_next()
        else:
            self.close()

    def _forget_upstream(self) -> None:
        if self._upstream:
            self._loop.close(self._upstream.socket)
            self._upstream = None

    def close(self) -> None:
        self._forget_upstream()
        self._question = None
        if self in self._streams.connections:
            del self._streams.connections[self]
            self._loop.close(self._client.socket)
