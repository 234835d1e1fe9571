"""A layer's skeleton: its tar without the contents of its files, so that layer and skeleton together are the tar again.

It is written while the layer is unpacked, and tells ever after what must be on disk (`fsck`) and how the archive was
that the diff ID is of (`save`). tar-split, which Docker and Podman keep for the same end, is where the idea comes from.

    skeletons/<name of the layer's directory>
      96 bytes   `skeleton 1`, how many bytes the layer's files have, its CRC-32: text padded with blanks
      gzip       records: a letter, the length of what follows in four bytes, little-endian, and then

        b   bytes of the archive, as they are; the headers of the next entry begin a record of their own, `h`
        f   a file's contents: eight bytes of size, four of CRC-32, and its path below the layer's root
        d   entry number N, counted from 0, lost its contents: a later one has the same path. Eight bytes
        e   the end
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from io import FileIO

from mydocker.errors import ImageError
from mydocker.image.tar.inflate import inflate
from mydocker.record import Record

BYTES, HEADERS, FILE, DEAD, END = b"b", b"h", b"f", b"d", b"e"
_RECORD = struct.Struct("<cI")
_FILE = struct.Struct("<QI")
_NUMBER = struct.Struct("<Q")
_HEADER = 96  # bytes
_BATCH = 256 << 10  # bytes that are compressed at once
_RECORD_LIMIT = 8 << 20  # bytes
_SHORT = 96  # bytes of a path that is kept as it is


Piece = bytes | memoryview


class FileRecord(Record):
    """What the file at `path`, below the layer's root, must have: `size` bytes with the sum `crc32`."""

    path: bytes
    size: int
    crc32: int


class Writer:
    """Takes note of an archive on its way to the unpacker. Not used for what is not verified later: see `finish`."""

    def __init__(self, descriptor: int) -> None:
        """DESCRIPTOR, open for writing, is emptied. It stays open."""
        from isal import isal_zlib

        self._crc32: Callable[[Piece, int], int] = isal_zlib.crc32
        self._descriptor = descriptor
        self._compressor = isal_zlib.compressobj(1, wbits=31)  # a gzip of its own, with a sum of its own
        self._batch = bytearray()
        self._entries = self._bytes = self._crc = self._size = 0
        self._numbers: dict[bytes, int] = {}  # entries of files, by the keys of their paths
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        self._write(bytes(_HEADER))

    def entry(self, headers: Piece, path: bytes) -> None:
        """The next entry of the archive, all its blocks before the contents."""
        if self._numbers and (dead := self._numbers.pop(key(path), None)) is not None:
            self._add(DEAD, _NUMBER.pack(dead))
        self._add(HEADERS, headers)
        self._entries += 1

    def whole(self, header: Piece, path: bytes, contents: Sequence[Piece], padding: Piece) -> None:
        """An entry of one header and, if it is a file, of CONTENTS that will be on disk as PATH: the same as `entry`,
        `content` and so on would note, sooner."""
        name = path if len(path) <= _SHORT else key(path)
        batch = self._batch
        if (dead := self._numbers.pop(name, None)) is not None:
            batch += _RECORD.pack(DEAD, _NUMBER.size) + _NUMBER.pack(dead)
        batch += _RECORD.pack(HEADERS, len(header))
        batch += header
        if contents:
            size = crc = 0
            for piece in contents:
                crc = self._crc32(piece, crc)
                size += len(piece)
            self._numbers[name] = self._entries
            self._bytes += size
            batch += _RECORD.pack(FILE, _FILE.size + len(path)) + _FILE.pack(size, crc) + path
            if padding:
                batch += _RECORD.pack(BYTES, len(padding))
                batch += padding
        self._entries += 1
        if len(batch) >= _BATCH:
            self._compress()

    def literal(self, data: Piece) -> None:
        """Bytes of the archive that will not be on disk, such as padding."""
        if data:
            self._add(BYTES, data)

    def content(self, piece: Piece) -> None:
        """Bytes of the entry's file, which will be on disk."""
        self._crc = self._crc32(piece, self._crc)
        self._size += len(piece)

    def end_of_content(self, path: bytes) -> None:
        self._numbers[key(path)] = self._entries - 1
        self._add(FILE, _FILE.pack(self._size, self._crc) + path)
        self._bytes += self._size
        self._crc = self._size = 0

    def finish(self) -> None:
        """The archive has been verified: make the skeleton complete. Its user makes it durable, see staging.py."""
        self._add(END, b"")
        self._write(self._compressor.compress(bytes(self._batch)) + self._compressor.flush())
        text = f"skeleton 1 {self._bytes}".encode()
        os.pwrite(self._descriptor, text + f" {self._crc32(text, 0):08x}".encode().ljust(_HEADER - len(text)), 0)

    def _add(self, kind: bytes, data: Piece) -> None:
        self._batch += _RECORD.pack(kind, len(data))
        self._batch += data
        if len(self._batch) >= _BATCH:
            self._compress()

    def _compress(self) -> None:
        self._write(self._compressor.compress(bytes(self._batch)))
        self._batch.clear()

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


def key(path: bytes) -> bytes:
    """What stands for PATH where many are kept: itself, or a digest of a long one, which no path could be."""
    return path if len(path) <= _SHORT else b"\0" + hashlib.blake2b(path, digest_size=16).digest()


def unpacked_size(path: str) -> int:
    """How many bytes the files of the layer with the skeleton at PATH have; 0 if that is not known."""
    try:
        with _opened(path) as file:
            return _parse_header(file.read(_HEADER))
    except (OSError, ImageError):
        return 0


def records(path: str) -> Iterator[tuple[bytes, bytes]]:
    """The records of the skeleton at PATH: letter and body. ImageError if it is damaged, OSError if it is not there."""
    what = f"skeleton {os.path.basename(path)}"
    with _opened(path) as file:
        _parse_header(file.read(_HEADER))
        source = Reader(inflate(iter(lambda: file.read(_BATCH), b""), compression="gzip", what=what), what)
        kind = b""
        while kind != END:
            kind, length = _RECORD.unpack(source.take(_RECORD.size))
            if length > _RECORD_LIMIT:
                raise ImageError(f"{what}: damaged")
            yield kind, source.take(length)
        source.drain()  # the sum comes last


def contents(body: bytes) -> FileRecord:
    """What the record `f` with BODY says."""
    size, crc32 = _FILE.unpack_from(body)
    return FileRecord(path=body[_FILE.size :], size=size, crc32=crc32)


def _opened(path: str) -> FileIO:
    """The skeleton at PATH, to be read in large pieces. ImageError if it is no file; none is waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ImageError(f"skeleton {os.path.basename(path)}: not a file")
    return FileIO(descriptor)


def _parse_header(raw: bytes) -> int:
    text, _, crc32 = raw.rstrip(b" ").rpartition(b" ")
    words = text.split(b" ")
    from isal import isal_zlib

    if len(words) != 3 or words[:2] != [b"skeleton", b"1"] or crc32 != b"%08x" % isal_zlib.crc32(text):
        raise ImageError("a skeleton's header is damaged")
    return int(words[2])


class EarlyEnd(ImageError):
    """There is less than has to be there."""


class Reader:
    """Chunks of any size, read in the sizes that records have."""

    def __init__(self, chunks: Iterator[Piece], what: str) -> None:
        self._chunks, self._what = chunks, what
        self._rest = b""
        self._start = 0

    def take(self, size: int) -> bytes:
        while len(self._rest) - self._start < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise EarlyEnd(f"{self._what}: ends early")
            self._rest, self._start = self._rest[self._start :] + chunk, 0
        self._start += size
        return self._rest[self._start - size : self._start]

    def drain(self) -> None:
        for _ in self._chunks:
            pass
