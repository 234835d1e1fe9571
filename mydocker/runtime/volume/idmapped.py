"""Idmapped mounts: what is at a source appears with other owners (mount_setattr(2), "ID-mapped mounts").

The kernel takes the ids from a user namespace, which lives for as long as it is asked.
"""

from __future__ import annotations

import errno
import os

from mydocker import idmap, kernel
from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

    from mydocker.idmap import IdMap


def map_ids(tree: int, ids: IdMap, *, source: str, recursive: bool) -> None:
    """Give the detached mount TREE of SOURCE the owners that IDS say: inside is an id of the file system, outside the
    one that it appears as. LaunchError if the file system, or the kernel, cannot do that."""
    users = user_namespace(ids)
    try:
        kernel.map_ids(tree, users, recursive=recursive)
    except OSError as error:
        why = (
            "its file system has no idmapped mounts" if error.errno == errno.EINVAL else (error.strerror or "").lower()
        )
        raise LaunchError(f"{source} cannot be mounted with idmap: {why}") from None
    finally:
        os.close(users)


def user_namespace(ids: IdMap) -> int:
    """A descriptor of a new user namespace that has IDS. Raises LaunchError."""
    waiting, ready = os.pipe()
    names, name = os.pipe()
    pid = os.fork()
    if pid == 0:
        _wait_inside(waiting, ready, name)
    os.close(waiting)
    os.close(name)
    try:
        number = os.read(names, 32)  # as /proc numbers processes, which may be another namespace's
        if not number:
            raise LaunchError("an idmapped mount needs a user namespace, which this host does not grant")
        idmap.write(int(number), ids)
        return os.open(f"/proc/{int(number)}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise LaunchError(f"cannot map the ids of a mount: {(error.strerror or '').lower()}") from None
    finally:
        os.close(names)
        os.close(ready)
        os.waitpid(pid, 0)


def _wait_inside(waiting: int, ready: int, name: int) -> NoReturn:
    try:
        os.close(ready)
        kernel.unshare(kernel.CLONE_NEWUSER)
        os.write(name, os.readlink("/proc/self").encode())
        os.close(name)
        os.read(waiting, 1)  # until the other end is closed
    finally:
        os._exit(0)
