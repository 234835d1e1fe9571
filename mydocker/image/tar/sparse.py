"""Sparse files of GNU tar: an archive has their pieces only, and a map that says where these are. The rest is zeros.

GNU tar manual, "Storing Sparse Files": the old GNU format, and the versions 0.0, 0.1 and 1.0 of its pax format.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from mydocker.image.tar import header
from mydocker.image.tar.header import BLOCK, Malformed
from mydocker.image.tar.tarsplit import EarlyEnd, Piece, Reader

_PIECE = 1 << 20  # bytes that are compared or written at once
_PIECES = 1 << 20  # of one file
_SLOT, _FIELD = 24, 12  # bytes that one piece takes in the old map, and a number
_SLOTS_AFTER = 21  # pieces in each block after it
_CHANGED = "its contents have changed"

Pieces = list[tuple[int, int]]  # where each is in the file, and how many bytes it has


def expand(file: int, blocks: bytes, extensions: Mapping[bytes, bytes], contents: Iterator[Piece]) -> None:
    """Write to the empty FILE what the entry with BLOCKS, EXTENSIONS and, in the archive, CONTENTS stands for.
    Malformed if its map makes no sense, or there is less than that says; OSError."""
    archived = Reader(contents, "a sparse file")
    try:
        size, pieces = _map(blocks, extensions, archived)
        os.ftruncate(file, size)
        for start, length in pieces:
            _write(file, start, length, archived)
    except EarlyEnd:
        raise Malformed("a sparse file with less in it than its map says") from None


def _write(file: int, start: int, length: int, archived: Reader) -> None:
    while length:
        rest = archived.take(min(_PIECE, length))
        length -= len(rest)
        while rest:
            written = os.pwrite(file, rest, start)
            start, rest = start + written, rest[written:]


def difference(file: int, blocks: bytes, extensions: Mapping[bytes, bytes], contents: Iterator[bytes]) -> str | None:
    """What is wrong with the open FILE, whose entry has BLOCKS, EXTENSIONS and, in the archive, CONTENTS. ImageError if
    these end early; OSError."""
    archived = Reader(contents, "a sparse file")
    try:
        size, pieces = _map(blocks, extensions, archived)
    except Malformed as problem:
        return f"was {problem}"
    found = os.fstat(file).st_size
    if found != size:
        return f"has {found} bytes instead of {size}"
    end = 0
    for start, length in pieces:
        if start < end or not _is_zero(file, end, start):
            return _CHANGED
        end = start + length
        if not _is_equal(file, start, end, archived):
            return _CHANGED
    return None if _is_zero(file, end, size) else _CHANGED


def _map(blocks: bytes, extensions: Mapping[bytes, bytes], contents: Reader) -> tuple[int, Pieces]:
    """The size of the file, and its pieces. Malformed if they make no sense."""
    try:
        size, pieces = _stated(blocks, extensions, contents)
    except (ValueError, KeyError):
        raise Malformed("a sparse file with a damaged map") from None
    end = 0
    for start, length in pieces:
        if start < end or start + length > size:
            raise Malformed("a sparse file whose map makes no sense")
        end = start + length
    return size, pieces


def _stated(blocks: bytes, extensions: Mapping[bytes, bytes], contents: Reader) -> tuple[int, Pieces]:
    if blocks[header.TYPE] == header.SPARSE:
        return header.number(blocks[header.REAL_SIZE]), list(_old_pieces(blocks))
    if extensions.get(b"GNU.sparse.major") == b"1":
        return header.decimal(extensions[b"GNU.sparse.realsize"]), _pieces_before(contents)
    stated = extensions[b"GNU.sparse.map"] if extensions.get(b"GNU.sparse.numblocks") != b"0" else b""
    numbers = [header.decimal(text) for text in stated.split(b",") if stated]
    return header.decimal(extensions[b"GNU.sparse.size"]), list(zip(numbers[::2], numbers[1::2], strict=True))


def _old_pieces(blocks: bytes) -> Iterator[tuple[int, int]]:
    slots = [range(header.SPARSE_MAP, header.SPARSE_MAP + 4 * _SLOT, _SLOT)]
    slots += [range(start, start + _SLOTS_AFTER * _SLOT, _SLOT) for start in range(BLOCK, len(blocks), BLOCK)]
    for place in (place for some in slots for place in some):
        if blocks[place + _FIELD]:
            start, middle, end = place, place + _FIELD, place + _SLOT
            yield header.number(blocks[start:middle]), header.number(blocks[middle:end])


def _pieces_before(contents: Reader) -> Pieces:
    """The map that precedes the pieces: numbers on lines of their own, padded to a whole block."""
    numbers: list[int] = []
    rest = b""
    while not numbers or len(numbers) <= 2 * numbers[0]:
        if len(numbers) > 2 * _PIECES or len(rest) > BLOCK:
            raise Malformed("a sparse file of too many pieces")
        *lines, rest = (rest + contents.take(BLOCK)).split(b"\n")
        numbers += [header.decimal(line) for line in lines]
    return list(zip(numbers[1::2], numbers[2::2], strict=True))


def _is_equal(file: int, start: int, end: int, archived: Reader) -> bool:
    while start < end:
        wanted = archived.take(min(_PIECE, end - start))
        if os.pread(file, len(wanted), start) != wanted:
            return False
        start += len(wanted)
    return True


def _is_zero(file: int, start: int, end: int) -> bool:
    """Whether there is nothing but zeros from START to END, most of which is no data at all."""
    while start < end:
        try:
            start = os.lseek(file, start, os.SEEK_DATA)
        except OSError:  # ENXIO: no data up to the end
            return True
        piece = os.pread(file, max(0, min(_PIECE, end - start)), start)
        if piece.strip(b"\0"):
            return False
        start += len(piece) or end
    return True
