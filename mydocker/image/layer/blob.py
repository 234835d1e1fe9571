"""A blob's bytes as they arrive, resumed where they broke off."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Protocol, Self

from mydocker.errors import RegistryError
from mydocker.image.model.digest import DigestReader
from mydocker.image.model.manifest import Descriptor
from mydocker.image.store.partial_download import PartialDownload

CHUNK = 120 << 10  # bytes at a time: malloc(3) maps more than 128 KiB anew, page by page, each time
RESTARTS = 5  # for one blob; each failure to open it has been retried already, see transport.py


class Stream(Protocol):
    """A blob from `offset` on, for use with `with`."""

    offset: int

    def read(self, size: int) -> bytes: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Source(Protocol):
    """What has images: a registry, see `Registry` for the contract, or files."""

    def manifest(self, identifier: str) -> tuple[bytes, str | None]: ...

    def open_blob(self, descriptor: Descriptor, *, offset: int = 0) -> Stream: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def whole(source: Source, descriptor: Descriptor, kind: str) -> bytes:
    """The blob DESCRIPTOR, verified; small, as a config is. ImageError, which names its KIND."""
    what = f"{kind} {descriptor.digest}"
    found = chunks(source, descriptor)
    return b"".join(DigestReader(found, digest=descriptor.digest, size=descriptor.size, what=what))


def manifest(source: Source, descriptor: Descriptor) -> tuple[bytes, str | None]:
    """The manifest DESCRIPTOR that an index lists, verified, and its media type if the source says one. ImageError."""
    raw, content_type = source.manifest(str(descriptor.digest))
    what = f"manifest {descriptor.digest}"
    return b"".join(DigestReader([raw], digest=descriptor.digest, size=descriptor.size, what=what)), content_type


def chunks(source: Source, descriptor: Descriptor, part: PartialDownload | None = None) -> Generator[bytes, None, None]:
    """The bytes of DESCRIPTOR, unverified: those of PART first, which the rest is added to. RegistryError when it keeps
    breaking off."""
    done = restarts = 0
    for kept in part.kept() if part else ():
        done += len(kept)
        yield kept
    begun, waited = done, 0.0
    while done < descriptor.size or not done:
        try:
            with source.open_blob(descriptor, offset=done) as stream:
                skip = done - stream.offset  # the server may not do ranges: what we have is read again and dropped
                started = time.monotonic()
                while data := stream.read(CHUNK):
                    waited += time.monotonic() - started
                    fresh = data[skip:]
                    skip = max(0, skip - len(data))
                    if fresh:
                        done += len(fresh)
                        if part:
                            part.add(fresh, waited=waited)
                        yield fresh
                    started = time.monotonic()
            return
        except RegistryError:
            restarts += 1
            if not begun < done < descriptor.size or restarts > RESTARTS:
                raise
