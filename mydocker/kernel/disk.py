"""Calls about files on a disk, or on a server: not on the warm path."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from contextlib import suppress

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


def replace_file(path: str, text: str, *, mode: int | None = None, is_new: bool = False, synced: bool = True) -> None:
    """Put TEXT into the file at PATH as a whole: written under another name next to it, synced, and renamed (rename(2),
    fsync(2); unless SYNCED is false). Without MODE it keeps its own; with IS_NEW it must not exist. Raises OSError;
    then nothing has changed."""
    directory, name = os.path.split(path)
    staged = os.path.join(directory, f".{name}.{os.urandom(4).hex()}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666 if mode is None else mode)
    try:
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            if mode is None and os.path.isfile(path):
                os.fchmod(descriptor, stat.S_IMODE(os.stat(path).st_mode))
            file.write(text)
            file.flush()
            if synced:
                os.fsync(descriptor)
        if is_new:
            os.link(staged, path)  # unlike a rename, not over another file
        else:
            os.rename(staged, path)
    finally:
        with suppress(FileNotFoundError):  # it has been renamed
            os.unlink(staged)
