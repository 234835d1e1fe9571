"""Processes that a container without a pid namespace leaves if its outer init is killed: they become mydocker's
children.

The nearest ancestor that is a subreaper adopts orphans (prctl(2), PR_SET_CHILD_SUBREAPER): the outer init, and once
that is gone this process, which kills them. A second fork or setsid(2) does not change that.
"""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.kernel.signals import signal
from mydocker.runtime.launch.init import children


class Orphans:
    """Context manager: processes that become children of this one meanwhile are killed at the end."""

    def __enter__(self) -> Orphans:
        self.processes = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        self.before = set(children(self.processes))
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            while adopted := set(children(self.processes)) - self.before:
                for pid in adopted:
                    os.kill(pid, signal.SIGKILL)  # not waited for yet, so it is still that process
                for pid in adopted:
                    os.waitpid(pid, 0)
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 0)
        finally:
            os.close(self.processes)
