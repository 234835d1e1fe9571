"""Clearing the store of what nobody needs: layers and blobs of no image, images that lost their name to a newer one,
leftovers of pulls. During a pull only the leftovers go: what it has found here must stay."""

from __future__ import annotations

import os
from collections.abc import Iterator

from mydocker.image.maintain import in_use
from mydocker.image.maintain.in_use import Usage, digest_of
from mydocker.image.store import Store, catalog, flock, remove_tree, staging, use_lock
from mydocker.image.store.catalog import ImageName
from mydocker.image.tar import tarsplit
from mydocker.record import Record
from mydocker.reference import Reference


class Removal(Record):
    """One thing that is gone, or would go: `what`, in words, and the bytes that this frees if that is known."""

    what: str
    size: int


class Busy(Exception):
    """A pull is under way."""


def prune(store: Store, *, dry_run: bool) -> Iterator[Removal]:
    """Remove what is not needed, one by one. Busy, after the leftovers, if layers cannot be judged now."""
    if not store.is_there():
        return
    yield from _leftovers(store, dry_run=dry_run)
    with flock.exclusive(store.layers) as free:
        if not free:
            raise Busy
        stale = list(_nameless(store))
        for entry in stale:
            yield Removal(what=f"image {entry.reference.familiar} ({entry.platform}), which has no name", size=0)
            if not dry_run:
                catalog.unlink(store, entry.path)
        yield from _unused(store, _needed(store, stale), dry_run=dry_run)


def _leftovers(store: Store, *, dry_run: bool) -> Iterator[Removal]:
    before = {name: _size(f"{store.incoming}/{name}") for name in os.listdir(store.incoming)}
    if not dry_run:
        staging.sweep(store, parts=True)
    for name in sorted(set(before) - set(os.listdir(store.incoming))):
        size = before[name] if name.endswith(".part") else 0
        yield Removal(what=f"interrupted download {name.partition('.')[0][:12]}", size=size)


def _size(path: str) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_size
    except FileNotFoundError:  # another pull has finished
        return 0


def _nameless(store: Store) -> Iterator[ImageName]:
    """Digests of images whose name means another image now. What was requested by its digest has no name to lose."""
    found = list(catalog.entries(store))
    named = {entry.ref.manifest for entry in found if entry.reference.tag}
    for entry in found:
        if not entry.reference.tag and entry.ref.manifest not in named and Reference.parse(entry.ref.origin).tag:
            yield entry


def _needed(store: Store, gone: list[ImageName]) -> Usage:
    names = in_use.of_names(store, but={entry.path for entry in gone})
    return in_use.both(names, in_use.of_containers(store))


def _unused(store: Store, needed: Usage, *, dry_run: bool) -> Iterator[Removal]:
    """Remove what is not NEEDED: manifests first, unless a container has begun to use one meanwhile (use_lock.py)."""
    for name in sorted(os.listdir(store.blobs)):
        digest, path = digest_of(name), f"{store.blobs}/{name}"
        if digest and digest not in needed.blobs and in_use.config_of(store, digest):
            removal = Removal(what=f"blob {name}", size=os.stat(path).st_size)
            more = in_use.of_manifests(store, [digest])
            if dry_run or use_lock.remove_unless_held(path):
                yield removal
            else:
                needed = in_use.both(needed, more)
    yield from _unused_files(store, needed, dry_run=dry_run)


def _unused_files(store: Store, needed: Usage, *, dry_run: bool) -> Iterator[Removal]:
    """The same of layers, skeletons and blobs that are not manifests."""
    for name in sorted(os.listdir(store.layers)):
        if digest_of(name) not in needed.layers:
            size = tarsplit.unpacked_size(f"{store.skeletons}/{name}")
            if not dry_run:
                remove_layer(store, name)
            yield Removal(what=f"layer {name}", size=size)
    for directory, kept in ((store.skeletons, needed.layers), (store.blobs, needed.blobs)):
        for name in sorted(os.listdir(directory)):
            path, digest = f"{directory}/{name}", digest_of(name)
            if directory == store.blobs and digest and in_use.config_of(store, digest):
                continue
            if digest not in kept:
                size = os.stat(path, follow_symlinks=False).st_size
                if not dry_run:
                    remove_tree.remove(path)
                yield Removal(what=f"{'blob' if directory == store.blobs else 'skeleton'} {name}", size=size)


def remove_layer(store: Store, name: str) -> None:
    """Take the layer directory NAME, or whatever has that name, out of sight at once, and then apart."""
    digest = digest_of(name)
    if digest is None:
        remove_tree.remove(f"{store.layers}/{name}")
        return
    place = f"{store.incoming}/gone-{digest.hex}"
    held = flock.acquire(f"{place}.lock")
    assert held is not None
    try:
        remove_tree.remove(place)  # what a killed process has left
        remove_tree.move(f"{store.layers}/{name}", place)
        remove_tree.remove(place)
    finally:
        flock.release(held, f"{place}.lock")
