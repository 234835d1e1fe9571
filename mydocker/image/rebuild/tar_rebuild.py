"""A layer and its skeleton compared, file by file, or put together to the tar that the layer was unpacked from."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from mydocker import kernel
from mydocker.errors import ImageError
from mydocker.image.rebuild.moved_files import Places, moved
from mydocker.image.tar import tarsplit
from mydocker.image.tar.tarsplit import FileRecord

_PIECE = 1 << 20


def tar(layer: str, path: str, places: Places) -> Iterator[bytes]:
    """The tar of the directory LAYER with the skeleton at PATH, whose files are in PLACES. Exact, except that contents
    which are gone are zeros. ImageError if a file is not what it was; OSError."""
    with _Layer(layer) as files:
        for kind, wanted, body in _records(path, places):
            if kind in (tarsplit.HEADERS, tarsplit.BYTES):
                yield body
            elif wanted:
                yield from files.read(wanted)
            elif kind == tarsplit.FILE:
                yield from _zeros(tarsplit.contents(body).size)


def tar_size(path: str) -> int:
    """How many bytes `tar` gives for the skeleton at PATH."""
    size = 0
    for kind, body in tarsplit.records(path):
        if kind == tarsplit.FILE:
            size += tarsplit.contents(body).size
        elif kind in (tarsplit.HEADERS, tarsplit.BYTES):
            size += len(body)
    return size


def compare(layer: str, path: str) -> Iterator[str]:
    """What is wrong with the files of the directory LAYER with the skeleton at PATH, a line each. ImageError if the
    skeleton itself is damaged; OSError, FileNotFoundError if it is not there."""
    with _Layer(layer) as files:
        for _, wanted, _ in _records(path, moved(path)):
            try:
                for _ in files.read(wanted) if wanted else ():
                    pass
            except ImageError as error:
                yield error.message


def _records(path: str, places: Places) -> Iterator[tuple[bytes, FileRecord | None, bytes]]:
    """The records of the skeleton at PATH; in the middle, what the file must have that now has the contents."""
    number = -1
    for kind, body in tarsplit.records(path):
        number += kind == tarsplit.HEADERS
        wanted = tarsplit.contents(body) if kind == tarsplit.FILE else None
        if wanted and number in places:
            place = places[number]
            wanted = None if place is None else wanted.replace(path=place)
        yield kind, wanted, body


def _zeros(size: int) -> Iterator[bytes]:
    for start in range(0, size, _PIECE):
        yield bytes(min(_PIECE, size - start))


class _Layer:
    """The files of one layer, of which nothing but regular files below it is ever opened; use it with `with`."""

    def __init__(self, path: str) -> None:
        from isal import isal_zlib

        self._crc32 = isal_zlib.crc32
        self._path = path

    def __enter__(self) -> _Layer:
        self._root = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def read(self, wanted: FileRecord) -> Iterator[bytes]:
        """The contents of the file WANTED. ImageError, by the end, if they are not those that were unpacked."""
        shown = repr(os.fsdecode(wanted.path))
        descriptor = self._open(wanted, shown)
        crc = count = 0
        try:
            while piece := os.read(descriptor, _PIECE):
                count += len(piece)
                crc = self._crc32(piece, crc)
                if count > wanted.size:
                    break
                yield piece
        except OSError as error:
            raise ImageError(f"{shown}: cannot be read: {error.strerror}") from None
        finally:
            os.close(descriptor)
        if count != wanted.size:
            raise ImageError(f"{shown}: has {count} bytes or more instead of {wanted.size}")
        if crc != wanted.crc32:
            raise ImageError(f"{shown}: its contents have changed")

    def _open(self, wanted: FileRecord, shown: str) -> int:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = kernel.open_inside(self._root, os.fsdecode(wanted.path), flags, resolve=kernel.RESOLVE_BENEATH)
        except FileNotFoundError:
            raise ImageError(f"{shown}: is missing") from None
        except OSError as error:
            raise ImageError(f"{shown}: cannot be opened: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise ImageError(f"{shown}: is not a file any more")
        return descriptor
