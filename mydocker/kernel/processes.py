"""Processes: whether one has ended, by its descriptor (pidfd_open(2)), and children that report through a pipe. Not on
the warm path."""

from __future__ import annotations

import os
import select
import time

from mydocker import kernel
from mydocker.kernel.signals import signal

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


class DescendantsAwaited:
    """Context manager: after it, all descendants that have been forked in it have ended, also those whose parents end
    first; but no more than SECONDS are waited for."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)

    def __exit__(self, *_: object) -> None:
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # systemd sends it after `ExecStop`, and kills the rest
        deadline = time.monotonic() + self.seconds
        while _has_children() and time.monotonic() < deadline:
            time.sleep(0.02)
        signal.signal(signal.SIGTERM, before)
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 0)


def _has_children() -> bool:
    """Whether this process has children that live; those that have ended are waited for."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
