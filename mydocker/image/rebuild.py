"""A layer and its skeleton compared, file by file, or put together to the tar that the layer was unpacked from."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from mydocker import kernel
from mydocker.errors import ImageError
from mydocker.image import skeleton
from mydocker.image.skeleton import Contents

_PIECE = 1 << 20


def tar(layer: str, path: str) -> Iterator[bytes]:
    """The tar of the directory LAYER with the skeleton at PATH. Exact, unless the archive had several entries of one
    path: then all but the last are left out. ImageError if a file is not what it was; OSError."""
    dead = skeleton.dead_entries(path)
    entry = -1
    with _Layer(layer) as files:
        for kind, body in skeleton.records(path):
            entry += kind == skeleton.HEADERS
            if entry in dead:
                continue
            if kind in (skeleton.HEADERS, skeleton.BYTES):
                yield body
            elif kind == skeleton.FILE:
                yield from files.read(skeleton.contents(body))


def tar_size(path: str, dead: set[int]) -> int:
    """How many bytes `tar` gives for the skeleton at PATH, of which the entries DEAD are left out."""
    entry, size = -1, 0
    for kind, body in skeleton.records(path):
        entry += kind == skeleton.HEADERS
        if entry not in dead:
            if kind == skeleton.FILE:
                size += skeleton.contents(body).size
            elif kind in (skeleton.HEADERS, skeleton.BYTES):
                size += len(body)
    return size


def compare(layer: str, path: str) -> Iterator[str]:
    """What is wrong with the files of the directory LAYER with the skeleton at PATH, a line each. ImageError if the
    skeleton itself is damaged; OSError, FileNotFoundError if it is not there."""
    dead = skeleton.dead_entries(path)
    entry = -1
    with _Layer(layer) as files:
        for kind, body in skeleton.records(path):
            entry += kind == skeleton.HEADERS
            if kind == skeleton.FILE and entry not in dead:
                try:
                    for _ in files.read(skeleton.contents(body)):
                        pass
                except ImageError as error:
                    yield error.message


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

    def read(self, wanted: Contents) -> Iterator[bytes]:
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

    def _open(self, wanted: Contents, shown: str) -> int:
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
