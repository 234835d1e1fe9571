"""The named volumes on disk, <root>/volumes/NAME/ (laid out in fill.py): made, held, listed, removed.

A container holds a shared lock on each volume that it uses, from before its start until mydocker ends, so what cannot
be locked exclusively is in use. Other users cannot read any of it (mode 0700).
"""

from __future__ import annotations

import fcntl
import os

from mydocker.errors import StoreError, hint_for
from mydocker.image.store import remove_tree
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DOOMED = ".removed-"  # no volume's name begins with a dot


class Volume(Record):
    """A named volume. `path` is that of what containers see, `created` in seconds since 1970."""

    name: str
    path: str
    created: float
    in_use: bool


class HeldVolumes:
    """Context manager: the volumes at PATHS, made if missing, are in use between enter and exit."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths
        self.locks: list[int] = []

    def __enter__(self) -> HeldVolumes:
        for path in self.paths:
            try:
                self.locks.append(_hold(path))
            except OSError as error:
                self.__exit__()
                message = f"cannot use volume {os.path.basename(path)}: {error.strerror}: {path}"
                raise StoreError(message, hint=hint_for(error)) from None
        return self

    def __exit__(self, *_: object) -> None:
        while self.locks:
            os.close(self.locks.pop())


def create(volumes: str, name: str) -> None:
    """Make volume NAME in directory VOLUMES; it may exist."""
    with HeldVolumes([f"{volumes}/{name}"]):
        pass


def listed(volumes: str) -> list[Volume]:
    """The volumes below directory VOLUMES, by name."""
    try:
        names = sorted(name for name in os.listdir(volumes) if not name.startswith("."))
    except FileNotFoundError:
        return []
    there = [find(volumes, name) for name in names]
    return [volume for volume in there if volume]


def find(volumes: str, name: str) -> Volume | None:
    """Volume NAME of directory VOLUMES, if there is one."""
    path = f"{volumes}/{name}"
    try:
        created = os.stat(f"{path}/lock", follow_symlinks=False).st_mtime
        with _Trial(volumes, name) as alone:
            return Volume(name=name, path=f"{path}/data", created=created, in_use=not alone)
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove(volumes: str, name: str) -> bool:
    """Remove volume NAME of directory VOLUMES and all in it; False if it is in use.

    The remains of an interrupted removal go, too. FileNotFoundError if there is no such volume, StoreError if a part of
    it cannot be removed.
    """
    doomed = f"{_DOOMED}{os.urandom(8).hex()}"
    with _Trial(volumes, name) as alone:
        if not alone:
            return False
        # from here on the name is free, even if mydocker is killed
        os.rename(f"{volumes}/{name}", f"{volumes}/{doomed}")
    for each in os.listdir(volumes):
        if each.startswith(_DOOMED):
            try:
                remove_tree.remove(f"{volumes}/{each}")
            except OSError as error:
                if each == doomed:
                    raise StoreError(
                        f"cannot remove all of volume {name}: {error.strerror}",
                        hint=f"what is left, perhaps files of ids that you no longer have, is in {volumes}/{each}",
                    ) from None
    return True


class _Trial:
    """Context manager: whether volume NAME of directory VOLUMES could be locked exclusively, and is. One at a time in
    this store, so that none takes another's trial for use."""

    def __init__(self, volumes: str, name: str) -> None:
        self.volumes, self.name = volumes, name

    def __enter__(self) -> bool:
        self.turn = os.open(self.volumes, _DIRECTORY)
        try:
            fcntl.flock(self.turn, fcntl.LOCK_EX)
            self.directory = os.open(self.name, _DIRECTORY, dir_fd=self.turn)
        except BaseException:
            os.close(self.turn)
            raise
        try:
            fcntl.flock(self.directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        os.close(self.directory)
        os.close(self.turn)


def _hold(path: str) -> int:
    """A descriptor with a shared lock on the volume at PATH; one that is being removed is made again."""
    while True:
        for missing in (os.path.dirname(path), path):
            if not os.path.isdir(missing):
                _make_directory(missing, 0o700)
        try:
            directory = os.open(path, _DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(directory, fcntl.LOCK_SH)
            if os.path.samestat(os.fstat(directory), os.stat(path, follow_symlinks=False)):
                _complete(directory)
                return directory
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(directory)
            raise
        os.close(directory)


def _complete(directory: int) -> None:
    """Create what is missing in the volume open at DIRECTORY, and refuse entries of another kind."""
    lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
    os.close(lock)
    try:
        os.mkdir("data", 0o755, dir_fd=directory)
        os.chmod("data", 0o755, dir_fd=directory)  # whatever the caller's umask is
    except FileExistsError:
        pass
    # O_PATH: it may belong to another of an ordinary user's ids, and be closed to the user
    os.close(os.open("data", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory))


def _make_directory(path: str, mode: int) -> None:
    try:  # noqa: SIM105  # contextlib is not on the warm path
        os.mkdir(path, mode)
    except FileExistsError:
        pass
