"""Requests to a running container by HTTP/1.1: one request, made inside its network namespace, becomes facts.

In a separate process, which runs nothing of the image: only its network is entered. The response is as untrusted as
the image: its size and its time are limited, and credentials and headers are not sent to a host that it redirects to.
"""

from __future__ import annotations

import base64
import http.client
import os
import ssl
from urllib.parse import SplitResult, urljoin, urlsplit

from mydocker.kernel.enter import enter_namespace
from mydocker.kernel.signals import signal
from mydocker.message import send
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.inspect.helper_process import HelperProcess, Problem, settle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from mydocker.specs.model.expect import Request

BODY_LIMIT = 1 << 20  # bytes of a body that are read
REDIRECTS = 10
_REDIRECT = (301, 302, 303, 307, 308)


class HttpResponse(Record):
    """A response, with its headers as lines; `cut`: its body was longer than BODY_LIMIT."""

    status: int
    headers: str
    body: str
    cut: bool


class PendingRequest(HelperProcess):
    """One pending request. The facts are `status`, `headers` and `body`, or the `problem`."""

    def __init__(
        self, request: Request, *, network: int | None, ports: Mapping[int, int], user: int | None = None
    ) -> None:
        """NETWORK is a descriptor of the container's network namespace, None where that is the host's; USER one of its
        user namespace, unless it has none or this process is in it. PORTS, of the host to the container, translate
        those of URLs."""
        entered = tuple(each for each in (user, network) if each is not None)

        def work(writer: int, parent: int) -> NoReturn:
            _work(request, entered, ports, writer, parent)

        # it is ended by its alarm, before or while it writes
        super().__init__(work, results=(HttpResponse,), silence=f"no response within {request.timeout:g} s")


def _work(request: Request, entered: tuple[int, ...], ports: Mapping[int, int], writer: int, parent: int) -> NoReturn:
    try:
        settle(parent, (writer, *entered))  # SIGALRM now ends it, wherever it is
        signal.setitimer(signal.ITIMER_REAL, request.timeout)
        response = _enter_and_request(request, entered, ports)
        signal.setitimer(signal.ITIMER_REAL, 0)  # the response came in time, whenever the parent reads it
        send(writer, response)
    finally:
        os._exit(0)


def _enter_and_request(request: Request, entered: tuple[int, ...], ports: Mapping[int, int]) -> HttpResponse | Problem:
    for namespace in entered:
        try:
            enter_namespace(namespace)
        except OSError as error:
            return Problem(problem=f"its network cannot be entered: {error.strerror}")
    return _follow(request, ports)


def _follow(request: Request, ports: Mapping[int, int]) -> HttpResponse | Problem:
    """Follow redirects to the end; errors are facts."""
    url, origin = request.url, urlsplit(request.url)
    try:
        for _ in range(REDIRECTS + 1):
            received, response = _exchange(request, urlsplit(url), origin, ports)
            location = received.getheader("Location")
            if not (request.follow and location and received.status in _REDIRECT):
                return response
            url = urljoin(url, location)
            if urlsplit(url).scheme not in ("http", "https"):
                return Problem(problem=f"a redirect to {url!r}")
            if received.status == 303 or (received.status < 303 and request.method == "POST"):  # RFC 9110, 15.4
                request = request.replace(method="GET", body="")
        return Problem(problem=f"more than {REDIRECTS} redirects")
    except http.client.IncompleteRead as error:
        return Problem(problem=f"no response: it broke off after {len(error.partial)} bytes of its body")
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Problem(problem=f"no response: {why}")


def _exchange(
    request: Request, url: SplitResult, origin: SplitResult, ports: Mapping[int, int]
) -> tuple[http.client.HTTPResponse, HttpResponse]:
    host = url.hostname or ""
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    inside = ports.get(port, port) if _is_loopback(host) else port
    connection = http.client.HTTPConnection(host, inside, timeout=request.timeout)
    if url.scheme == "https":
        connection = http.client.HTTPSConnection(host, inside, timeout=request.timeout, context=_context(request))
    headers = {"Host": url.netloc.rpartition("@")[2], "User-Agent": "mydocker", "Connection": "close"}
    if (url.scheme, url.netloc) == (origin.scheme, origin.netloc):
        headers |= _credentials(request) | dict(request.headers)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    connection.request(request.method, target, body=request.body.encode() or None, headers=headers)
    received = connection.getresponse()
    body = received.read(BODY_LIMIT + 1)
    # `length` is what is left of Content-Length: read(n) accepts an early end
    if received.length and len(body) <= BODY_LIMIT:
        raise http.client.IncompleteRead(body, received.length)
    lines = [f"{_canonical(name)}: {value}" for name, value in received.getheaders()]
    text = body[:BODY_LIMIT].decode(errors="surrogateescape")
    response = HttpResponse(status=received.status, headers="\n".join(lines), body=text, cut=len(body) > BODY_LIMIT)
    return received, response


def _credentials(request: Request) -> dict[str, str]:
    if not request.username:
        return {}
    pair = f"{request.username}:{request.password}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _context(request: Request) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not request.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.")


def _canonical(name: str) -> str:
    """`content-type` as Content-Type, as goss compares it: names of headers have no case (RFC 9110, 5.1)."""
    return "-".join(part.capitalize() for part in name.split("-"))
