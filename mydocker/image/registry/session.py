"""Session: requests about one repository at one endpoint of a registry, with the authorization that they take.

Paths and headers go in, an accepted response or an error comes out: what was requested is missing, denied, or
cannot be had now. What the answers mean is for others to know.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from mydocker.errors import ImageError, RegistryError
from mydocker.image.model import json_input
from mydocker.image.registry.auth import credentials
from mydocker.image.registry.auth.token import Authorization, DeniedError
from mydocker.image.registry.hosts import origin_of
from mydocker.image.registry.http.timeouts import Timeouts
from mydocker.image.registry.http.transport import PASSING, Body, PassingError, Reply, Transport
from mydocker.image.registry.registries_conf import Endpoint
from mydocker.reference import DOCKER_HUB

_HUB_SERVER = "registry-1.docker.io"
_ERROR_LIMIT = 64 << 10  # bytes of an error's body that are read
_SHOWN = 200  # characters of it that are shown


class Session:
    """With ENDPOINT, whose address is found at the first request. Its methods may be called from several threads."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        environ: Mapping[str, str],
        timeouts: Timeouts,
        actions: str = "pull",
        warn: Callable[[str], None] | None = None,
    ) -> None:
        """ACTIONS is what a token must allow: `pull`, or `pull,push`. Credentials that cannot be read are reported to
        WARN, and an ImageError without it."""
        self._endpoint = endpoint
        self._unread: list[str] = []  # what is wrong with the user's credentials

        def note(words: str) -> None:
            self._unread.append(words)
            if warn:
                warn(words)

        self._transport = Transport(
            server_of(endpoint.host),
            insecure=endpoint.insecure,
            environ=environ,
            timeouts=timeouts,
            warn=warn,
        )
        self._authorization = Authorization(
            self._transport,
            repository=endpoint.repository,
            credentials=credentials.find(
                endpoint.host, environ=environ, repository=endpoint.repository, warn=note if warn else None
            ),
            actions=actions,
        )
        self._scheme: str | None = None

    def close(self) -> None:
        self._transport.close()

    def ask(
        self,
        path: str,
        headers: Mapping[str, str],
        *,
        missing: ImageError,
        accepted: Container[int] = (200,),
        method: str = "GET",
        body: Body | None = None,
        persist: bool = True,
    ) -> Reply:
        """An accepted answer for PATH, below the repository's own or the URL that another answer named; MISSING is
        raised for one that means `not here`."""
        base = self._base()
        url = self._transport.redirects.target(base, path)
        for renewable in (True, False):
            header = self._authorization.header
            known = header if origin_of(url) == origin_of(base) else None
            reply = self._transport.request(
                method, url, headers=headers, authorization=known, body=body, persist=persist
            )
            if reply.status in accepted:
                return reply
            with reply:
                refusal = self._refusal(reply, missing)
            if not (renewable and reply.status == 401 and self._renew(reply, header, base, missing)):
                break
        raise refusal

    def address(self, reply: Reply) -> str:
        """Where REPLY says that the rest is. RegistryError if it does not say."""
        location = reply.headers.get("Location")
        if not location:
            raise RegistryError(f"registry {self._endpoint.host}: does not say where to send what it wants")
        return self._transport.redirects.target(reply.url, location)

    def _renew(self, reply: Reply, refused: str | None, base: str, missing: ImageError) -> bool:
        if origin_of(reply.url) != origin_of(base):
            return False  # a server that we were redirected to asks for no secret of the registry's
        challenge = reply.headers.get("WWW-Authenticate", "")
        try:
            return self._authorization.answer(challenge, refused=refused, base=base)
        except DeniedError as error:
            raise type(missing)(missing.message, hint=self._denial(error.hint)) from error

    def _base(self) -> str:
        if self._scheme is None:
            self._scheme = self._transport.scheme()
        return f"{self._scheme}://{self._transport.home}/v2/{self._endpoint.repository}/"

    def _refusal(self, reply: Reply, missing: ImageError) -> ImageError:
        said = _said(reply)
        if reply.status == 404:
            return type(missing)(missing.message, hint=said)
        if reply.status in (401, 403):
            return type(missing)(missing.message, hint=self._denial(said))
        limit = "the registry's rate limit is reached; log in, or wait" if reply.status == 429 else None
        reason = f": {said}" if said else ""
        kind = PassingError if reply.status in PASSING else RegistryError
        return kind(f"registry {self._endpoint.host}: HTTP status {reply.status}{reason}", hint=limit)

    def _denial(self, said: str | None) -> str:
        if self._authorization.withheld_from:
            server = self._authorization.withheld_from
            return f"it asks to log in at {server}, which is not its own site: no credentials were sent there"
        reason = f" ({said})" if said else ""
        usual = f"it does not exist, or needs a login: mydocker login {self._endpoint.host}{reason}"
        return "; ".join([*self._unread, usual])


def check_is_registry(host: str, body: bytes) -> None:
    """Raise RegistryError if the BODY of what HOST answered is a web page: no registry sends one."""
    if body.lstrip()[:1] == b"<":
        raise RegistryError(
            f"registry {host}: answered with a web page, so it is no registry",
            hint="check the name and the port; a proxy, or a network with a login page, may have answered in its place",
        )


def server_of(host: str) -> str:
    """The server that answers for the registry HOST."""
    return _HUB_SERVER if host == DOCKER_HUB else host


def _said(reply: Reply) -> str | None:
    """What the body of an error says (distribution-spec, "Error Codes"), in printable characters and bounded."""
    try:
        raw = reply.read(_ERROR_LIMIT)
        errors = json_input.array(json_input.mapping(json_input.loads(raw, "error"), "error").get("errors"), "errors")
        first = json_input.mapping(errors[0], "error")
        text = json_input.string(first.get("message") or first.get("code"), "error")
    except (ImageError, IndexError):
        return None  # a proxy's web page, or nothing
    return ascii(text)[1:-1][:_SHOWN] or None
