"""Outcome: how a container ended, and what it used."""

from __future__ import annotations

from mydocker.record import Record

TIMED_OUT = 124
SIGNAL_BASE = 128
_SIGKILL = 9


class Outcome(Record):
    """Exactly one of `exit_code` and `signal` is set. Times are in seconds, sizes in bytes.

    `cpu` and `max_rss` are of the whole container where it has cgroups that count them, page cache included; else of
    the command and of those children it waited for, and of the largest of these processes. The kernel counts what the
    command was before execve(2) as well: a fork of mydocker, of about 10 MB, so that `max_rss` is at least that.
    """

    exit_code: int | None = None
    signal: int | None = None
    timed_out: bool = False
    oom_killed: bool = False  # the kernel killed a process of it because its memory limit was reached
    killed_by: str = ""  # what may have killed it from outside the container, as a message, where that is known
    stopped: bool = False  # a signal to mydocker requested its end
    wall: float = 0.0
    cpu: float = 0.0
    max_rss: int = 0
    ports: tuple[str, ...] = ()  # what was published, as [HOST_IP:]PORT:TARGET/PROTOCOL, with numbers that were chosen

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL has ended it, also where an init could only repeat that as an exit code."""
        return self.signal == _SIGKILL or self.exit_code == SIGNAL_BASE + _SIGKILL

    @property
    def status(self) -> int:
        """The exit code that mydocker ends with: the command's own, 128+n for signal n, 124 for a time-out."""
        if self.timed_out:
            return TIMED_OUT
        return SIGNAL_BASE + self.signal if self.signal else self.exit_code or 0
