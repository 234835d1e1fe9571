"""DNS for tests, by its own code: questions, what replies say, and a server that answers as a test sets it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

A, NS, PTR, TXT, OPT, AAAA, ANY = 1, 2, 12, 16, 41, 28, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
TRUNCATED = 0x0200


def name(text: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def question(text: str, kind: int = A, *, identifier: bytes = b"", class_: int = 1, size: int | None = None) -> bytes:
    """A query; SIZE: with EDNS, the bytes that a reply may have."""
    identifier = identifier or os.urandom(2)
    counts = b"\0\1\0\0\0\0" + (b"\0\0" if size is None else b"\0\1")
    extended = b"" if size is None else b"\0" + OPT.to_bytes(2, "big") + size.to_bytes(2, "big") + bytes(6)
    return identifier + b"\1\0" + counts + name(text) + kind.to_bytes(2, "big") + class_.to_bytes(2, "big") + extended


@dataclass(frozen=True)
class Reply:
    raw: bytes
    code: int
    truncated: bool
    data: tuple[str, ...]  # of the answers: addresses, names
    lives: tuple[int, ...] = ()  # their times to live
    extended: bool = False


def read(raw: bytes) -> Reply:
    """What a whole message says."""
    flags, count, answers, authorities, additional = (_number(raw, place) for place in range(2, 12, 2))
    assert flags & 0x8000, "not a reply"
    offset, data, lives, extended = 12, [], [], False
    for _ in range(count):
        offset = _name_at(raw, offset)[1] + 4
    for index in range(answers + authorities + additional):
        offset = _name_at(raw, offset)[1]
        kind, life, length = _number(raw, offset), int.from_bytes(raw[offset + 4 : offset + 8], "big"), offset + 8
        start = length + 2
        offset = start + _number(raw, length)
        extended |= kind == OPT
        if index < answers:
            data.append(_shown(raw, kind, start, offset))
            lives.append(life)
    assert offset == len(raw), "more than the counts say"
    return Reply(raw, flags & 15, bool(flags & TRUNCATED), tuple(data), tuple(lives), extended)


def _number(raw: bytes, offset: int) -> int:
    assert offset + 2 <= len(raw)
    return int.from_bytes(raw[offset : offset + 2], "big")


def _name_at(raw: bytes, offset: int) -> tuple[str, int]:
    labels, end = [], 0
    while raw[offset]:
        if raw[offset] >= 0xC0:
            end = end or offset + 2
            offset = _number(raw, offset) & 0x3FFF
            continue
        labels.append(raw[offset + 1 : offset + 1 + raw[offset]].decode("latin-1"))
        offset += raw[offset] + 1
    return ".".join(labels), end or offset + 1


def _shown(raw: bytes, kind: int, start: int, end: int) -> str:
    if kind == A:
        return socket.inet_ntop(socket.AF_INET, raw[start:end])
    if kind == AAAA:
        return socket.inet_ntop(socket.AF_INET6, raw[start:end])
    return _name_at(raw, start)[0] if kind == PTR else raw[start:end].hex()


def response(query: bytes, *addresses: str, code: int = 0, flags: int = 0) -> bytes:
    """A server's answer to QUERY with IPv4 ADDRESSES."""
    records = b"".join(b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(each) for each in addresses)
    end = query.index(b"\0", 12) + 5
    header = query[:2] + (0x8180 | flags | code).to_bytes(2, "big") + b"\0\1" + len(addresses).to_bytes(2, "big")
    return header + bytes(4) + query[12:end] + records


Answer = Callable[[bytes, bool], bytes | list[bytes] | None]  # of the query, and whether it came over TCP


@dataclass
class Server:
    """Answers at port 53 of an address, until the end: with what `answer` makes of a query, and nothing for None."""

    answer: Answer
    queries: list[bytes] = field(default_factory=list)
    peers: list[tuple[str, int]] = field(default_factory=list)


@contextmanager
def serving(answer: Answer, *addresses: str) -> Iterator[Server]:
    """A server at ADDRESSES of the network namespace that this thread is in."""
    server = Server(answer)
    opened, threads = [], []
    for address in addresses or ("127.0.0.1",):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        datagrams, streams = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_STREAM)
        streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for sock in (datagrams, streams):
            sock.bind((address, 53))
            opened.append(sock)
        streams.listen()
        for serve, sock in ((_serve_datagrams, datagrams), (_serve_streams, streams)):
            threads.append(threading.Thread(target=serve, args=(server, sock), daemon=True))
            threads[-1].start()
    try:
        yield server
    finally:
        for sock in opened:
            with suppress(OSError):  # a datagram socket is not connected, and wakes its thread all the same
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in threads:
            thread.join()


def _serve_datagrams(server: Server, sock: socket.socket) -> None:
    while True:
        try:
            query, peer = sock.recvfrom(65535)
        except OSError:
            return
        if not query:  # the shutdown
            return
        server.queries.append(query)
        server.peers.append(peer[:2])
        reply = server.answer(query, False)
        with suppress(OSError):  # the end has come meanwhile
            for each in reply if isinstance(reply, list) else [reply]:
                if each is not None:
                    sock.sendto(each, peer)


def _serve_streams(server: Server, sock: socket.socket) -> None:
    while True:
        try:
            connection, peer = sock.accept()
        except OSError:
            return
        with connection, suppress(OSError):  # who asked has gone
            length = connection.recv(2, socket.MSG_WAITALL)
            query = connection.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)
            if not query:
                continue
            server.queries.append(query)
            server.peers.append(peer[:2])
            reply = server.answer(query, True)
            if isinstance(reply, bytes):
                connection.sendall(len(reply).to_bytes(2, "big") + reply)


@dataclass(frozen=True)
class Client:
    """Asks the name server at ADDRESS; `inside` enters the network namespace to ask from."""

    inside: Callable[[], object]
    address: str = "127.0.0.11"

    def socket(self, kind: int = socket.SOCK_DGRAM, *, timeout: float = 60) -> socket.socket:
        with self.inside():  # type: ignore[attr-defined]
            sock = socket.socket(socket.AF_INET, kind)
        sock.settimeout(timeout)
        try:
            sock.connect((self.address, 53))
        except OSError:
            sock.close()
            raise
        return sock

    def ask(self, text: str, kind: int = A, *, size: int | None = None) -> Reply:
        query = question(text, kind, size=size)
        with self.socket() as sock:
            sock.send(query)
            reply = read(sock.recv(65535))
        assert reply.raw[:2] == query[:2]
        return reply

    def ask_by_stream(self, text: str, kind: int = A) -> Reply:
        query = question(text, kind)
        with self.socket(socket.SOCK_STREAM) as sock:
            sock.sendall(len(query).to_bytes(2, "big") + query)
            return read(receive(sock))


def receive(sock: socket.socket) -> bytes:
    """The next message of a stream."""
    length = int.from_bytes(sock.recv(2, socket.MSG_WAITALL), "big")
    return sock.recv(length, socket.MSG_WAITALL)
