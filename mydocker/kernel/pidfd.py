"""Processes by descriptor (pidfd_open(2)); not on the warm path."""

from __future__ import annotations

import select

LONGEST_WAIT = 2**31 - 1  # milliseconds, an int of poll(2)


def has_ended(pidfd: int, timeout: float | None = 0.0) -> bool:
    """Whether the process of PIDFD has ended, or does within TIMEOUT seconds; None: wait for its end. 24 days is the
    longest time."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(None if timeout is None else min(timeout * 1000, LONGEST_WAIT)))
