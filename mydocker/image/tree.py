"""A directory tree of untrusted shape: removed whatever its depth, its modes and the number of its entries."""

from __future__ import annotations

import os
import stat
from contextlib import suppress


def remove(path: str) -> None:
    """Remove the directory PATH and all in it, without following a link. Nothing there is fine; OSError otherwise.

    Each subdirectory is first moved to the top, so neither recursion, nor the number of open files, nor the length
    of a path grows with the depth, which an image may choose.
    """
    with suppress(FileNotFoundError):
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _empty(top)
        finally:
            os.close(top)
        os.rmdir(path)


def _empty(top: int) -> None:
    moved = 0
    while names := os.listdir(top):
        for name in names:
            if not _is_directory(top, name):
                os.unlink(name, dir_fd=top)
                continue
            # an image's directory may be closed even to its owner; to move one, its `..` must be writable
            os.chmod(name, 0o700, dir_fd=top)
            directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
            try:
                moved = _flatten(directory, top, moved)
            finally:
                os.close(directory)
            os.rmdir(name, dir_fd=top)


def _flatten(directory: int, top: int, moved: int) -> int:
    """Remove the files of DIRECTORY and move its directories to TOP, under numbers from MOVED on."""
    for name in os.listdir(directory):
        if not _is_directory(directory, name):
            os.unlink(name, dir_fd=directory)
            continue
        os.chmod(name, 0o700, dir_fd=directory)
        while _exists(top, f"{moved}"):
            moved += 1
        os.rename(name, f"{moved}", src_dir_fd=directory, dst_dir_fd=top)
    return moved


def _is_directory(directory: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)


def _exists(directory: int, name: str) -> bool:
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=directory, follow_symlinks=False)
        return True
    return False
