"""The lock of an image: held by each container whose directory is not in the store, so that nobody who clears the store
takes its layers. It is on the blob of the manifest, a file that each view of the store has: also one that is read-only,
and one on another machine.

    a container                   for reading, as long as it lives; then it looks whether the blob is still there
    who clears the store          for writing; then it removes the blob before any layer

So either the container finds that its image is gone, or the other one that it is in use.
"""

from __future__ import annotations

import errno
import os

from mydocker.errors import ImageNotFoundError
from mydocker.image.store import remove_tree
from mydocker.kernel.disk import is_locked_anywhere, lock_everywhere

_NO_FILE = (errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENXIO)  # damage: something else is there, or nothing


def hold(blob: str) -> int | None:
    """Hold the lock of the image whose manifest is the file BLOB until the descriptor is closed; None if there are no
    such locks here. Raises ImageNotFoundError if the image has been removed."""
    gone = ImageNotFoundError("the image has been removed meanwhile", hint="try again")
    try:
        descriptor = os.open(blob, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise gone from None
    try:
        lock_everywhere(descriptor, shared=True)
    except OSError:
        os.close(descriptor)
        return None
    if _is_removed(descriptor):
        os.close(descriptor)
        raise gone
    return descriptor


def is_held(blob: str) -> bool:
    """Whether a container holds the lock of the image whose manifest is the file BLOB, as far as this can be seen."""
    try:
        descriptor = _opened(blob)
    except OSError:
        return False
    try:
        return is_locked_anywhere(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def remove_unless_held(blob: str) -> bool:
    """Remove BLOB, the manifest of an image, unless a container holds its lock, or that cannot be known; whether it is
    gone."""
    try:
        descriptor = os.open(blob, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno not in _NO_FILE:  # it may be held, which cannot be seen now
            return False
        remove_tree.remove(blob)
        return True
    try:
        try:
            lock_everywhere(descriptor, wait=False)
        except OSError:
            if is_held(blob):
                return False
        remove_tree.remove(blob)
        return True
    finally:
        os.close(descriptor)


def _opened(blob: str) -> int:
    """BLOB, open for writing if that may be: a client of NFS may keep its locks to itself until another one opens the
    file for that, which takes its delegation away (RFC 8881, 10.4)."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(blob, os.O_RDWR | flags)
    except OSError:
        return os.open(blob, os.O_RDONLY | os.O_NONBLOCK | flags)


def _is_removed(descriptor: int) -> bool:
    try:
        return os.fstat(descriptor).st_nlink == 0
    except OSError:  # of a server: ESTALE
        return True
