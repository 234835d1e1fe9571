"""Registry: the manifests and blobs of one image, from whichever of its endpoints has them.

OCI distribution-spec, "Pull". What comes out is untrusted: a manifest asked for by digest has been checked against it,
a blob's size is checked as it is read, its digest is its reader's to check.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Self, TypeVar

from mydocker.errors import ImageError, ImageNotFoundError, RegistryError
from mydocker.image import credentials, jsontext, registriesconf
from mydocker.image.address import origin_of
from mydocker.image.auth import Authorization, DeniedError
from mydocker.image.connection import Patience
from mydocker.image.manifest import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from mydocker.image.registriesconf import Endpoint
from mydocker.image.transport import Reply, Transport
from mydocker.reference import DOCKER_HUB, Reference

_ACCEPT = ", ".join(MANIFEST_TYPES + INDEX_TYPES)
_HUB_SERVER = "registry-1.docker.io"
_ERROR_LIMIT = 64 << 10  # bytes of an error's body that are looked at
_SHOWN = 200  # characters of it that are shown

T = TypeVar("T")


class BlobStream:
    """A blob from `offset` on. Gives exactly the bytes that are missing to its size, or raises."""

    def __init__(self, reply: Reply, *, descriptor: Descriptor, offset: int) -> None:
        self.offset = offset
        self._reply = reply
        self._digest = descriptor.digest
        self._missing = descriptor.size - offset

    def read(self, size: int) -> bytes:
        """At most SIZE bytes, undecoded, b"" at the end. RegistryError if the stream breaks off, ends early or crawls;
        ImageError if it is longer than the manifest says."""
        data = self._reply.read(size)
        self._missing -= len(data)
        if self._missing < 0:
            raise ImageError(f"blob {self._digest}: longer than its manifest says")
        if not data and size and self._missing:
            raise RegistryError(f"blob {self._digest}: the download ended {self._missing} bytes early")
        return data

    def close(self) -> None:
        self._reply.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Registry:
    """The endpoints of REFERENCE, tried in the order of containers-registries.conf(5); close it, or use `with`."""

    def __init__(self, reference: Reference, *, environ: Mapping[str, str], patience: Patience | None = None) -> None:
        self._reference = reference
        found = registriesconf.endpoints(reference, environ=environ)
        self._sources = [_Source(endpoint, environ, patience or Patience()) for endpoint in found]

    def manifest(self, identifier: str) -> tuple[bytes, str | None]:
        """The bytes of the manifest or index with that tag or digest, and their Content-Type.

        Raises ImageNotFoundError if no endpoint has it, RegistryError if none could be asked, ImageError if the bytes
        have another digest than IDENTIFIER: what we compute decides, not Docker-Content-Digest.
        """
        return self._first(lambda source: source.manifest(identifier, self._reference))

    def open_blob(self, descriptor: Descriptor, *, offset: int = 0) -> BlobStream:
        """The blob as it is stored, from OFFSET on if the server can, else from its start: see the stream's `offset`.

        May be called from several threads at once. Raises RegistryError, or ImageError if the blob has another size.
        """
        return self._first(lambda source: source.open_blob(descriptor, offset))

    def close(self) -> None:
        for source in self._sources:
            source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _first(self, ask: Callable[[_Source], T]) -> T:
        """The first answer; failing all, the error of the last endpoint, which is the registry proper."""
        for source in self._sources[:-1]:
            try:
                return ask(source)
            except ImageError:
                continue  # a mirror that lacks the image, lies or is down is no reason to fail
        return ask(self._sources[-1])


class _Source:
    """One endpoint: its address, found at the first request, and the authorization for it."""

    def __init__(self, endpoint: Endpoint, environ: Mapping[str, str], patience: Patience) -> None:
        self._endpoint = endpoint
        self._transport = Transport(
            server_of(endpoint.host), insecure=endpoint.insecure, environ=environ, patience=patience
        )
        self._authorization = Authorization(
            self._transport,
            repository=endpoint.repository,
            credentials=credentials.find(endpoint.host, environ=environ, repository=endpoint.repository),
        )
        self._scheme: str | None = None

    def close(self) -> None:
        self._transport.close()

    def manifest(self, identifier: str, reference: Reference) -> tuple[bytes, str | None]:
        what = f"image {reference.familiar}"
        missing = ImageNotFoundError(f"{what}: not found in registry {self._endpoint.host}")
        with self._ask(f"manifests/{identifier}", {"Accept": _ACCEPT}, missing=missing) as reply:
            raw = reply.read_all(jsontext.LIMIT, f"{what}: manifest")
            _verify(raw, identifier, what)
            return raw, reply.headers.get("Content-Type")

    def open_blob(self, descriptor: Descriptor, offset: int) -> BlobStream:
        missing = RegistryError(f"blob {descriptor.digest}: not found in registry {self._endpoint.host}")
        path = f"blobs/{descriptor.digest}"
        if 0 < offset < descriptor.size:
            headers = {"Range": f"bytes={offset}-{descriptor.size - 1}"}
            reply = self._ask(path, headers, missing=missing, accepted=(200, 206, 416))
            if reply.status == 200:
                return _whole(reply, descriptor)
            if reply.status == 206 and _starts_at(reply, offset, descriptor.size):
                return BlobStream(reply, descriptor=descriptor, offset=offset)
            reply.close()  # another part than was asked for must not be mixed in
        return _whole(self._ask(path, {}, missing=missing), descriptor)

    def _ask(
        self, path: str, headers: Mapping[str, str], *, missing: ImageError, accepted: tuple[int, ...] = (200,)
    ) -> Reply:
        """An accepted answer, with the authorization that it takes; MISSING is raised for one that means `not here`."""
        base = self._base()
        for renewable in (True, False):
            header = self._authorization.header
            reply = self._transport.get(base + path, headers=headers, authorization=header)
            if reply.status in accepted:
                return reply
            with reply:
                refusal = self._refusal(reply, missing)
            if not (renewable and reply.status == 401 and self._renew(reply, header, base, missing)):
                break
        raise refusal

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
        told = f": {said}" if said else ""
        return RegistryError(f"registry {self._endpoint.host}: HTTP status {reply.status}{told}", hint=limit)

    def _denial(self, said: str | None) -> str:
        if self._authorization.withheld_from:
            server = self._authorization.withheld_from
            return f"it asks to log in at {server}, which is not its own site: no credentials were sent there"
        told = f" ({said})" if said else ""
        return f"it does not exist, or needs a login: mydocker login {self._endpoint.host}{told}"


def server_of(host: str) -> str:
    """The server that answers for the registry HOST."""
    return _HUB_SERVER if host == DOCKER_HUB else host


def _verify(raw: bytes, identifier: str, what: str) -> None:
    found = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    if identifier.startswith("sha256:") and found != identifier:
        raise ImageError(f"{what}: the registry sent a manifest with digest {found}, not {identifier}")


def _whole(reply: Reply, descriptor: Descriptor) -> BlobStream:
    """A stream of the whole blob; a Content-Length that differs is refused before a byte is read."""
    length = reply.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) != descriptor.size:
        reply.close()
        raise ImageError(
            f"blob {descriptor.digest}: the registry sends {length[:20]} bytes, its manifest says {descriptor.size}"
        )
    return BlobStream(reply, descriptor=descriptor, offset=0)


def _starts_at(reply: Reply, offset: int, size: int) -> bool:
    """Whether a 206 is exactly the range that was asked for (RFC 9110 section 14.4)."""
    content_range = reply.headers.get("Content-Range", "")
    return content_range in (f"bytes {offset}-{size - 1}/{size}", f"bytes {offset}-{size - 1}/*")


def _said(reply: Reply) -> str | None:
    """What the body of an error says (distribution-spec, "Error Codes"), in printable characters and bounded."""
    try:
        raw = reply.read(_ERROR_LIMIT)
        errors = jsontext.array(jsontext.mapping(jsontext.loads(raw, "error"), "error").get("errors"), "errors")
        first = jsontext.mapping(errors[0], "error")
        text = jsontext.string(first.get("message") or first.get("code"), "error")
    except (ImageError, IndexError):
        return None  # a proxy's web page, or nothing
    return ascii(text)[1:-1][:_SHOWN] or None
