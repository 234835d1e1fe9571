"""A lock file: held through flock(2), so the kernel lets go of it when its holder dies, however it dies.

The file is removed by its last holder; a waiter that wakes up on a removed file starts again. No process id is
written or trusted anywhere.

A directory is locked together with a file, <directory>.lock: where the directory is on a server, its own lock
is seen on one machine only.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from mydocker import kernel
from mydocker.kernel.disk import lock_everywhere


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
    with ExitStack() as stack:
        for path in (directory, f"{directory}.lock"):
            descriptor = _opened(path)
            if descriptor is None:
                continue
            stack.callback(os.close, descriptor)
            if path == directory:
                kernel.lock(descriptor, shared=shared, wait=wait)
            else:
                _lock_everywhere(descriptor, shared=shared, wait=wait)
        yield


def _opened(path: str) -> int | None:
    """PATH, a directory or a lock file, open for what can be; None if it is not there, and cannot be."""
    if os.path.isdir(path):
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for mode in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with suppress(OSError):
            return os.open(path, mode | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    return None


def _lock_everywhere(descriptor: int, *, shared: bool, wait: bool) -> None:
    """As far as the file system has such locks. Raises BlockingIOError."""
    try:
        lock_everywhere(descriptor, shared=shared, wait=wait)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):  # fcntl(2) may say either
            raise BlockingIOError(*error.args) from None


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
