"""What this host is and allows, as far as a plan depends on it: read once, then plain data."""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.record import Record

OVERLAYFS_MAGIC = 0x794C7630  # linux/magic.h


class Host(Record):
    uid: int
    gid: int
    capabilities: int
    cgroup2: bool
    store_on_overlay: bool
    shared_ipc: tuple[str, ...]  # where the host shows its shared memory and message queues

    @property
    def rootless(self) -> bool:
        """Not root: a user namespace gives what privileges there are."""
        return self.uid != 0


def look_at_host(store: str) -> Host:
    """The facts of this machine and this user; STORE is a directory of the store."""
    return Host(
        uid=os.geteuid(),
        gid=os.getegid(),
        capabilities=kernel.get_capabilities(),
        cgroup2=os.path.exists("/sys/fs/cgroup/cgroup.controllers"),
        store_on_overlay=kernel.filesystem_type(store) == OVERLAYFS_MAGIC,
        shared_ipc=tuple(path for path in ("/dev/shm", "/dev/mqueue") if os.path.isdir(path)),
    )
