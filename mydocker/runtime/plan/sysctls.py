"""Kernel parameters of a container's separate namespaces, set through its own /proc/sys before that becomes
read-only."""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.runtime.plan.operations import Operation

_OWN = kernel.RESOLVE_IN_ROOT | kernel.RESOLVE_NO_SYMLINKS  # without the former, `/` would be the host's


class Parameter(Operation):
    """Write `value` to the file of /proc/sys at the target. No symlink of the image can be on the way to it."""

    value: str

    @property
    def of_network(self) -> bool:
        return True

    def apply(self, root: int) -> None:
        try:
            file = kernel.open_inside(root, self.target, os.O_WRONLY, resolve=_OWN)
            try:
                os.write(file, self.value.encode(errors="surrogateescape"))
            finally:
                os.close(file)
        except FileNotFoundError:
            raise LaunchError(f"sysctl {self._name()}: this kernel has no such parameter") from None
        except OSError as error:
            raise LaunchError(f"sysctl {self._name()}: cannot set it to {self.value!r}: {error.strerror}") from None

    def _name(self) -> str:
        return self.target.removeprefix("/proc/sys/").replace("/", ".")
