"""The janitor: a process that outlives mydocker just long enough to clean up after its sudden death.

Waits until mydocker is gone, kill -9 included, then kills the container and removes its run directory and its cgroups.
A parent-death signal alone is not enough: the kernel clears it when a container's command changes its
user (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import os
import select

from mydocker.runtime.rundir import discard
from mydocker.runtime.signals import send, signal


class Janitor:
    """Context manager: the janitor is on duty between enter and exit. `keep` are descriptors it must hold: the lock.

    `warded`: a warden ends the container when we are gone, and must not be killed before it has (runtime/reaper.py).
    """

    def __init__(self, *, pidfd: int, run_dir: str, keep: int, warded: bool) -> None:
        self.pidfd = pidfd
        self.run_dir = run_dir
        self.keep = keep
        self.warded = warded

    def __enter__(self) -> Janitor:
        waiting, self.lifeline = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._stand_by(waiting)
        os.close(waiting)
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.lifeline)

    def _stand_by(self, waiting: int) -> None:
        """In the janitor: all signals are still blocked, as the launcher has them."""
        try:
            os.setsid()
            kept = sorted((waiting, self.pidfd, self.keep))
            for low, high in zip([-1, *kept], [*kept, os.sysconf("SC_OPEN_MAX")], strict=True):
                os.closerange(low + 1, high)
            os.read(waiting, 1)  # returns at the end of file, when no one holds the other end
            if not self.warded:
                send(self.pidfd, signal.SIGKILL)
            select.select([self.pidfd], [], [])  # readable once the process has ended (pidfd_open(2))
            discard(self.run_dir)
        finally:
            os._exit(0)
