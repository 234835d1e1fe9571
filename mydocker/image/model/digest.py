"""DigestReader: a stream of bytes that must have a given digest, and size if known, by the time it has been read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from mydocker.errors import ImageError
from mydocker.reference import Digest


def digest_of(data: bytes) -> Digest:
    """The digest of a blob that has DATA."""
    return Digest(hex=hashlib.sha256(data).hexdigest())


class DigestReader:
    """Iterates over CHUNKS and raises ImageError, naming WHAT and both values, when they are not what they must be.

    The size comes first: a stream that is too long is cut off there. Only an iteration that has ended normally proves
    anything, so nothing made of the stream may be shown before.
    """

    def __init__(self, chunks: Iterable[bytes], *, digest: Digest, what: str, size: int | None = None) -> None:
        self._chunks = iter(chunks)
        self._expected, self._size, self._what = digest, size, what
        self._sum = hashlib.sha256()
        self._seen = 0
        self._failed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._read()
        except Exception:
            self._failed = True
            raise

    def _read(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._seen += len(chunk)
            if self._size is not None and self._seen > self._size:
                raise ImageError(f"{self._what}: longer than its {self._size} bytes")
            self._sum.update(chunk)
            yield chunk
        if self._size is not None and self._seen != self._size:
            raise ImageError(f"{self._what}: has {self._seen} bytes instead of {self._size}")
        found = f"sha256:{self._sum.hexdigest()}"
        if found != str(self._expected):
            raise ImageError(f"{self._what}: is damaged or forged: expected {self._expected}, found {found}")

    def drain(self) -> None:
        """Read what is left, for the verdict alone; none if reading has failed already, which is the better reason."""
        if not self._failed:
            for _ in self:
                pass
