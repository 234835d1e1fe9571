"""A lock file: held through flock(2), so the kernel lets go of it when its holder dies, however it dies.

The file is removed by its last holder; a waiter that wakes up on a removed file starts again. No process id is
written or trusted anywhere.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress


def acquire(path: str, *, wait: bool = True) -> int | None:
    """Lock PATH, created if missing, and give its descriptor; None if another has it and we are not to wait."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_at(descriptor, path):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def release(descriptor: int, path: str) -> None:
    """Remove the lock file PATH while it is still ours, then let go."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    os.close(descriptor)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
