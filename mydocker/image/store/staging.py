"""incoming/: layers that are being written, each held by one process.

    <hex>.lock    flock(2) of the process that unpacks the layer with this diff ID, and of what it has started;
                  its contents become the layer's skeleton
    <hex>/        the layer so far; of no use without a holder
    <hex>.<hex of the blob>.part    the blob so far, see partial_download.py; for the next holder

Whoever finds a lock that nobody holds removes it and what it covers, parts aside; and whatever else is here.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mydocker.errors import RegistryError
from mydocker.image.store import Store, flock, remove_tree, sync_directory
from mydocker.image.store.partial_download import PartialDownload
from mydocker.reference import Digest

_LOCK, _PART = ".lock", ".part"
_NAME_LIMIT = 255  # bytes: NAME_MAX
_WEEK = 7 * 24 * 3600  # seconds for which a part is kept


class LayerLock:
    """The right to write one layer. Use with `with`: at its end what has not been published is removed."""

    def __init__(self, store: Store, diff_id: Digest) -> None:
        self.directory = f"{store.incoming}/{diff_id.hex}"
        self._store, self._stem = store, diff_id.hex
        self._part: PartialDownload | None = None
        self._lock_path = f"{self.directory}{_LOCK}"
        self._final = store.layer_path(diff_id)
        self._skeleton = store.skeleton_path(diff_id)
        self.lock = -1

    def __enter__(self) -> LayerLock:
        """Waits until no other process has the claim."""
        held = flock.acquire(self._lock_path)
        assert held is not None
        self.lock = held
        try:
            remove_tree.remove(self.directory)
        except BaseException:
            self._release()
            raise
        return self

    @property
    def is_done(self) -> bool:
        """Whether the layer is in the store: perhaps another process has put it there while we waited."""
        return os.path.isdir(self._final)

    def part(self, blob: Digest) -> PartialDownload:
        """What an earlier claim has fetched of BLOB, to go on with."""
        self._part = PartialDownload(f"{self.directory}.{blob.hex}{_PART}")
        return self._part

    def publish(self) -> None:
        """Make the layer and its skeleton, both durable, visible under their names, and give up the claim.

        The skeleton comes first: a layer has one whatever happens here.
        """
        remove_tree.remove(self._skeleton)
        os.link(self._lock_path, self._skeleton)
        sync_directory(os.path.dirname(self._skeleton))
        if not self.is_done:
            remove_tree.remove(self._final)  # a file in its place would stop the move
        remove_tree.move(self.directory, self._final)
        sync_directory(os.path.dirname(self._final))
        self._forget()
        self._release()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """After a failure of the network, or an interrupt, what has arrived stays for the next pull."""
        if self._part:
            self._part.close()
        if self.lock >= 0:
            try:
                remove_tree.remove(self.directory)
                if kind and issubclass(kind, Exception) and not issubclass(kind, RegistryError):
                    self._forget()
            finally:
                self._release()

    def _forget(self) -> None:
        for path in _parts(self._store):
            if os.path.basename(path).startswith(f"{self._stem}."):
                remove_tree.remove(path)

    def _release(self) -> None:
        flock.release(self.lock, self._lock_path)
        self.lock = -1


def has_parts(store: Store) -> bool:
    """Whether an earlier pull has left the beginning of a blob."""
    return bool(_parts(store))


def sweep(store: Store, *, parts: bool = False) -> None:
    """Remove what processes that were killed have left; of downloads that can be resumed, with PARTS, all."""
    for name in os.listdir(store.incoming):
        if _is_stray(f"{store.incoming}/{name}"):
            remove_tree.remove(f"{store.incoming}/{name}")
            continue
        if name.endswith(_PART):
            continue
        stem = name.removesuffix(_LOCK)
        with _held(store, stem) as free:
            if free:
                remove_tree.remove(f"{store.incoming}/{stem}")
    for path in _parts(store):
        stem = os.path.basename(path).partition(".")[0]
        if parts or _is_old(path) or os.path.isdir(store.layer_path(Digest(hex=stem))):
            with _held(store, stem) as free:
                if free:
                    remove_tree.remove(path)


def _parts(store: Store) -> list[str]:
    return [f"{store.incoming}/{name}" for name in os.listdir(store.incoming) if name.endswith(_PART)]


def _is_stray(path: str) -> bool:
    """Whether nobody can hold what is at PATH: it could have no lock, or is a lock or a part by name alone, or the
    lock of no name."""
    name = os.path.basename(path)
    if not name.endswith((_LOCK, _PART)):
        return len(os.fsencode(name + _LOCK)) > _NAME_LIMIT
    if name.removesuffix(_LOCK) in ("", ".", ".."):  # what these cover is more than one may remove
        return True
    try:
        return not stat.S_ISREG(os.stat(path, follow_symlinks=False).st_mode)
    except FileNotFoundError:  # its holder is done
        return False


def _is_old(path: str) -> bool:
    try:
        return time.time() - os.stat(path).st_mtime > _WEEK
    except FileNotFoundError:
        return False


@contextmanager
def _held(store: Store, stem: str) -> Iterator[bool]:
    """Hold the lock of STEM, if nobody does."""
    path = f"{store.incoming}/{stem}{_LOCK}"
    held = flock.acquire(path, wait=False)
    try:
        yield held is not None
    finally:
        if held is not None:
            flock.release(held, path)
