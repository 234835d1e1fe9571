"""Processes by descriptor (pidfd_open(2)); not on the warm path."""

from __future__ import annotations

import select


def has_ended(pidfd: int, timeout: float | None = 0.0) -> bool:
    """Whether the process of PIDFD has ended, or does within TIMEOUT seconds; None: wait for its end."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(None if timeout is None else timeout * 1000))
