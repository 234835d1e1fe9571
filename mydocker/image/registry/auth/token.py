"""Authorization for one repository: a registry's challenge in, the header that answers it out.

RFC 9110 section 11.6.1 (WWW-Authenticate), RFC 7617 (Basic), and Docker's token dialogue (distribution,
"Token Authentication Specification"). The user's secret goes to the registry itself or to the token server of its
own site, encrypted unless the registry is insecure; to no other place, whatever a challenge says.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from mydocker.errors import ImageError, RegistryError
from mydocker.image.model import json_input
from mydocker.image.registry.auth.credentials import Credentials
from mydocker.image.registry.hosts import host_of, name_of
from mydocker.image.registry.http.transport import Reply, Transport
from mydocker.record import Record

_CLIENT = "mydocker"
_TOKEN_LIMIT = 1 << 20
_CHALLENGE = re.compile(r"[\s,]*([A-Za-z][\w-]*)(?=[\s,]|$)(?!\s*=)")
_PARAMETER = re.compile(r'[\s,]*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_TOKEN = re.compile(r"[\x21-\x7e]+")


class Challenge(Record):
    """One way to be let in: `scheme` and the names of `parameters` are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> list[Challenge]:
    """The challenges of a WWW-Authenticate header, in order; reading stops where the grammar does."""
    found, position = [], 0
    while scheme := _CHALLENGE.match(header, position):
        position = scheme.end()
        parameters: dict[str, str] = {}
        while pair := _PARAMETER.match(header, position):
            position = pair.end()
            quoted = re.sub(r"\\(.)", r"\1", pair[2]) if pair[2] is not None else pair[3]
            parameters.setdefault(pair[1].lower(), quoted)
        found.append(Challenge(scheme=scheme[1].lower(), parameters=parameters))
    return found


class Authorization:
    """The Authorization header for REPOSITORY, renewed when it is refused. Safe to use from several threads.

    An empty repository stands for the registry as such: a login."""

    def __init__(
        self, transport: Transport, *, repository: str, credentials: Credentials | None, actions: str = "pull"
    ) -> None:
        """ACTIONS is what is to be done with the repository: `pull`, or `pull,push`."""
        self.header: str | None = None
        self.withheld_from: str | None = None  # a token server of another site, which got no credentials
        self._transport = transport
        self._repository = repository
        self._scope = f"repository:{repository}:{actions}" if repository else ""
        self._is_for_more = actions != "pull"
        self._credentials = credentials
        self._lock = threading.Lock()

    def answer(self, challenge: str, *, refused: str | None, base: str) -> bool:
        """Get a header for CHALLENGE, received from BASE with REFUSED as header. False if there is none to be had."""
        with self._lock:
            if self.header != refused:
                return True  # another thread has been faster
            for offered in parse_challenges(challenge):
                header = self._meet(offered, base)
                if header and header != refused:
                    self.header = header
                    return True
            return False

    def _meet(self, challenge: Challenge, base: str) -> str | None:
        if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
            return f"Bearer {self._token(challenge.parameters, base)}"
        if challenge.scheme == "basic" and self._credentials and not self._credentials.identity_token:
            return _basic(self._credentials)
        return None

    def _token(self, parameters: Mapping[str, str], base: str) -> str:
        realm = parameters["realm"]
        self._transport.redirects.check(realm)
        service, scopes = parameters.get("service", ""), self._scopes(parameters.get("scope", ""))
        query = {"service": service} if service else {}
        credentials = self._credentials
        if credentials and not is_own(realm, base):
            self.withheld_from, credentials = host_of(realm), None
        if credentials and credentials.identity_token:
            form = {"grant_type": "refresh_token", "client_id": _CLIENT, "refresh_token": credentials.identity_token}
            scope = {"scope": " ".join(scopes)} if scopes else {}
            reply = self._transport.request("POST", realm, form={**query, **scope, **form})
        else:
            basic = _basic(credentials) if credentials else None
            if credentials:
                query["account"] = credentials.username
            joint = "&" if urlsplit(realm).query else "?"
            fields = [*query.items(), *(("scope", scope) for scope in scopes)]
            reply = self._transport.get(realm + joint + urlencode(fields), authorization=basic)
        with reply:
            return self._read_token(reply, realm)

    def _scopes(self, wanted: str) -> list[str]:
        """What a token is to be good for: what the challenge WANTED, a scope after another with blanks between them,
        and for a push at once all that it takes, or there would be a new token for each kind of request."""
        scopes = wanted.split()
        if self._is_for_more:
            own = self._scope.rpartition(":")[0]
            scopes = [self._scope, *(scope for scope in scopes if scope.rpartition(":")[0] != own)]
        return scopes or [self._scope] if self._scope else scopes

    def _read_token(self, reply: Reply, realm: str) -> str:
        what = f"token of {host_of(realm)}"
        if reply.status in (400, 401, 403):
            hint = "log in again" if self._credentials and not self.withheld_from else None
            raise DeniedError(
                f"{host_of(realm)}: no token for {self._repository or 'this login'}: access denied", hint=hint
            )
        if reply.status != 200:
            raise RegistryError(f"{host_of(realm)}: no token: HTTP status {reply.status}")
        answer = json_input.mapping(json_input.loads(reply.read_all(_TOKEN_LIMIT, what), what), what)
        token = json_input.string(answer.get("token") or answer.get("access_token"), what)
        if not _TOKEN.fullmatch(token):
            raise ImageError(f"{what}: missing or malformed")
        return token


class DeniedError(RegistryError):
    """The token server has refused; the registry may say so of images that do not exist."""


def is_own(realm: str, base: str) -> bool:
    """Whether the token server at URL REALM belongs to the registry at URL BASE, so that it may see credentials.

    It does on the same host, and in the domain above the registry's: registry-1.docker.io trusts auth.docker.io,
    registry.gitlab.com trusts gitlab.com. A domain such as co.uk is above too many.
    """
    server, registry = name_of(urlsplit(realm).netloc), name_of(urlsplit(base).netloc)
    if urlsplit(realm).scheme != "https" and urlsplit(base).scheme == "https":
        return False
    if server == registry:
        return True
    parent = registry.partition(".")[2]
    first, _, last = parent.partition(".")
    is_domain = bool(last) and not parent.replace(".", "").isdigit() and not (len(first) <= 3 and len(last) == 2)
    return is_domain and (server == parent or server.endswith(f".{parent}"))


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"
