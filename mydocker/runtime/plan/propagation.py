"""Volumes through which later mounts pass between the host and a container; imported only where there are any.

See "shared subtrees" in mount_namespaces(7): only a copy of a shared mount, made before this process's mounts stop
reaching the host, belongs to the same peer group.
"""

from __future__ import annotations

import os

from mydocker.errors import LaunchError
from mydocker.kernel.mountinfo import mounts
from mydocker.runtime.plan.operations import Bind, Operation

NEEDED = {"shared": ("shared:",), "slave": ("shared:", "master:")}  # the fields in mountinfo of a mount that can be one


class Propagating(Bind):
    """A bind with propagation `shared` (mounts below it appear on both sides) or `slave` (the host's appear inside).

    What the host mounts there later has the host's options: those of this bind are not inherited.
    """

    tree: int = -1

    def ahead(self) -> Operation:
        self.create_source(None)
        tree = super().clone()
        self._check()
        return self.replace(tree=tree)

    def clone(self) -> int:
        return self.tree

    def _check(self) -> None:
        """Docker makes the same check: else no later mount would ever pass, and no error would say so."""
        source = os.open(self.source, os.O_PATH | os.O_CLOEXEC)
        try:
            with open(f"/proc/self/fdinfo/{source}") as file:
                [number] = [int(line.split()[1]) for line in file if line.startswith("mnt_id:")]
        finally:
            os.close(source)
        [mount] = [mount for mount in mounts() if mount.number == number]
        if not any(peer.startswith(NEEDED[self.propagation]) for peer in mount.peers):
            raise LaunchError(
                f"volume {self.source} cannot be {self.propagation}: the mount it is on, {mount.path}, is private",
                hint=f"mount --make-shared {mount.path}",
            )
