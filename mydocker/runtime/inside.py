"""Paths inside a root that nobody trusts: opened, and created where missing, without ever leaving it.

Takes a descriptor of the root directory and an absolute path in there; gives O_PATH descriptors.
"""

from __future__ import annotations

import errno
import os

from mydocker import kernel
from mydocker.errors import LaunchError

LINK_LIMIT = 40  # as the kernel's own MAXSYMLINKS (path_resolution(7))


def open_existing(root: int, path: str, *, follow: bool = True, directory: bool = False) -> int:
    """Open PATH below ROOT; with `follow`, symlinks are followed inside, else any of them is refused (ELOOP)."""
    flags = os.O_PATH | (os.O_DIRECTORY if directory else 0)
    resolve = kernel.RESOLVE_IN_ROOT | (0 if follow else kernel.RESOLVE_NO_SYMLINKS)
    try:
        return kernel.open_inside(root, path, flags, resolve=resolve)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise LaunchError(f"{path} leads through a symbolic link of the image that may not be followed") from None


def open_if_present(root: int, path: str, *, follow: bool = False) -> int | None:
    """The same, or None if there is nothing at PATH."""
    try:
        return open_existing(root, path, follow=follow)
    except (FileNotFoundError, NotADirectoryError):
        return None


def make_target(root: int, path: str, *, directory: bool, follow: bool = True) -> int:
    """Open PATH below ROOT as something to mount on, after creating it (0755, or an empty file) if it is missing.

    A dangling symlink of the image (resolv.conf in many) is followed, inside, and its end created.
    """
    for _ in range(LINK_LIMIT):
        try:
            return open_existing(root, path, follow=follow, directory=directory)
        except FileNotFoundError:
            path = _create(root, path, directory=directory, follow=follow)
        except NotADirectoryError:
            raise LaunchError(f"{path} in the container is not a directory") from None
    raise LaunchError(f"{path}: too many levels of symbolic links in the image")


def make_directory(root: int, path: str) -> int:
    """Open directory PATH below ROOT, after creating it and its parents, with mode 0755, where missing."""
    return make_target(root, path, directory=True)


def _create(root: int, path: str, *, directory: bool, follow: bool) -> str:
    """Create the last component of PATH; the path to open next, another one if a dangling link stands there."""
    parent, name = os.path.split(path.rstrip("/"))
    if not name or name == "..":
        raise LaunchError(f"{path!r} cannot be created in the container")
    above = make_target(root, parent or "/", directory=True, follow=follow)
    try:
        if directory:
            os.mkdir(name, 0o755, dir_fd=above)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=above))
    except FileExistsError:
        if not follow:
            raise LaunchError(f"{path} in the image is a symbolic link") from None
        return os.path.join(parent, os.readlink(name, dir_fd=above))
    finally:
        os.close(above)
    return path
