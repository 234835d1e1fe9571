"""Processes: whether one has ended, by its descriptor (pidfd_open(2)), and children that report through a pipe. Not on
the warm path."""

from __future__ import annotations

import os
import select

LONGEST_WAIT = 2**31 - 1  # milliseconds, an int of poll(2)


def has_ended(pidfd: int, timeout: float | None = 0.0) -> bool:
    """Whether the process of PIDFD has ended, or does within TIMEOUT seconds; None: wait for its end. 24 days is the
    longest time."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(None if timeout is None else min(timeout * 1000, LONGEST_WAIT)))


def fork_with_pipe() -> tuple[int, int]:
    """As fork(2): (pid, the read end) in the parent, (0, the write end) in the child. Raises OSError; nothing is open
    then."""
    reader, writer = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if pid == 0:
        os.close(reader)
        return 0, writer
    os.close(writer)
    return pid, reader
