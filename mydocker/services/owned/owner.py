"""The owner of a container in the background: the program that it ends with, if it has one.

An owner is named by text: its process number, when that began, and the PID namespace in which the number counts. With
these no other process is mistaken for it. A keeper waits for its end with a pidfd (pidfd_open(2)): unlike a pipe, no
child of the owner inherits that.
"""

from __future__ import annotations

import os

from mydocker.errors import LaunchError
from mydocker.kernel import start_time
from mydocker.kernel.processes import has_ended


def name_process(pid: int) -> str:
    """The text that names process PID as an owner. OSError if there is none."""
    return f"{pid} {start_time(pid)} {_namespace()}"


def open_owner(text: str) -> int:
    """A pidfd of the owner that TEXT names. Raises LaunchError if it has ended, or cannot be watched from here."""
    pid, began, namespace = map(int, text.split())
    if namespace != _namespace():
        raise LaunchError("the container belongs to a program in another PID namespace")
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        raise _ended() from None
    try:
        if start_time(pid) == began and not has_ended(pidfd):
            return pidfd
    except OSError:
        pass
    os.close(pidfd)
    raise _ended()


def is_gone(text: str) -> bool:
    """Whether the owner that TEXT names has ended; false if that cannot be known here."""
    pid, began, namespace = map(int, text.split())
    if namespace != _namespace():
        return False
    try:
        return start_time(pid) != began
    except OSError:
        return True


def _namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino


def _ended() -> LaunchError:
    return LaunchError("the program that the container belongs to has ended")
