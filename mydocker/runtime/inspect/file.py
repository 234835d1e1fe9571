"""What files in a container's tree are like, and what the container changed: read through a ContainerView.

Nothing of the container runs, and nothing in it is trusted: paths resolve inside the root, nothing but a regular file
that is not the kernel's is ever opened for reading, and sizes and numbers have limits. Facts are plain data, for JSON.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat

from mydocker import kernel
from mydocker.errors import LaunchError, is_limit_of_host
from mydocker.kernel.beneath import open_existing, why_unreadable
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.command.users import names

if TYPE_CHECKING:
    from typing import Any

    from mydocker.runtime.inspect.ownership import Ownership
    from mydocker.runtime.user_namespace.outside import OwnersInside

CONTENTS_LIMIT = 4 << 20  # bytes that are compared
DIGEST_LIMIT = 4 << 30  # bytes that are hashed
_PATH_LIMIT = 4000  # bytes
TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character-device",
    stat.S_IFBLK: "block-device",
}


def inspect_file(
    root: int, path: str, attributes: frozenset[str], *, ownership: Ownership | OwnersInside | None = None
) -> dict[str, Any]:
    """The facts of PATH below descriptor ROOT: `exists`, and of a file that does, those of ATTRIBUTES.

    `type` is that of the path itself; everything else is what a symlink leads to. `problem` says why a requested
    fact is missing. OWNERSHIP: see `ContainerView`.
    """
    try:
        kind = _lstat_type(root, path)
    except (FileNotFoundError, NotADirectoryError):
        return {"exists": False}
    facts: dict[str, Any] = {"exists": True, "type": kind}
    try:
        target = open_existing(root, path)
    except (OSError, LaunchError) as error:
        if isinstance(error, OSError) and is_limit_of_host(error):
            raise
        return {**facts, "problem": f"cannot follow it: {getattr(error, 'strerror', None) or error}"}
    try:
        status = os.fstat(target)
        owner = ownership.of(target) if ownership else (status.st_uid, status.st_gid)
        facts.update(_attributes(root, status, *owner))
        if attributes & {"contents", "sha256"}:
            facts.update(_content(target, attributes))
    finally:
        os.close(target)
    return facts


def _lstat_type(root: int, path: str) -> str:
    parent, name = os.path.split(path.rstrip("/"))
    if not name:
        return "directory"
    above = open_existing(root, parent, directory=True)
    try:
        return TYPES[stat.S_IFMT(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)]
    finally:
        os.close(above)


def _attributes(root: int, status: os.stat_result, uid: int, gid: int) -> dict[str, Any]:
    """Owner and group are lists of the names that a check may use: those in the image, then the number."""
    return {
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "size": status.st_size,
        "owner": [*names(root, "/etc/passwd", uid), str(uid)],
        "group": [*names(root, "/etc/group", gid), str(gid)],
    }


def _content(descriptor: int, attributes: frozenset[str]) -> dict[str, Any]:
    if why := why_unreadable(descriptor):
        return {"problem": f"it {why}"}
    status = os.fstat(descriptor)
    if "sha256" in attributes and status.st_size > DIGEST_LIMIT:
        return {"problem": f"larger than {DIGEST_LIMIT >> 30} GiB"}
    if "contents" in attributes and status.st_size > CONTENTS_LIMIT:
        return {"problem": f"larger than {CONTENTS_LIMIT >> 20} MiB"}
    facts = {}
    # opened anew from the descriptor: what stands at the path may be another file by now
    descriptor = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if "contents" in attributes:
            facts["contents"] = file.read(CONTENTS_LIMIT).decode(errors="surrogateescape")
            file.seek(0)
        if "sha256" in attributes:
            facts["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    return facts


def open_directory(top: int, path: str, *, same_mount: bool = False) -> int | None:
    """Directory PATH below TOP for listing, through no symlink; None if it is none, or with `same_mount` if something
    is mounted on the way. PATH may be of any length."""
    resolve = kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_SYMLINKS | (kernel.RESOLVE_NO_XDEV if same_mount else 0)
    here = os.dup(top)
    for part in _parts(path):
        below = _open_directory(here, part, resolve)
        os.close(here)
        if below is None:
            return None
        here = below
    return here


def _parts(path: str) -> list[str]:
    """PATH in relative parts that the kernel takes: a path has at most 4,095 bytes (path_resolution(7))."""
    parts, names = [""], [name for name in path.split("/") if name]
    for name in names:
        if len(os.fsencode(f"{parts[-1]}/{name}")) > _PATH_LIMIT:
            parts.append("")
        parts[-1] = f"{parts[-1]}/{name}".lstrip("/")
    return [part or "." for part in parts]


def _open_directory(top: int, path: str, resolve: int) -> int | None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        return kernel.open_inside(top, path, flags, resolve=resolve)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV):
            return None
        raise
