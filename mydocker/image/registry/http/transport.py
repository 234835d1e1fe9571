"""Transport: one HTTP request to a registry or to where it points, and its answer as a bounded stream.

Knows nothing of images or tokens. It goes where `RedirectPolicy` allows, sends an Authorization only to the host that
it was meant for, takes proxies from the environment, nothing from ~/.netrc and no cookies.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import requests
import requests.adapters
import requests.exceptions
import urllib3

from mydocker import __version__
from mydocker.errors import RegistryError
from mydocker.image.registry.hosts import host_of, is_loopback, origin_of
from mydocker.image.registry.http import certs
from mydocker.image.registry.http.failure import cause_of, hint, reason
from mydocker.image.registry.http.proxies import proxy_for
from mydocker.image.registry.http.redirects import RedirectPolicy
from mydocker.image.registry.http.timeouts import Timeouts, metered_pools
from mydocker.number import is_whole_number

REDIRECT_LIMIT = 5
PASSING = (429, 500, 502, 503, 504)  # answers that another attempt may change
_REDIRECTS = (301, 302, 303, 307, 308)

# RequestException is an OSError, and so is requests' complaint about a missing CA file; of urllib3's some slip through.
_FAILURES = (OSError, urllib3.exceptions.HTTPError)


class PassingError(RegistryError):
    """A failure that another attempt may not meet."""


class Body(Protocol):
    """What is sent: its length in bytes, and its bytes in pieces."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


class Reply:
    """An answer of which the body has not been read; close it, or use it in a `with`."""

    def __init__(self, response: requests.Response) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.url = response.url
        self._response = response

    def read(self, size: int) -> bytes:
        """At most SIZE bytes of the body as it came, b"" at its end. RegistryError if it breaks off or crawls."""
        try:
            data: bytes = self._response.raw.read(size, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise RegistryError(f"{host_of(self.url)}: the download broke off: {reason(error)}") from error
        return data

    def read_all(self, limit: int, what: str) -> bytes:
        """The whole body, of at most LIMIT bytes; RegistryError, naming WHAT, if there is more."""
        body = bytearray()
        while len(body) <= limit and (piece := self.read(limit + 1 - len(body))):
            body += piece
        if len(body) > limit:
            raise RegistryError(f"{what}: {host_of(self.url)} sends more than {limit} bytes")
        return bytes(body)

    def close(self) -> None:
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Adapter(requests.adapters.HTTPAdapter):
    """Makes connections, direct ones and those through a proxy, metered; with CONTEXT, by its rules."""

    def __init__(self, timeouts: Timeouts, context: ssl.SSLContext | None = None) -> None:
        self._pools = metered_pools(timeouts)
        self._rules: dict[str, Any] = {"ssl_context": context} if context else {}
        super().__init__(pool_maxsize=16)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **{**kwargs, **self._rules})
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        found = super().proxy_manager_for(proxy, **{**kwargs, **self._rules})
        found.pool_classes_by_scheme = self._pools
        return found


class Transport:
    """Requests on behalf of the registry HOME (`name[:port]`). Its methods may be called from several threads."""

    def __init__(
        self,
        home: str,
        *,
        insecure: bool,
        environ: Mapping[str, str],
        timeouts: Timeouts,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        """Certificates of the user's that cannot be read are reported to WARN, and an ImageError without it."""
        self.home = home
        self.insecure = insecure or is_loopback(home)
        self.redirects = RedirectPolicy(home, insecure=self.insecure)
        self._environ = environ
        self._timeouts = timeouts
        self._session = requests.Session()
        self._session.trust_env = False  # else ~/.netrc would answer for the user
        self._session.headers.clear()
        self._session.headers.update({"User-Agent": f"mydocker/{__version__}", "Accept-Encoding": "identity"})
        self._session.mount("http://", _Adapter(timeouts))
        for prefix in (
            "https://",
            f"https://{home}/",
        ):  # token servers and redirects see no certificate of the client's
            own = prefix != "https://"
            rules = (
                None
                if self.insecure
                else certs.context(home, environ=environ, client=own, warn=warn if own else _ignore)
            )
            if self.insecure and own:
                rules = _unverified()
            self._session.mount(prefix, _Adapter(timeouts, rules))
        if self.insecure:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def close(self) -> None:
        self._session.close()

    def scheme(self) -> str:
        """`https`, or `http` if the registry is insecure and speaks no TLS: dockerd's order of trying."""
        if not self.insecure:
            return "https"
        try:
            self._send(requests.Request("GET", f"https://{self.home}/v2/")).close()
        except _FAILURES as error:
            if isinstance(error, requests.exceptions.SSLError) or _is_passing(error):
                return "http"
            raise _failure(self.home, error, home=self.home) from error
        return "https"

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorization: str | None = None,
        form: Mapping[str, str] | None = None,
        body: Body | None = None,
        persist: bool = True,
    ) -> Reply:
        """The answer to METHOD at URL, redirects followed. RegistryError if none can be had.

        A FORM and a BODY go to this address alone, and a body goes once: whoever has it may begin again. Without
        PERSIST nothing is sent a second time.
        """
        for _ in range(REDIRECT_LIMIT + 1):
            self.redirects.check(url)
            sent = dict(headers or {})
            if authorization:
                sent["Authorization"] = authorization
            request = requests.Request(method, url, headers=sent, data=form if body is None else body)
            reply = self._persist(request, waits=self._timeouts.waits() if persist and body is None else [])
            location = reply.headers.get("Location")
            if reply.status not in _REDIRECTS or not location:
                return reply
            reply.close()
            if form is not None or body is not None:
                raise RegistryError(f"{host_of(url)}: redirects a request that carries credentials or contents")
            target = self.redirects.target(url, location)
            if origin_of(target) != origin_of(url):
                authorization = None
            url = target
        raise RegistryError(f"{host_of(url)}: more than {REDIRECT_LIMIT} redirects")

    def get(self, url: str, *, headers: Mapping[str, str] | None = None, authorization: str | None = None) -> Reply:
        return self.request("GET", url, headers=headers, authorization=authorization)

    def _persist(self, request: requests.Request, *, waits: list[float]) -> Reply:
        """Ask until there is an answer that another attempt would not change, or the WAITS before one are used up."""
        for wait in waits:
            pause = wait
            try:
                reply = Reply(self._send(request))
            except _FAILURES as error:
                if not _is_passing(error):
                    raise _failure(host_of(request.url), error, home=self.home) from error
            else:
                if reply.status not in PASSING:
                    return reply
                pause = _retry_after(reply.headers.get("Retry-After"), wait)
                reply.close()
            time.sleep(min(pause, self._timeouts.longest_wait))
        try:
            return Reply(self._send(request))
        except _FAILURES as error:
            raise _failure(host_of(request.url), error, home=self.home) from error

    def _send(self, request: requests.Request) -> requests.Response:
        # Not Session.send: it reads a redirect even where it must not follow it, and trips over what it finds.
        url: str = request.url
        at_home = urlsplit(url).netloc.lower() == self.home.lower()
        return self._session.get_adapter(url).send(
            self._session.prepare_request(request),
            stream=True,
            timeout=(self._timeouts.connect, self._timeouts.silence),
            proxies=self.proxies(url),
            verify=False if self.insecure and at_home else self._authorities(),
        )

    def _authorities(self) -> str | bool:
        """The file of certificate authorities that the environment names, or True for the usual ones."""
        names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
        return next((self._environ[name] for name in names if self._environ.get(name)), True)

    def proxies(self, url: str) -> dict[str, Any]:
        """The proxy for URL by its scheme, as requests takes it. RegistryError."""
        found = proxy_for(url, environ=self._environ)
        return {urlsplit(url).scheme: found} if found else {}


def _ignore(words: str) -> None:
    """What has been reported already."""


def _unverified() -> ssl.SSLContext:
    """Rules by which any certificate will do: it takes 20 ms to read the authorities, so not for nothing."""
    return urllib3.util.create_urllib3_context(cert_reqs=ssl.CERT_NONE)


def _retry_after(text: str | None, usual: float) -> float:
    """The seconds that a Retry-After header asks for (RFC 9110 section 10.2.3: a number or a date)."""
    if not text:
        return usual
    if is_whole_number(text):
        return float(text[:9])
    try:
        return max(usual, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError, OSError):
        return usual


def _is_passing(error: Exception) -> bool:
    """Whether to ask again: a connection that was made and then lost, but not one refused, untrusted or too slow."""
    lost = isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.ChunkedEncodingError)
    final = (requests.exceptions.SSLError, requests.exceptions.ProxyError, requests.exceptions.Timeout)
    return (
        lost and not isinstance(error, final) and not isinstance(cause_of(error), urllib3.exceptions.NewConnectionError)
    )


def _failure(host: str, error: Exception, *, home: str) -> RegistryError:
    kind = PassingError if _is_passing(error) else RegistryError
    helps = hint(host, error, is_registry=host.lower() == home.lower())
    failed = ""
    if isinstance(error, requests.exceptions.ProxyError):
        failed = "the proxy failed: "
        helps = "check HTTPS_PROXY, HTTP_PROXY or ALL_PROXY; NO_PROXY lists what needs no proxy"
    return kind(f"registry {host}: {failed}{reason(error)}", hint=helps)
