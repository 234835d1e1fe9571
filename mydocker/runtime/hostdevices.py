"""The devices of the host, for a privileged container."""

from __future__ import annotations

import os
import stat

from mydocker import kernel
from mydocker.runtime.inside import make_target
from mydocker.runtime.operations import Operation

# directories and a file of /dev that a container has its own of, as in runc's HostDevices
_OWN = ("console", "fd", "mqueue", "ptmx", "pts", "shm")


class HostDevices(Operation):
    """Every device node below the host's /dev, bound below the target; nodes that are there already stay."""

    def apply(self, root: int) -> None:
        self._bind_all(root, "/dev", "")

    def _bind_all(self, root: int, host: str, below: str) -> None:
        for entry in os.scandir(host):
            name = f"{below}/{entry.name}"
            if not below and entry.name in _OWN:
                continue
            try:
                mode = entry.stat(follow_symlinks=False).st_mode
            except FileNotFoundError:  # the host's /dev changes at any time
                continue
            if stat.S_ISDIR(mode):
                self._bind_all(root, entry.path, name)
            elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                self._bind(root, entry.path, name)

    def _bind(self, root: int, source: str, name: str) -> None:
        target = make_target(root, self.target + name, directory=False, follow=False)
        try:
            if not stat.S_ISREG(os.fstat(target).st_mode):
                return
            tree = kernel.clone_tree(source)
            try:
                kernel.attach(tree, target)
            finally:
                os.close(tree)
        except FileNotFoundError:
            pass
        finally:
            os.close(target)
