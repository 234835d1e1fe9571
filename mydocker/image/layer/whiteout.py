"""Whiteouts: what a layer hides of those below, written as overlayfs reads it.

OCI image-spec layer.md "Whiteouts" on one side, Documentation/filesystems/overlayfs.rst "whiteouts and opaque
directories" on the other: a hidden name becomes a character device 0:0, an opaque directory an extended attribute.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import NamedTuple

from mydocker import kernel

PREFIX = b".wh."
_RESERVED = b".wh..wh."
_OPAQUE = b".wh..wh..opq"

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_INSIDE = kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_SYMLINKS


class Mark(NamedTuple):
    """What an entry says of lower layers: that they have no `hidden`, or nothing in the directory `opaque`; or neither,
    if it is of what AUFS once kept below `.wh..wh.`, which nobody unpacks."""

    hidden: bytes | None = None
    opaque: bytes | None = None


def mark(parts: Sequence[bytes]) -> Mark | None:
    """What the entry whose path has PARTS says of lower layers; None if it is a file. ValueError if it is neither."""
    if any(part.startswith(_RESERVED) and part != _OPAQUE for part in parts):
        return Mark()
    marks = [part for part in parts if part.startswith(PREFIX)]
    if not marks:
        return None
    *parents, last = parts
    hidden = last.removeprefix(PREFIX)
    if marks != [last] or hidden in (b"", b".", b".."):
        raise ValueError("not a valid whiteout")
    return Mark(opaque=b"/".join(parents)) if last == _OPAQUE else Mark(hidden=b"/".join((*parents, hidden)))


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


def is_hidden(root: int, path: bytes, *, space: str, own: bool) -> bool:
    """Whether what `apply` writes for the hidden name PATH is there; if the layer has a file of its OWN there, that is
    nothing. OSError."""
    try:
        found = os.stat(path, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(found.st_mode):
        return is_opaque(root, path, space=space)
    is_node = stat.S_ISCHR(found.st_mode) and found.st_rdev == 0
    return own or is_node and _has(root, os.path.dirname(path), f"{space}.origin", b"")


def is_opaque(root: int, path: bytes, *, space: str) -> bool:
    """Whether the directory PATH is marked as `apply` does it. OSError."""
    return _has(root, path, f"{space}.opaque", b"y")


def _has(root: int, path: bytes, name: str, value: bytes) -> bool:
    directory = kernel.open_inside(root, os.fsdecode(path), _DIRECTORY, resolve=_INSIDE)
    try:
        return os.getxattr(directory, name) == value
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        return False
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
        os.utime(directory, ns=(times.st_atime_ns, times.st_mtime_ns))  # they are those of the archive by now
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
