"""Where a copy begins and ends, as `docker cp` judges paths: below a root, or on the host with the root `/`.

A directory whose path ends in `/.` stands for what is in it. Links on the way are followed, inside the root only
(CVE-2018-15664); of the last name only where that is asked for.
"""

from __future__ import annotations

import errno
import os
import stat

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.kernel.beneath import LINK_LIMIT
from mydocker.record import Record


class Place(Record):
    """What is copied: an O_PATH descriptor, and the name that it gets at an end which has none for it."""

    descriptor: int
    name: str
    contents_only: bool  # of a directory

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(os.fstat(self.descriptor).st_mode)


def find_source(root: int, path: str, *, follow: bool) -> Place:
    """What is at PATH below ROOT. LaunchError if there is nothing."""
    contents_only = path.endswith("/.") or path == "."
    must_be_directory = contents_only or path.endswith("/")
    flags = os.O_PATH | (os.O_DIRECTORY if must_be_directory else 0)
    flags |= 0 if follow or must_be_directory else os.O_NOFOLLOW
    try:
        descriptor = kernel.open_inside(root, path or "/", flags)
    except OSError as error:
        raise LaunchError(f"{path}: {os.strerror(error.errno or errno.EIO)}") from None
    name = os.path.basename(os.path.normpath(path)) or "."
    return Place(descriptor=descriptor, name="." if name in ("/", "..") else name, contents_only=contents_only)


def find_end(root: int, path: str, *, name: str, is_directory: bool, contents_only: bool) -> tuple[int, str]:
    """Where something called NAME goes that is copied to PATH below ROOT: a directory, and the name in there, "." for
    what is in it. LaunchError where that is not possible."""
    for _ in range(LINK_LIMIT):
        found = _status(root, path)
        if found is None or not stat.S_ISLNK(found.st_mode):
            break
        path = os.path.join(os.path.dirname(path.rstrip("/")), _read_link(root, path.rstrip("/")))
    if found is not None and stat.S_ISDIR(found.st_mode):
        return _open(root, path), "." if contents_only else name
    if found is not None and is_directory:
        raise LaunchError(f"{path}: cannot copy a directory to a file")
    if path.endswith(("/", "/.")) and (found is not None or not is_directory):
        raise LaunchError(f"{path}: no such directory")
    above, last = os.path.split(path.removesuffix("/.").rstrip("/"))
    return _open(root, above or ("/" if path.startswith("/") else ".")), last


def _status(root: int, path: str) -> os.stat_result | None:
    try:
        opened = kernel.open_inside(root, path, os.O_PATH | (0 if path.endswith(("/", "/.")) else os.O_NOFOLLOW))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise LaunchError(f"{path}: {os.strerror(error.errno or errno.EIO)}") from None
    try:
        return os.fstat(opened)
    finally:
        os.close(opened)


def _read_link(root: int, path: str) -> str:
    opened = kernel.open_inside(root, path, os.O_PATH | os.O_NOFOLLOW)
    try:
        return os.readlink("", dir_fd=opened)
    finally:
        os.close(opened)


def _open(root: int, path: str) -> int:
    try:
        return kernel.open_inside(root, path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise LaunchError(f"{path}: {os.strerror(error.errno or errno.EIO)}") from None
