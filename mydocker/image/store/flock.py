"""A lock file: held through flock(2), so the kernel lets go of it when its holder dies, however it dies.

The file is removed by its last holder; a waiter that wakes up on a removed file starts again. No process id is
written or trusted anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from mydocker import kernel


def acquire(path: str, *, wait: bool = True) -> int | None:
    """Lock PATH, created if missing, and give its descriptor; None if another has it and we are not to wait."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            kernel.lock(descriptor, wait=wait)
            if _is_at(descriptor, path):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


@contextmanager
def shared(directory: str) -> Iterator[None]:
    """For those who add to DIRECTORY, and need what is in it: nobody clears it meanwhile."""
    with _held(directory, shared=True):
        yield


@contextmanager
def exclusive(directory: str) -> Iterator[bool]:
    """For those who clear DIRECTORY. False, at once, if somebody is adding to it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(_held(directory, wait=False))
            free = True
        except BlockingIOError:
            free = False
        yield free


@contextmanager
def _held(directory: str, *, shared: bool = False, wait: bool = True) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        kernel.lock(descriptor, shared=shared, wait=wait)
        yield
    finally:
        os.close(descriptor)


def release(descriptor: int, path: str) -> None:
    """Remove the lock file PATH while it is still this process's, then release it."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    os.close(descriptor)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
