"""Where the store is, and where its containers are, without what is in it: a command on a container needs no more.

Takes the environment, and checks that the directories belong to the caller; image/store/ says what is below them.
"""

from __future__ import annotations

import os
import stat

from mydocker import kernel
from mydocker.errors import StoreError
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

_DIRECTORIES = ["containers", "layers", "blobs", "blobs/sha256", "refs"]
_DIRECTORIES += ["skeletons", "incoming", "kept", "volumes", "seccomp"]


class StoreRoot:
    """The directories of the store under ROOT, an absolute path."""

    def __init__(self, root: str, environ: Mapping[str, str] = {}) -> None:
        """ENVIRON says where containers may be if they cannot be below ROOT."""
        self.root = root
        self.environ = environ
        self._state = ""
        self._magic = 0  # of its file system, as far as that has been asked

    @classmethod
    def open(cls, environ: Mapping[str, str]) -> Self:
        """$MYDOCKER_ROOT, or /var/lib/mydocker for root, or mydocker in $XDG_DATA_HOME or ~/.local/share."""
        root = environ.get("MYDOCKER_ROOT")
        if not root and os.geteuid() == 0:
            root = "/var/lib/mydocker"
        if not root:
            root = f"{_data_directory(environ)}/mydocker"
        if not root.startswith("/"):
            from mydocker import paths

            root = paths.absolute(root)
        store = cls(os.path.normpath(root), environ)
        store.check()
        return store

    @property
    def state(self) -> str:
        """The directory of what belongs to containers: the root, if they can be there. Raises StoreError."""
        if not self._state:
            try:
                self._magic, is_read_only = kernel.file_system(f"{self.root}/containers")
                fits = self._magic in kernel.LOCAL_FILE_SYSTEMS and not is_read_only
            except OSError:
                fits = False
            self._state = self.root if fits else self._state_elsewhere()
        return self._state

    @property
    def state_file_system(self) -> int:
        """The magic number of the file system of what belongs to containers, which is there (statfs(2)). Raises
        StoreError, OSError."""
        if self.state != self.root or not self._magic:
            return kernel.file_system(self.containers)[0]
        return self._magic

    def _state_elsewhere(self) -> str:
        from mydocker.image.store.elsewhere import place_for

        key = checksum(os.fsencode(os.path.realpath(self.root)))
        base, directory = place_for(self.root, key, self.environ)
        if directory == self.root:
            return self.root
        check_private(base, is_above=True)
        check_private(directory)
        return f"{directory}/{key}"

    @property
    def containers(self) -> str:
        return f"{self.state}/containers"

    @property
    def background(self) -> str:
        return f"{self.state}/background"

    @property
    def names(self) -> str:
        """What containers are called: see services/containers/directory.py."""
        return f"{self.background}/names"

    @property
    def networks(self) -> str:
        return f"{self.state}/networks"

    def check(self) -> None:
        """Raise StoreError if another user could have filled the store, or can: its layers would run as the caller,
        and links in it would make the caller delete what is elsewhere.

        The directory above counts, too: whoever may write there replaces the store.
        """
        try:
            is_link = stat.S_ISLNK(os.lstat(self.root).st_mode)
        except OSError:
            is_link = False
        root = os.path.realpath(self.root) if is_link else self.root
        if is_link:
            check_private(os.path.dirname(self.root), is_above=True)
        check_private(os.path.dirname(root), is_above=True)
        if check_private(root):
            for name in _DIRECTORIES:
                check_private(f"{root}/{name}")


def is_held(directory: str) -> bool:
    """Whether a process holds the lock of DIRECTORY, as that of a container does. What cannot be known counts as held;
    what is no directory, or is not there, is not."""
    try:
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    try:
        kernel.lock(lock, wait=False)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def check_private(path: str, *, is_above: bool = False) -> bool:
    """Raise StoreError if PATH, of a store, is another user's or can be written by others, or is a symbolic link; False
    if nothing is there. The directory ABOVE a store may be a link, or sticky as /tmp is, where nobody renames what
    belongs to others (inode(7))."""
    try:
        status = os.stat(path) if is_above else os.lstat(path)
    except OSError:  # nothing is there yet, or whoever reads it reports why that fails
        return False
    if stat.S_ISLNK(status.st_mode):
        hint = "put the directory in its place, or mount it there: mount --bind"
        raise StoreError(f"{path} is a symbolic link, which a store does not follow", hint=hint)
    if status.st_uid not in (0, os.geteuid()):
        hint = "set MYDOCKER_ROOT to a directory of your own"
        raise StoreError(f"{path} belongs to user {status.st_uid}, so mydocker keeps no images there", hint=hint)
    if _is_open_to_others(status) and not (is_above and status.st_mode & stat.S_ISVTX):
        hint = f"chmod go-w {path}"
        raise StoreError(f"{path} can be written by others, so mydocker keeps no images there", hint=hint)
    return True


def _data_directory(environ: Mapping[str, str]) -> str:
    data, home = environ.get("XDG_DATA_HOME", ""), environ.get("HOME", "")
    if data.startswith("/"):  # the specification has relative ones ignored
        return data
    if not home.startswith("/"):
        from mydocker import paths

        home = paths.home(environ)
    return f"{home}/.local/share"


def _is_open_to_others(status: os.stat_result) -> bool:
    """Whether somebody else may make entries; the group of a user's own, which has their number, is nobody else."""
    group = status.st_mode & stat.S_IWGRP and status.st_gid not in (0, status.st_uid)
    return bool(status.st_mode & stat.S_IWOTH or group)


def checksum(*parts: bytes) -> str:
    """What shows later damage of PARTS, each change of up to 60 bits in a row, and costs nothing to import: the number
    that their bytes write, modulo 2**61 - 1 (Python's "Hashing of numeric types"), in hexadecimal."""
    whole = b"".join((*parts, b"\1"))  # with an end, or zeros at the end would not count
    return f"{hash(int.from_bytes(whole, 'little')):016x}"
