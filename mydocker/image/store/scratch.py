"""A directory in the store for what is on its way into it, such as an image that a builder writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mydocker.image.store import Store, flock, remove_tree


@contextmanager
def scratch(store: Store) -> Iterator[str]:
    """A new directory, which is removed at the end; if this process is killed, by the next pull (staging.py): its lock
    is released then."""
    store.prepare()
    path = f"{store.incoming}/scratch-{os.urandom(8).hex()}"
    lock = flock.acquire(f"{path}.lock")
    assert lock is not None
    try:
        os.mkdir(path, 0o700)
        yield path
    finally:
        try:
            remove_tree.remove(path)
        finally:
            flock.release(lock, f"{path}.lock")
