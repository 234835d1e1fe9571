"""The way into a new root where pivot_root(2) is refused: inside another container, or on an initramfs.

The new root is moved on top of the old one, which stays mounted below it, out of reach: a path that goes up comes out
on top again. Imported only where it is needed, and before the root changes.
"""

from __future__ import annotations

import errno
import os

from mydocker import kernel
from mydocker.kernel.mountinfo import mounts

MS_MOVE = 0x2000
REVEALING = ("proc", "sysfs")


def move_to_top() -> None:
    """Make the current directory, where a file system is mounted, the root. OSError."""
    for path in revealing_mounts(os.getcwd()):
        _hide(path)
    kernel.mount(".", "/", "", MS_MOVE, "")
    os.chroot(".")


def revealing_mounts(new_root: str) -> list[str]:
    """Where proc and sysfs are mounted whole, outside of NEW_ROOT (proc(5), mountinfo); the latest first.

    The kernel lets user namespaces mount these anew only where a whole one is visible. Those of the old root could no
    longer be reached, but would still count: a container could mount a proc without mydocker's masks (runc,
    msMoveRoot).
    """
    return [
        mount.path
        for mount in reversed(mounts())
        if mount.fstype in REVEALING and mount.root == "/" and not f"{mount.path}/".startswith(f"{new_root}/")
    ]


def _hide(path: str) -> None:
    try:
        kernel.umount(path)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EPERM):  # a mount of another user namespace cannot be taken away
            raise
        kernel.mount("tmpfs", path, "tmpfs", 0, "size=0")
