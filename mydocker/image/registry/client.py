"""Registry: the manifests and blobs of one image, from whichever of its endpoints has them.

OCI distribution-spec, "Pull". What comes out is untrusted: a manifest requested by digest has been checked against it,
a blob's size is checked as it is read, its digest is its reader's to check.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Self, TypeVar

from mydocker.errors import ImageError, ImageNotFoundError, RegistryError
from mydocker.image.model import json_input
from mydocker.image.model.manifest import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from mydocker.image.registry import registries_conf
from mydocker.image.registry.http.timeouts import Timeouts
from mydocker.image.registry.http.transport import Reply
from mydocker.image.registry.registries_conf import Endpoint
from mydocker.image.registry.session import Session, check_is_registry
from mydocker.reference import Reference

_ACCEPT = ", ".join(MANIFEST_TYPES + INDEX_TYPES)

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
    """The endpoints of REFERENCE, tried in the order of containers-registries.conf(5); close it, or use `with`.

    Credentials that cannot be read are reported to WARN: most images can be had without."""

    def __init__(
        self,
        reference: Reference,
        *,
        environ: Mapping[str, str],
        timeouts: Timeouts | None = None,
        warn: Callable[[str], None] = lambda words: None,
    ) -> None:
        self._reference = reference
        found = registries_conf.endpoints(reference, environ=environ)
        self._sources = [_Source(endpoint, environ, timeouts or Timeouts(), warn) for endpoint in found]

    def manifest(self, identifier: str) -> tuple[bytes, str | None]:
        """The bytes of the manifest or index with that tag or digest, and their Content-Type.

        Raises ImageNotFoundError if no endpoint has it, RegistryError if none could be reached, ImageError if the bytes
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
    """One endpoint, in its own words."""

    def __init__(
        self, endpoint: Endpoint, environ: Mapping[str, str], timeouts: Timeouts, warn: Callable[[str], None]
    ) -> None:
        self._endpoint = endpoint
        self._session = Session(endpoint, environ=environ, timeouts=timeouts, warn=warn)

    def close(self) -> None:
        self._session.close()

    def manifest(self, identifier: str, reference: Reference) -> tuple[bytes, str | None]:
        what = f"image {reference.familiar}"
        missing = ImageNotFoundError(f"{what}: not found in registry {self._endpoint.host}")
        with self._session.ask(f"manifests/{identifier}", {"Accept": _ACCEPT}, missing=missing) as reply:
            raw = reply.read_all(json_input.LIMIT, f"{what}: manifest")
            check_is_registry(self._endpoint.host, raw)
            _verify(raw, identifier, what)
            return raw, reply.headers.get("Content-Type")

    def open_blob(self, descriptor: Descriptor, offset: int) -> BlobStream:
        missing = RegistryError(f"blob {descriptor.digest}: not found in registry {self._endpoint.host}")
        path = f"blobs/{descriptor.digest}"
        if 0 < offset < descriptor.size:
            headers = {"Range": f"bytes={offset}-{descriptor.size - 1}"}
            reply = self._session.ask(path, headers, missing=missing, accepted=(200, 206, 416))
            if reply.status == 200:
                return _whole(reply, descriptor)
            if reply.status == 206 and _starts_at(reply, offset, descriptor.size):
                return BlobStream(reply, descriptor=descriptor, offset=offset)
            reply.close()  # another part than the requested one must not be mixed in
        return _whole(self._session.ask(path, {}, missing=missing), descriptor)


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
    """Whether a 206 is exactly the requested range (RFC 9110 section 14.4)."""
    content_range = reply.headers.get("Content-Range", "")
    return content_range in (f"bytes {offset}-{size - 1}/{size}", f"bytes {offset}-{size - 1}/*")
