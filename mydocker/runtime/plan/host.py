"""What this host is and allows, as far as a plan depends on it: read once, then plain data."""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from mydocker.idmap import IdMap

OVERLAYFS_MAGIC = 0x794C7630  # linux/magic.h


class Host(Record):
    uid: int
    gid: int
    capabilities: int
    cgroup2: bool
    store_on_overlay: bool
    ids: IdMap | None  # those of an ordinary user's containers; None for root
    shared_ipc: tuple[str, ...]  # where the host shows its shared memory and message queues
    own_ids: IdMap | None = None  # those of a user namespace that root gives the container to be planned
    owns_network: bool = True  # its capabilities count in the network namespace: not in a user namespace below that

    @property
    def rootless(self) -> bool:
        """Not root: a user namespace gives what privileges there are."""
        return self.ids is not None

    @property
    def container_ids(self) -> IdMap | None:
        """The ids of the user namespace in which containers get their mounts; None: they share the host's."""
        return self.own_ids or self.ids


def inspect_host(*, ids: IdMap | None, file_system: int) -> Host:
    """The facts of this machine and this user, who has IDS; FILE_SYSTEM is the magic number of that of containers."""
    return Host(
        uid=os.geteuid(),
        gid=os.getegid(),
        capabilities=kernel.get_capabilities(),
        cgroup2=os.path.exists("/sys/fs/cgroup/cgroup.controllers"),
        store_on_overlay=file_system == OVERLAYFS_MAGIC,
        ids=ids,
        shared_ipc=tuple(path for path in ("/dev/shm", "/dev/mqueue") if os.path.isdir(path)),
        owns_network=kernel.has_power_over("/proc/self/ns/net"),
    )


def read_setting(path: str) -> str:
    """The content of file PATH of /proc or /sys; empty if it cannot be read."""
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""
