"""Input: an archive's chunks, read in the sizes that tar thinks in. Only what lies across two chunks is copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mydocker.errors import ImageError
from mydocker.image.tar.header import BLOCK
from mydocker.image.tar.tarsplit import Piece

_FEW = 16  # pieces: what is written takes no more than 1,024 at once (writev(2), IOV_MAX)


class Input:
    """The archive of WHAT, of which each byte is read once; of the present chunk, what lies before `_read` has been."""

    def __init__(self, chunks: Iterable[bytes], what: str) -> None:
        self._chunks = iter(chunks)
        self._what = what
        self._chunk = b""
        self._view = memoryview(b"")
        self._read = 0

    def present(self) -> tuple[memoryview, int]:
        """The present chunk, and how much of it has been read."""
        return self._view, self._read

    def skip_to(self, place: int) -> None:
        """Of the present chunk, what lies before PLACE has been read."""
        self._read = place

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

    def held(self, size: int) -> Sequence[Piece]:
        """The next SIZE bytes in a few pieces, however small those are that they come in. ImageError if there are
        fewer."""
        few: list[Piece] = []
        rest = bytearray()
        for piece in self.pieces(size):
            if len(few) < _FEW:
                few.append(piece)
            else:
                rest += piece
        return [*few, memoryview(rest)] if rest else few

    def at_most(self, size: int) -> bytes:
        """The next SIZE bytes, or what is left."""
        data = b""
        while len(data) < size and self._more():
            data += self._next(size - len(data))
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
            self._chunk, self._view, self._read = chunk, memoryview(chunk), 0
        return True
