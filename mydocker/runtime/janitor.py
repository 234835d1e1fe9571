"""The janitor: a process that outlives mydocker just long enough to clean up after its sudden death.

It stands by before there is anything to clean up, and learns of the container before that does anything: so it can wait
until mydocker is gone, kill -9 included, and then kill the container and remove its run directory and its cgroups.
A parent-death signal alone is not enough: the kernel clears it when a container's command changes its
user (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import os

from mydocker.record import TYPE_CHECKING
from mydocker.runtime.signals import send, signal

if TYPE_CHECKING:
    from typing import NoReturn


class Janitor:
    """Context manager: the janitor of the run in `run_dir` is on duty between enter and exit.

    `warded`: a warden ends the container when we are gone, and must not be killed before it has (runtime/reaper.py).
    """

    def __init__(self, run_dir: str, *, warded: bool) -> None:
        self.run_dir = run_dir
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

    def answer_for(self, pid: int) -> None:
        """PID is the container's first process, a child of ours that has not been waited for."""
        os.write(self.lifeline, str(pid).encode())

    def _stand_by(self, waiting: int) -> NoReturn:
        """In the janitor: all signals are still blocked, as the launcher has them."""
        try:
            os.setsid()
            os.closerange(0, waiting)
            os.closerange(waiting + 1, os.sysconf("SC_OPEN_MAX"))
            said = os.read(waiting, 32)
            pidfd = _opened(int(said)) if said else -1
            while os.read(waiting, 1):  # until the end of file, when no one holds the other end
                pass
            self._clean_up(pidfd)
        finally:
            os._exit(0)

    def _clean_up(self, pidfd: int) -> None:
        import select

        from mydocker.runtime.rundir import reclaim

        if pidfd >= 0:
            if not self.warded:
                send(pidfd, signal.SIGKILL)
            select.select([pidfd], [], [])  # readable once the process has ended (pidfd_open(2))
        reclaim(self.run_dir)


def _opened(pid: int) -> int:
    """A pidfd of PID; -1 if it has ended, and whoever took our place as its parent has waited for it."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return -1
