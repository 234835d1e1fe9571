"""incoming/: layers that are being written, each held by one process.

    <hex>.lock    flock(2) of the process that unpacks the layer with this diff ID, and of what it has started;
                  its contents become the layer's skeleton
    <hex>/        the layer so far; of no use without a holder

Whoever finds a lock that nobody holds removes it and what it covers.
"""

from __future__ import annotations

import os
from contextlib import suppress

from mydocker.image import lock, tree
from mydocker.image.store import Store, sync_directory
from mydocker.reference import Digest


class Claim:
    """The right to write one layer. Use with `with`: at its end what has not been published is removed."""

    def __init__(self, store: Store, diff_id: Digest) -> None:
        self.directory = f"{store.incoming}/{diff_id.hex}"
        self._lock_path = f"{self.directory}.lock"
        self._final = store.layer_path(diff_id)
        self._skeleton = store.skeleton_path(diff_id)
        self.lock = -1

    def __enter__(self) -> Claim:
        """Waits until no other process has the claim."""
        held = lock.acquire(self._lock_path)
        assert held is not None
        self.lock = held
        try:
            tree.remove(self.directory)
        except BaseException:
            self._release()
            raise
        return self

    @property
    def is_done(self) -> bool:
        """Whether the layer is in the store: perhaps another process has put it there while we waited."""
        return os.path.isdir(self._final)

    def publish(self) -> None:
        """Make the layer and its skeleton, both durable, visible under their names, and give up the claim.

        The skeleton comes first: a layer has one whatever happens here.
        """
        with suppress(FileNotFoundError):
            os.unlink(self._skeleton)
        os.link(self._lock_path, self._skeleton)
        sync_directory(os.path.dirname(self._skeleton))
        tree.move(self.directory, self._final)
        sync_directory(os.path.dirname(self._final))
        self._release()

    def __exit__(self, *_: object) -> None:
        if self.lock >= 0:
            try:
                tree.remove(self.directory)
            finally:
                self._release()

    def _release(self) -> None:
        lock.release(self.lock, self._lock_path)
        self.lock = -1


def sweep(store: Store) -> None:
    """Remove what processes that were killed have left."""
    for name in os.listdir(store.incoming):
        stem = name.removesuffix(".lock")
        path = f"{store.incoming}/{stem}.lock"
        held = lock.acquire(path, wait=False)
        if held is not None:
            try:
                tree.remove(f"{store.incoming}/{stem}")
            finally:
                lock.release(held, path)
