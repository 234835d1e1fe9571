"""UploadSession: a repository of a registry to which blobs and manifests are sent. OCI distribution-spec, "Push".

A blob goes in one request, whole. When that breaks off it begins again, so what is sent must be readable again; what
the registry has already is never sent. Nothing is sent to a mirror: only the registry proper takes anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Self
from urllib.parse import quote, urlencode, urlsplit

from mydocker.errors import ImageError, RegistryError, StoreError
from mydocker.image.model.manifest import Descriptor
from mydocker.image.registry import registries_conf
from mydocker.image.registry.http.timeouts import Timeouts
from mydocker.image.registry.http.transport import PassingError
from mydocker.image.registry.registries_conf import Endpoint
from mydocker.image.registry.session import Session, check_is_registry
from mydocker.reference import Digest, Reference

_PIECE = 64 << 10  # bytes: one of them may take as long as a connection, so a line of 7 kB/s will do
_ALL_BUT_401 = (*range(200, 401), *range(402, 600))  # which asks for a login

Chunks = Callable[[], Iterator[bytes]]
Tell = Callable[[int], None]


class UploadSession:
    """The repository of REFERENCE; close it, or use `with`. For one thread."""

    def __init__(self, reference: Reference, *, environ: Mapping[str, str], timeouts: Timeouts | None = None) -> None:
        self._environ, self._timeouts = environ, timeouts or Timeouts()
        self._endpoint = self._endpoint_of(reference)
        self._session = Session(self._endpoint, environ=environ, timeouts=self._timeouts, actions="pull,push")
        self._refused = RegistryError(f"image {reference.familiar}: registry {self._endpoint.host} does not take it")

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there already. A registry that does not say is sent it again: the answer to that counts.
        RegistryError if the registry cannot be reached, or requires another login."""
        with self._session.ask(
            f"blobs/{digest}", {}, missing=self._refused, accepted=_ALL_BUT_401, method="HEAD"
        ) as reply:
            return reply.status == 200

    def mount(self, digest: Digest, others: Sequence[Reference]) -> bool:
        """Whether the registry has taken the blob from one of its repositories OTHERS; those elsewhere do not count."""
        known = (self._endpoint_of(other) for other in others)
        near = dict.fromkeys(found.repository for found in known if found.host == self._endpoint.host)
        return any(self._mount(digest, name) for name in near if name != self._endpoint.repository)

    def send(self, descriptor: Descriptor, chunks: Chunks, tell: Tell) -> None:
        """Send the blob, which CHUNKS gives as often as it is called. TELL hears how many bytes are on their way.

        RegistryError if the registry does not take it; whatever CHUNKS raises.
        """
        self._persist(lambda: self._upload(descriptor, chunks, tell))

    def put_manifest(self, raw: bytes, media_type: str, identifier: str) -> None:
        """Let IDENTIFIER, a tag or RAW's own digest, mean RAW, all of whose blobs and manifests are there."""
        body = _Body(len(raw), lambda: iter([raw]), lambda done: None)
        self._persist(lambda: self._put(f"manifests/{identifier}", media_type, body))

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _endpoint_of(self, reference: Reference) -> Endpoint:
        return registries_conf.endpoints(reference, environ=self._environ)[-1]

    def _mount(self, digest: Digest, repository: str) -> bool:
        """Whether the blob has come from REPOSITORY. No answer is an error: without, the blob is sent."""
        query = urlencode({"mount": str(digest), "from": repository})
        with suppress(ImageError):
            with self._session.ask(
                f"blobs/uploads/?{query}", {}, missing=self._refused, accepted=(201, 202), method="POST", persist=False
            ) as reply:
                if reply.status == 201:
                    return True
                begun = self._session.address(reply)  # it cannot, and expects the blob instead
            self._session.ask(
                begun, {}, missing=self._refused, accepted=(200, 204), method="DELETE", persist=False
            ).close()
        return False

    def _upload(self, descriptor: Descriptor, chunks: Chunks, tell: Tell) -> None:
        with self._session.ask("blobs/uploads/", {}, missing=self._refused, accepted=(202,), method="POST") as reply:
            begun = self._session.address(reply)
        joint = "&" if urlsplit(begun).query else "?"
        url = f"{begun}{joint}digest={quote(str(descriptor.digest))}"
        self._put(url, "application/octet-stream", _Body(descriptor.size, chunks, tell))

    def _put(self, path: str, media_type: str, body: _Body) -> None:
        headers = {"Content-Type": media_type}
        accepted = (200, 201, 202, 204)  # 201 by the specification, which not everybody has read
        with self._session.ask(
            path, headers, missing=self._refused, accepted=accepted, method="PUT", body=body
        ) as reply:
            check_is_registry(self._endpoint.host, reply.read(_PIECE))

    def _persist(self, attempt: Callable[[], None]) -> None:
        for wait in self._timeouts.waits():
            try:
                return attempt()
            except PassingError:
                time.sleep(wait)
        return attempt()


class _Body:
    """SIZE bytes of CHUNKS, from the start each time that it is iterated over."""

    def __init__(self, size: int, chunks: Chunks, tell: Tell) -> None:
        self._size, self._chunks, self._tell = size, chunks, tell

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        done = 0
        try:
            for chunk in self._chunks():
                for start in range(0, len(chunk), _PIECE):
                    piece = chunk[start : start + _PIECE]
                    done += len(piece)
                    yield piece
                self._tell(done)
        except OSError as error:  # or it would pass for one of the connection
            raise StoreError(f"cannot read what is to be sent: {error.strerror}") from None
