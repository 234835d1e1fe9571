"""Input: an archive's chunks, read in the sizes that tar thinks in and passed on in pieces as large as they came.

Its reader says of what it has read, as soon as it knows, whether that is to be passed on. Nothing is copied but what
lies across two chunks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mydocker.errors import ImageError
from mydocker.image.skeleton import Piece
from mydocker.image.tarheader import BLOCK


class Input:
    """The archive of WHAT, of which each byte is read once. `passed` has what is to be passed on, see `taken`.

    Of the present chunk, what lies before `_start` has been passed on or dropped, what lies before `_decided` is kept,
    and what lies before `_read` has been read.
    """

    def __init__(self, chunks: Iterable[bytes], what: str) -> None:
        self.passed: list[Piece] = []
        self._chunks = iter(chunks)
        self._what = what
        self._chunk = b""
        self._view = memoryview(b"")
        self._start = self._decided = self._read = 0
        self._held: list[Piece] = []  # read and undecided, of earlier chunks

    def keep(self) -> None:
        """All that has been read since the last word about it is to be passed on."""
        if self._held:
            self.passed += self._held
            self._held.clear()
        self._decided = self._read

    def drop(self) -> None:
        """Nobody is to see what has been read since the last word about it."""
        self._flush()
        self._held.clear()
        self._start = self._decided = self._read

    def taken(self) -> list[Piece]:
        """What is to be passed on now."""
        passed, self.passed = self.passed, []
        return passed

    def ahead(self, size: int) -> memoryview:
        """The next SIZE bytes, which stay there to be read; nothing if the present chunk has fewer."""
        end = self._read + size
        return self._view[self._read : end if end <= len(self._chunk) else self._read]

    def skip(self, size: int) -> None:
        """Read what `ahead` has shown."""
        self._read += size

    def block(self) -> bytes:
        """The next block; empty at the end of the stream."""
        end = self._read + BLOCK
        if end <= len(self._chunk):
            block = self._chunk[self._read : end]
            self._read = end
            return block
        return self.take(BLOCK) if self._more() else b""

    def take(self, size: int) -> bytes:
        """The next SIZE bytes. ImageError if there are fewer."""
        return b"".join(self.pieces(size))

    def at_most(self, size: int, *, pad: bool = False) -> bytes:
        """The next SIZE bytes, or what is left; with PAD, zeros for the rest are passed on if this is kept."""
        data = b""
        while len(data) < size and self._more():
            data += self._next(size - len(data))
        if pad and len(data) < size:
            self._load(bytes(size - len(data)))
            self._read = len(self._chunk)
        return data

    def pieces(self, size: int) -> Iterator[memoryview]:
        """The next SIZE bytes. ImageError if there are fewer."""
        while size:
            if not self._more():
                raise self.truncated()
            piece = self._next(size)
            size -= len(piece)
            yield piece

    def remainder(self) -> Iterator[Piece]:
        """All that has not been read."""
        while self._more():
            yield self._next(len(self._chunk))

    def truncated(self) -> ImageError:
        return ImageError(f"{self._what}: its archive ends in the middle of an entry")

    def _next(self, size: int) -> memoryview:
        piece = self._view[self._read : self._read + size]
        self._read += len(piece)
        return piece

    def _more(self) -> bool:
        """Whether there is a byte to read; takes the next chunk if need be."""
        while self._read == len(self._chunk):
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._load(chunk)
        return True

    def _load(self, chunk: bytes) -> None:
        self._flush()
        if self._read > self._decided:
            self._held.append(self._view[self._decided : self._read])
        self._chunk, self._view = chunk, memoryview(chunk)
        self._start = self._decided = self._read = 0

    def _flush(self) -> None:
        if self._decided > self._start:
            self.passed.append(self._view[self._start : self._decided])
            self._start = self._decided
