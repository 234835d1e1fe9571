"""Whiteouts: what a layer hides of those below, written as overlayfs reads it.

OCI image-spec layer.md "Whiteouts" on one side, Documentation/filesystems/overlayfs.rst "whiteouts and opaque
directories" on the other: a hidden name becomes a character device 0:0, an opaque directory an extended attribute.
"""

from __future__ import annotations

import os
import stat

from mydocker import kernel

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_INSIDE = kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_SYMLINKS


def apply(root: int, *, hidden: list[bytes], opaque: list[bytes], space: str) -> None:
    """Write the whiteouts of the layer whose directory is open at ROOT, after everything else. OSError.

    SPACE begins the names of overlay's attributes: `trusted.overlay`, or `user.overlay` in a user namespace.

    A whiteout speaks of lower layers only: what this layer has under a hidden name stays, and needs no node, since it
    hides the lower one itself. No link of the layer is followed.
    """
    # deepest first: a hidden name below another hidden one makes a directory of that
    for path in sorted(hidden, key=lambda path: -path.count(b"/")):
        parent, _, name = path.rpartition(b"/")
        directory = _open(root, parent)
        try:
            _hide(directory, name, space)
        finally:
            os.close(directory)
    for path in opaque:
        directory = _open(root, path)
        try:
            os.setxattr(directory, f"{space}.opaque", b"y")
        finally:
            os.close(directory)


def _hide(directory: int, name: bytes, space: str) -> None:
    times = os.fstat(directory)
    try:
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except FileNotFoundError:
        os.mknod(name, stat.S_IFCHR, 0, dir_fd=directory)
        # where no other layer has this directory, overlayfs lists it as it is, hidden names and all: but for this mark
        os.setxattr(directory, f"{space}.origin", b"")
        os.utime(directory, ns=(times.st_atime_ns, times.st_mtime_ns))  # tar has already set it
        return
    if stat.S_ISDIR(mode):
        inner = os.open(name, _DIRECTORY, dir_fd=directory)
        try:
            os.setxattr(inner, f"{space}.opaque", b"y")
        finally:
            os.close(inner)


def _open(root: int, path: bytes) -> int:
    """The directory PATH below ROOT; those that are missing are made, as the archive has nothing to say of them."""
    text = os.fsdecode(path)
    try:
        return kernel.open_inside(root, text, _DIRECTORY, resolve=_INSIDE)
    except FileNotFoundError:
        parent, _, name = text.rpartition("/")
        directory = _open(root, os.fsencode(parent))
        try:
            os.mkdir(name, 0o755, dir_fd=directory)
        finally:
            os.close(directory)
        return kernel.open_inside(root, text, _DIRECTORY, resolve=_INSIDE)
