"""Devices of the host in a container: all of them for a privileged one, else those of the spec."""

from __future__ import annotations

import os
import stat

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.kernel.beneath import make_target
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.plan.operations import Operation, attach

if TYPE_CHECKING:
    from mydocker.specs.model.parts import DeviceRule

# directories and a file of /dev that a container has its own of, as in runc's HostDevices
_OWN = ("console", "fd", "mqueue", "ptmx", "pts", "shm")


class HostDevices(Operation):
    """Every device node below the host's directory `source`, bound below the target; existing nodes stay."""

    source: str = "/dev"

    def apply(self, root: int) -> None:
        self._bind_all(root, self.source, "")

    def _bind_all(self, root: int, host: str, below: str) -> int:
        """Bind the devices in directory HOST; how many there were."""
        count = 0
        for entry in os.scandir(host):
            name = f"{below}/{entry.name}"
            if entry.name in _OWN and host == "/dev":
                continue
            try:
                mode = entry.stat(follow_symlinks=False).st_mode
            except FileNotFoundError:  # the host's /dev changes at any time
                continue
            if stat.S_ISDIR(mode):
                count += self._bind_all(root, entry.path, name)
            elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                self._bind(root, entry.path, name)
                count += 1
        return count

    def _bind(self, root: int, source: str, name: str) -> None:
        target = make_target(root, self.target + name, directory=False, follow=False)
        if not stat.S_ISREG(os.fstat(target).st_mode):
            os.close(target)
            return
        try:
            tree = kernel.clone_tree(source)
        except FileNotFoundError:
            os.close(target)
            return
        attach(tree, target)


class MatchingDevices(HostDevices):
    """The devices below the host's directory `source` that one of `rules` is about, bound over the target's own, which
    do not open."""

    rules: tuple[DeviceRule, ...] = ()

    def _bind(self, root: int, source: str, name: str) -> None:
        status = os.lstat(source)
        kind, number = ("c" if stat.S_ISCHR(status.st_mode) else "b"), status.st_rdev
        if any(rule.matches(kind, os.major(number), os.minor(number)) for rule in self.rules):
            attach(kernel.clone_tree(source), make_target(root, self.target + name, directory=False, follow=False))


class ChosenDevice(HostDevices):
    """One device of the host at the target, over whatever is there; of a directory, the devices in it."""

    def apply(self, root: int) -> None:
        try:
            if os.path.isdir(self.source):
                if not self._bind_all(root, self.source, ""):
                    raise LaunchError(f"there is no device in directory {self.source}")
                return
            tree = kernel.clone_tree(self.source)
        except FileNotFoundError:
            raise LaunchError(f"device {self.source} does not exist on this host") from None
        except PermissionError as error:
            raise LaunchError(f"device {self.source}: {error.strerror}") from None
        mode = os.fstat(tree).st_mode
        if not stat.S_ISCHR(mode) and not stat.S_ISBLK(mode):
            os.close(tree)
            raise LaunchError(f"{self.source} is not a device")
        attach(tree, make_target(root, self.target, directory=False))
