"""What lies at a path, of whatever kind, and a tree of any depth, modes, owners and number of entries: removed."""

from __future__ import annotations

import errno
import os
import stat

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


LEVELS = 8  # of directories that are open at once


def remove(path: str) -> None:
    """Remove PATH, if it is a directory with all in it, following no symlink. Nothing there is fine; else OSError."""
    _permitted(lambda: _remove(path))


def move(path: str, target: str) -> None:
    """Rename directory PATH to TARGET, whoever owns it: what moves to another parent is written to (its `..`)."""
    _permitted(lambda: os.rename(path, target))


def _permitted(action: Callable[[], None]) -> None:
    """Do ACTION; and as an ordinary user whom other owners of files stop, as root of all ids that the user has."""
    try:
        action()
    except PermissionError:
        if os.geteuid() == 0:
            raise
        from mydocker import idmap

        ids = idmap.of_caller()
        if ids.is_single:
            raise
        idmap.perform(ids, action)


def _remove(path: str) -> None:
    """Directories far below are first moved up into PATH, so that neither recursion, nor the number of open files, nor
    the length of a path grows with the depth, which an image or a container may choose.
    """
    try:
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        os.unlink(path)
        return
    names = _fresh_names()
    try:
        pending = _empty(top, top, names, levels=LEVELS)
        while pending:
            pending += _remove_below(top, pending.pop(), top, names, levels=LEVELS)
        os.rmdir(path)
    finally:
        os.close(top)


def _fresh_names() -> Iterator[str]:
    """Names that nobody who filled the tree could foresee."""
    prefix = os.urandom(8).hex()
    number = 0
    while True:
        number += 1
        yield f"{prefix}-{number}"


def _empty(directory: int, top: int, names: Iterator[str], *, levels: int) -> list[str]:
    """Remove what is in DIRECTORY. Directories that are more than LEVELS further down are moved up into TOP, under new
    NAMES; those."""
    moved: list[str] = []
    with os.scandir(directory) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            os.unlink(name, dir_fd=directory)
        elif not _is_removed(name, directory):
            if levels:
                moved += _remove_below(directory, name, top, names, levels=levels - 1)
            else:
                os.close(_opened(directory, name))  # moving it writes its `..`
                moved.append(next(names))
                os.rename(name, moved[-1], src_dir_fd=directory, dst_dir_fd=top)
    return moved


def _remove_below(parent: int, name: str, top: int, names: Iterator[str], *, levels: int) -> list[str]:
    """Remove directory NAME of PARENT; what `_empty` gives."""
    directory = _opened(parent, name)
    try:
        moved = _empty(directory, top, names, levels=levels)
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=parent)
    return moved


def _opened(parent: int, name: str) -> int:
    """Directory NAME of PARENT, and no link to one, open to its owner: it may be closed even to them."""
    try:
        directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except PermissionError:
        place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        try:
            os.chmod(f"/proc/self/fd/{place}", stat.S_IRWXU)
            return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_DIRECTORY)
        finally:
            os.close(place)
    os.fchmod(directory, stat.S_IRWXU)
    return directory


def _is_removed(name: str, directory: int) -> bool:
    """Whether directory NAME was empty, and so is gone."""
    try:
        os.rmdir(name, dir_fd=directory)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True
