"""A fake Docker Hub: registry, token server and blob store on three loopback ports, with faults on order.

It repeats the Hub's dialogue: 401 with a Bearer challenge, an anonymous or a user's token, manifests, blobs behind a
307 to a host that must not see the token. `requests` has all that was asked; `answer` puts a fault in place of the
next answers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SERVICE = "registry.docker.io"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

Answer = Callable[["Handler"], None]


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Seen:
    """One request: its method, which server, its path with the query, its headers, its body."""

    def __init__(self, method: str, server: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.server, self.path, self.headers, self.body = method, server, path, headers, body

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode())

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query)


class Hub:
    """`address` is the registry's host:port; `blobs` and `manifests` what it has; `users` who may log in."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.users: dict[str, str] = {}
        self.requests: list[Seen] = []
        self.challenge: str | None = None  # instead of the usual one
        self.addresses: dict[str, str] = {}
        self.scheme = "http"
        self.shared: set[str] = set()  # repositories whose blobs may be mounted elsewhere
        self.cut: list[Answer] = []  # what the next uploads get before they have been read
        self._tokens = 0
        self._faults: list[list[Any]] = []
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        return self.addresses["registry"]

    def url(self, server: str) -> str:
        return f"{self.scheme}://{self.addresses[server]}"

    def add(self, data: bytes, media_type: str = LAYER) -> dict[str, Any]:
        """Store a blob and return its descriptor."""
        self.blobs[digest_of(data)] = data
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}

    def tag(self, document: dict[str, Any] | bytes, tag: str = "latest", *, media_type: str = MANIFEST) -> str:
        """Store a manifest under TAG and under its digest, which is returned."""
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.manifests[tag] = self.manifests[digest_of(raw)] = (media_type, raw)
        return digest_of(raw)

    def answer(self, server: str, part: str, fault: Answer, *, times: int = 1_000_000) -> None:
        """Answer the next TIMES requests to SERVER whose path has PART with FAULT; faults queue up."""
        self._faults.append([server, part, fault, times])

    def expire(self) -> None:
        """No token that was given out so far is valid any more."""
        self._tokens += 1

    def seen(self, server: str, part: str = "") -> list[Seen]:
        return [request for request in self.requests if request.server == server and part in request.path]

    def handle(self, handler: Handler) -> None:
        if early := self._early(handler):
            return early(handler)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        seen = Seen(handler.command, handler.role, handler.path, dict(handler.headers), body)
        handler.body = body
        with self._lock:
            self.requests.append(seen)
            fault = self._next_fault(handler)
        (fault or self.usual)(handler)

    def usual(self, handler: Handler) -> None:
        """What a hub without faults answers."""
        getattr(self, f"_{handler.role}")(handler)

    def _early(self, handler: Handler) -> Answer | None:
        """A fault for the next upload that comes before its body has been read."""
        with self._lock:
            return self.cut.pop(0) if handler.command == "PUT" and "/uploads/" in handler.path and self.cut else None

    def _next_fault(self, handler: Handler) -> Answer | None:
        for entry in self._faults:
            server, part, fault, times = entry
            if server == handler.role and part in handler.path and times:
                entry[3] -= 1
                return fault
        return None

    def _registry(self, handler: Handler) -> None:
        parts = re.match(r"/v2/(.+)/(blobs/uploads|blobs|manifests)/([^?]*)", handler.path)
        repository, kind, name = parts.groups() if parts else ("", "", "")
        if handler.headers.get("Authorization") != f"Bearer token-{self._tokens}":
            actions = "pull" if handler.command in ("GET", "HEAD") else "pull,push"
            scope = f"repository:{repository}:{actions}"
            usual = f'Bearer realm="{self.url("auth")}/token",service="{SERVICE}",scope="{scope}"'
            return refusal(401, "UNAUTHORIZED", challenge=self.challenge or usual)(handler)
        if handler.command == "HEAD":
            return reply(b"", status=200 if name in self.blobs else 404)(handler)
        if handler.command != "GET":
            return self._taken(handler, kind, name)(handler)
        if kind == "blobs" and name in self.blobs:
            return redirect(f"{self.url('cdn')}/{name}?signature=x%2Fy")(handler)
        if kind == "manifests" and name in self.manifests:
            media_type, raw = self.manifests[name]
            return reply(raw, {"Content-Type": media_type, "Docker-Content-Digest": digest_of(raw)})(handler)
        return refusal(404, "MANIFEST_UNKNOWN")(handler)

    def _taken(self, handler: Handler, kind: str, name: str) -> Answer:
        """The answer to a push: the beginning of an upload, its end, or a manifest."""
        query = parse_qs(urlsplit(handler.path).query)
        if handler.command == "DELETE":
            return reply(b"", status=204)
        if handler.command == "POST":
            if query.get("from", [""])[0] in self.shared:
                return reply(b"", status=201)
            return reply(b"", {"Location": urlsplit(handler.path).path + "1234?_state=x%2Fy"}, status=202)
        if kind == "manifests":
            self.tag(handler.body, name, media_type=handler.headers["Content-Type"])
            return reply(b"", status=201)
        if query["_state"] != ["x/y"] or digest_of(handler.body) != query["digest"][0]:
            return refusal(400, "DIGEST_INVALID")
        self.add(handler.body)
        return reply(b"", status=201)

    def _auth(self, handler: Handler) -> None:
        authorization = handler.headers.get("Authorization", "")
        if authorization:
            user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
            if self.users.get(user) != password:
                return refusal(401, "UNAUTHORIZED")(handler)
        return reply(json.dumps({"token": f"token-{self._tokens}", "expires_in": 300}).encode())(handler)

    def _cdn(self, handler: Handler) -> None:
        data = self.blobs[urlsplit(handler.path).path[1:]]
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", "")):
            start, end = int(wanted[1]), int(wanted[2])
            part = {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
            return reply(data[start : end + 1], part, status=206)(handler)
        return reply(data)(handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub
    role: str
    body = b""

    def do_GET(self) -> None:
        self.hub.handle(self)

    do_POST = do_HEAD = do_PUT = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        pass  # clients that hang up are what many tests are about


def reply(body: bytes, headers: dict[str, str] | None = None, *, status: int = 200) -> Answer:
    """BODY with its right Content-Length, unless HEADERS say another."""

    def send(handler: Handler) -> None:
        handler.send_response(status)
        for name, text in {"Content-Length": str(len(body)), **(headers or {})}.items():
            handler.send_header(name, text)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    return send


def refusal(status: int, code: str, message: str = "", *, challenge: str = "") -> Answer:
    """An error as the distribution specification wants it."""
    body = json.dumps({"errors": [{"code": code, "message": message or code.lower()}]}).encode()
    return reply(body, {"WWW-Authenticate": challenge} if challenge else None, status=status)


def redirect(url: str) -> Answer:
    return reply(b"", {"Location": url}, status=307)


def broken_off(body: bytes, *, after: int) -> Answer:
    """The headers of BODY, AFTER bytes of it, and a closed connection."""

    def send(handler: Handler) -> None:
        reply(body[:after], {"Content-Length": str(len(body))})(handler)
        handler.close_connection = True

    return send


def hang_up(handler: Handler) -> None:
    """No answer at all: the connection is closed."""
    handler.close_connection = True


def dripping(start: bytes, *, pause: float = 0.05) -> Answer:
    """START at once, then for ever one byte every PAUSE seconds, until the client has had enough."""

    def send(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(start)
        while True:
            handler.wfile.write(b"x")
            time.sleep(pause)

    return send


def endless(piece: bytes, *, start: bytes = b"") -> Answer:
    """START, then PIECE as fast as it goes, for ever."""

    def send(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(start)
        while True:
            handler.wfile.write(piece)

    return send


@contextmanager
def serve(
    *, host: str = "127.0.0.1", certificate: pathlib.Path | None = None, client: pathlib.Path | None = None
) -> Iterator[Hub]:
    """A running hub; over TLS with CERTIFICATE (key and certificate in one file), the registry for those only who
    have one that CLIENT has signed. The blob store is `localhost`."""
    hub = Hub()
    hub.scheme = "https" if certificate else "http"
    with ExitStack() as stack:
        for role in ("registry", "auth", "cdn"):
            server = Server((host, 0), type("Role", (Handler,), {"hub": hub, "role": role}))
            stack.callback(server.server_close)
            if certificate:
                context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                context.load_cert_chain(certificate)
                if client and role == "registry":
                    context.verify_mode = ssl.CERT_REQUIRED
                    context.load_verify_locations(client)
                server.socket = context.wrap_socket(server.socket, server_side=True)
            name = "localhost" if role == "cdn" and not certificate else host
            hub.addresses[role] = f"{name}:{server.server_port}"
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            stack.callback(server.shutdown)
        yield hub


def make_certificate(directory: pathlib.Path, name: str) -> pathlib.Path:
    """A self-signed certificate for host NAME and its key, in one file."""
    path, key = directory / "hub.pem", directory / "key.pem"
    names = f"subjectAltName=DNS:{name}"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    subprocess.run([*command, "-addext", names, "-keyout", key, "-out", path], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


_AUTHORITY = """[ca]
default_ca = made
[made]
database = {directory}/index.txt
new_certs_dir = {directory}
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = DNS:{name}
"""


def make_dated_certificate(directory: pathlib.Path, name: str, start: str, end: str) -> pathlib.Path:
    """As `make_certificate`, valid from START to END, each `YYYYMMDDHHMMSSZ`."""
    key, request, path = (directory / file for file in ("key.pem", "request.pem", "hub.pem"))
    (directory / "index.txt").touch()
    (directory / "ca.cnf").write_text(_AUTHORITY.format(directory=directory, name=name))
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request]
    sign = ["openssl", "ca", "-batch", "-notext", "-selfsign", "-config", directory / "ca.cnf", "-keyfile", key]
    sign += ["-in", request, "-startdate", start, "-enddate", end, "-out", path]
    for command in (new, sign):
        subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path
