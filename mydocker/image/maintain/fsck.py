"""Is all that the store claims to have really there, as it was verified once? Reads every byte of it."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator

from mydocker.errors import MydockerError
from mydocker.image.maintain import in_use, prune
from mydocker.image.model.config import parse_config
from mydocker.image.rebuild import compare, tar_rebuild
from mydocker.image.store import Store, as_owner, catalog, read, remove_tree
from mydocker.record import Record
from mydocker.reference import Digest


class Damage(Record):
    """One thing that is wrong: `what` it is about, and `why`. `remove` takes it out of the store, if that may be."""

    what: str
    why: str
    remove: Callable[[], None] | None


def check(store: Store) -> Iterator[Damage]:
    """All damage, in an order in which removing each, or none, leaves the later ones right: what a name needs is
    judged after what there is."""
    running = in_use.of_containers(store)
    yield from _blobs(store)
    yield from _layers(store, running.layers)
    yield from _names(store)


def _blobs(store: Store) -> Iterator[Damage]:
    for name in _listed(store.blobs):
        path = f"{store.blobs}/{name}"
        try:
            found = hashlib.sha256(read(path)).hexdigest()
            why = "" if found == name else f"has another digest, {found}"
        except OSError as error:
            why = f"cannot be read: {error.strerror}"
        except ValueError as error:
            why = f"is damaged: {error}"
        if why:
            yield Damage(what=f"blob {name}", why=why, remove=_removing_all(path))


def _layers(store: Store, running: frozenset[Digest]) -> Iterator[Damage]:
    for name in _listed(store.layers):
        digest = in_use.digest_of(name)
        if digest is None:
            yield Damage(what=f"layers/{name}", why="is not a layer", remove=_removing(store, name))
        elif store.layer_path(digest) == f"{store.layers}/{name}" and (found := list(_compared(store, digest))):
            remove = None if digest in running else _removing(store, name)
            more = f", and {len(found) - 1} more" if found[1:] else ""
            yield Damage(what=f"layer {digest}", why=found[0] + more, remove=remove)


def _compared(store: Store, diff_id: Digest) -> Iterator[str]:
    layer, path = store.layer_path(diff_id), store.skeleton_path(diff_id)
    if not os.path.exists(path):
        yield "has no skeleton to compare it with"
        return
    owned = store.ids is None or not store.ids.is_single

    space = "user.overlay" if store.ids else "trusted.overlay"  # as in workers.py

    def differences() -> Iterator[bytes]:
        others = compare.compare(layer, path, owned=owned, space=space)
        for why in itertools.chain(tar_rebuild.compare(layer, path), others):
            yield f"{why}\n".encode(errors="backslashreplace")

    lines = b""
    try:
        for piece in as_owner.stream(store.ids, differences):
            *whole, lines = (lines + piece).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
    except MydockerError as error:
        yield error.message
    except OSError as error:
        yield f"cannot be read: {error.strerror}: {error.filename}"


def _names(store: Store) -> Iterator[Damage]:
    broken: list[tuple[str, Exception]] = []
    for entry in catalog.entries(store, broken=lambda path, error: broken.append((path, error))):
        try:
            missing = _missing(store, entry.ref.manifest, entry.ref.config)
        except (OSError, ValueError, MydockerError) as error:
            words = error.message if isinstance(error, MydockerError) else str(error)
            missing = [f"a config that can be read: {words}"]
        if missing:
            what = f"image {entry.reference.familiar} ({entry.platform})"
            yield Damage(what=what, why=f"lacks {missing[0]}", remove=_untagging(store, entry.path))
    for path, reason in broken:
        what = f"name {os.path.relpath(path, store.refs)}"
        yield Damage(what=what, why=f"is damaged: {reason}", remove=_untagging(store, path))


def _missing(store: Store, manifest: Digest, config: Digest) -> list[str]:
    blobs = [f"blob {digest}" for digest in (manifest, config) if not os.path.exists(store.blob_path(digest))]
    _, diff_ids = parse_config(read(store.blob_path(config)))
    return blobs + [f"layer {diff_id}" for diff_id in diff_ids if not os.path.isdir(store.layer_path(diff_id))]


def _listed(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _removing_all(path: str) -> Callable[[], None]:
    return lambda: remove_tree.remove(path)


def _removing(store: Store, name: str) -> Callable[[], None]:
    return lambda: prune.remove_layer(store, name)


def _untagging(store: Store, path: str) -> Callable[[], None]:
    return lambda: catalog.unlink(store, path)
