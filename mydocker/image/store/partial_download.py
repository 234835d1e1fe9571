"""PartialDownload: the beginning of a blob, kept on disk as it arrives, so that a pull that was killed can go on there.

    incoming/<hex of the diff ID>.<hex of the blob>.part    records: length and CRC-32, four bytes each, and bytes

Held by whoever has the claim of that diff ID, see staging.py. Nothing is synced, and nothing is believed: what does
not have its sum ends the part, and all of it goes through the same checks as what arrives. What comes as fast as
a disk writes is not kept: to fetch it again costs no more, and writing it would slow the pull down.
"""

from __future__ import annotations

import os
import struct
import threading
import types
from collections.abc import Iterator

from mydocker.image.store import remove_tree

_RECORD = struct.Struct("<II")
_LIMIT = 1 << 20  # bytes of one record
FREE = 4 << 20  # bytes that are kept however fast they come
RATE = 64 << 20  # bytes per second; what comes faster is not kept


class PartialDownload:
    """The part at PATH, which may not exist. Errors of the disk end it: a download needs no part."""

    def __init__(self, path: str) -> None:
        from isal import isal_zlib

        self._zlib: types.ModuleType = isal_zlib
        self._path = path
        self._file = -1
        self._size = 0
        self._is_open = True  # to more bytes
        self._lock = threading.Lock()  # an interrupted pull closes what a thread may still add to

    def kept(self) -> Iterator[bytes]:
        """What an earlier pull has left here, in pieces; what is damaged is cut off."""
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            self._drop()
            return
        end = 0
        while piece := self._record():
            end += _RECORD.size + len(piece)
            self._size += len(piece)
            yield piece
        try:
            os.ftruncate(self._file, end)
            os.lseek(self._file, end, os.SEEK_SET)
        except OSError:
            self._drop()

    def add(self, data: bytes, *, waited: float) -> None:
        """DATA follows, after WAITED seconds of waiting for all that has come by now."""
        with self._lock:
            self._size += len(data)
            is_slow = self._size <= FREE or self._size <= RATE * waited
            if self._is_open and not (is_slow and self._write(data)):
                self._drop()

    def close(self) -> None:
        """Keep what there is, and nothing more."""
        with self._lock:
            self._close()

    def _write(self, data: bytes) -> bool:
        header = _RECORD.pack(len(data), self._zlib.crc32(data))
        try:
            return os.writev(self._file, (header, data)) == len(header) + len(data)
        except OSError:  # a full disk: the layer itself needs the room more
            return False

    def _drop(self) -> None:
        self._close()
        remove_tree.remove(self._path)

    def _close(self) -> None:
        self._is_open = False
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _record(self) -> bytes:
        """The next record's bytes; none at the end, and at what is no record."""
        try:
            header = os.read(self._file, _RECORD.size)
            if len(header) < _RECORD.size:
                return b""
            length, crc32 = _RECORD.unpack(header)
            data = os.read(self._file, length) if length <= _LIMIT else b""
        except OSError:
            return b""
        return data if len(data) == length and self._zlib.crc32(data) == crc32 else b""
