"""Where a scan's entries go in tests: nowhere, or into an archive of these entries alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mydocker.image.layer.scan import Scan
from mydocker.image.tar.header import BLOCK, Entry
from mydocker.image.tar.input import Input
from mydocker.image.tar.tarsplit import Piece


class Careful(Scan):
    """Takes each entry as those that are unlike most."""

    def _hurry(self, source: Input) -> Piece:
        return source.block()


class Nowhere:
    """Takes entries and keeps nothing."""

    def plain(self, block: Piece, path: bytes, contents: Sequence[Piece]) -> None:
        pass

    def entry(self, entry: Entry, path: bytes, headers: bytes, contents: Iterator[Piece]) -> None:
        for _ in contents:
            pass


class Recorder:
    """`archive` has the entries as they came."""

    def __init__(self) -> None:
        self._entries: list[bytes] = []

    @property
    def archive(self) -> bytes:
        return b"".join(self._entries) + bytes(2 * BLOCK)

    def plain(self, block: Piece, path: bytes, contents: Sequence[Piece]) -> None:
        self._add(bytes(block), b"".join(contents))

    def entry(self, entry: Entry, path: bytes, headers: bytes, contents: Iterator[Piece]) -> None:
        self._add(headers, b"".join(contents))

    def _add(self, headers: bytes, contents: bytes) -> None:
        self._entries.append(headers + contents + bytes(-len(contents) % BLOCK))
