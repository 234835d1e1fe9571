"""Calls about files on a disk, or on a server: not on the warm path."""

from __future__ import annotations

import fcntl
import os
import struct

from mydocker.kernel import _call, _syscall

_AT_FDCWD = -100
_RENAME_WHITEOUT = 4
_FLOCK = struct.Struct("hhqqi4x")  # struct flock: l_type, l_whence, l_start, l_len, l_pid (fcntl(2))


def syncfs(descriptor: int) -> None:
    """Write out what is cached of the file system on which DESCRIPTOR is (syncfs(2)); reports lost writes."""
    _call("syncfs", descriptor)


def rename_to_whiteout(old: str, new: str) -> None:
    """Rename OLD to NEW, and leave a whiteout in its place (renameat2(2), RENAME_WHITEOUT)."""
    names = [os.fsencode(path) for path in (old, new)]
    _syscall("renameat2", _AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_WHITEOUT, target=old)


def lock_everywhere(descriptor: int, *, shared: bool = False, wait: bool = True) -> None:
    """Lock the file open at DESCRIPTOR until all copies of that are closed (fcntl(2), "Open file description locks").
    BlockingIOError if another has it and WAIT is false.

    Of a file on a server, other machines see this lock; and on the server those of clients are of this kind, which
    flock(2) does not see there. It takes a file: directories are locked on this machine alone. An exclusive lock takes
    a descriptor open for writing, a SHARED one a descriptor open for reading.
    """
    kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
    command = fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK
    fcntl.fcntl(descriptor, command, _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0))


def is_locked_anywhere(descriptor: int) -> bool:
    """Whether anybody else holds such a lock on the file open at DESCRIPTOR, for reading or writing. Raises OSError."""
    request = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    answer: bytes = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, request)
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)
