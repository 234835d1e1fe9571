"""A server of HTTP that answers as nobody should: `python rawserver.py [CERTIFICATE KEY]` prints its port and goes on
until it is killed.

What it says is decided by the path; /echo gives back the request.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator

OK = b"HTTP/1.1 200 OK\r\n"


def _endless(piece: bytes, pause: float = 0.0) -> Iterator[bytes]:
    while True:
        yield piece
        time.sleep(pause)


def _redirect(status: int, place: str) -> Iterator[bytes]:
    yield f"HTTP/1.1 {status} Elsewhere\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()


def _answer(path: str, request: bytes, port: int) -> Iterator[bytes]:
    if path == "/silent":
        time.sleep(60)
    elif path == "/slow":
        yield OK + b"\r\n"
        yield from _endless(b"x", 0.05)
    elif path == "/endless":
        yield OK + b"\r\n"
        yield from _endless(b"y" * 65536)
    elif path == "/headers":
        yield OK
        yield from _endless(b"X-More: z\r\n")
    elif path == "/line":
        yield from _endless(b"HTTP/1.1 200 OK")
    elif path == "/broken":
        yield OK + b"Content-Length: 10\r\n\r\nhalf"
    elif path == "/large":
        yield OK + b"Content-Length: 300000\r\n\r\n" + b"z" * 300_000
    elif path == "/junk":
        yield b"\x00\xff not HTTP\r\n\r\n"
    elif path == "/bytes":
        yield OK + b"content-type: a/b\r\nSERVER: \xff\r\nContent-Length: 3\r\n\r\n\xff\n."
    elif path.startswith("/to/"):
        yield from _redirect(302, path.removeprefix("/to/").replace("PORT", str(port)))
    elif path.startswith("/keep/"):
        yield from _redirect(307, path.removeprefix("/keep"))
    else:
        yield OK + f"Content-Length: {len(request)}\r\n\r\n".encode() + request


def _request(connection: socket.socket) -> bytes:
    """The whole of it: a body may come by itself."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += connection.recv(65536)
    head, _, body = raw.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.splitlines() if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def _serve(connection: socket.socket, port: int) -> None:
    try:
        request = _request(connection)
        for piece in _answer(request.split(b" ")[1].decode(), request, port):
            connection.sendall(piece)
        connection.close()
    except OSError:  # the client has had enough
        pass


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        print(port, flush=True)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        if sys.argv[1:]:
            context.load_cert_chain(*sys.argv[1:])
        while True:
            connection, _ = server.accept()
            try:
                connection = context.wrap_socket(connection, server_side=True) if sys.argv[1:] else connection
            except OSError:  # the client does not trust us
                continue
            threading.Thread(target=_serve, args=(connection, port), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
