"""What of the store is in use: by names, and by containers that run.

A container whose directory is in the store, or elsewhere on this machine, is found there. One on another machine that
sees the same store holds the lock of its image (use_lock.py).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from mydocker.errors import ImageError, StoreError, UsageError, hint_for
from mydocker.image.model.config import parse_config
from mydocker.image.model.manifest import Manifest, parse_manifest
from mydocker.image.store import Store, catalog, elsewhere, file_system, read, use_lock
from mydocker.image.store_root import is_held
from mydocker.record import Record
from mydocker.reference import Digest


class Usage(Record):
    """Digests of blobs, and diff IDs of layers."""

    blobs: frozenset[Digest]
    layers: frozenset[Digest]


def check_known(store: Store) -> None:
    """Raise StoreError if the containers of other machines that use STORE cannot be known."""
    try:
        found = file_system.inspect(store.root)
    except OSError as error:
        raise StoreError(f"cannot read the store {store.root}: {error.strerror}", hint=hint_for(error)) from None
    if found.unseen:
        raise StoreError(
            f"the store {store.root} is on {found.type}, and {found.unseen}: what containers on other machines use "
            "cannot be known",
            hint="if none is running there, --force goes on",
        )


def of_names(store: Store, *, but: Collection[str] = ()) -> Usage:
    """What the names in the store need, but for those whose files are BUT. A damaged name needs nothing."""
    entries = [entry for entry in catalog.entries(store) if entry.path not in but]
    wanted = [(entry.ref.manifest, entry.ref.config) for entry in entries]
    layers = {layer for _, config in wanted for layer in _diff_ids(store, config)}
    return Usage(blobs=frozenset(digest for pair in wanted for digest in pair), layers=frozenset(layers))


def of_containers(store: Store) -> Usage:
    """What the containers that run need, and those in the background, which may be started again: their images may have
    lost all names meanwhile."""
    running: set[Digest | None] = set()
    for state in (store.state, *elsewhere.others(store.state, store.environ)):
        running |= {_image_of(f"{state}/containers/{name}") for name in _listed(f"{state}/containers")}
        running |= {_image_at(f"{state}/background/{name}") for name in _listed(f"{state}/background")}
    if store.state != store.root:  # those of a machine that has the store on a disk of its own: their locks are there
        for directory in (f"{store.root}/containers", f"{store.root}/background"):
            running |= {_image_at(f"{directory}/{name}") for name in _listed(directory)}
    return of_manifests(store, {each for each in running if each} | _held(store))


def of_manifests(store: Store, manifests: Iterable[Digest]) -> Usage:
    """What the images with MANIFESTS need."""
    blobs, layers = set(), set()
    for manifest in manifests:
        config = config_of(store, manifest)
        blobs |= {digest for digest in (manifest, config) if digest}
        layers |= set(_diff_ids(store, config)) if config else set()
    return Usage(blobs=frozenset(blobs), layers=frozenset(layers))


def both(one: Usage, other: Usage) -> Usage:
    return Usage(blobs=one.blobs | other.blobs, layers=one.layers | other.layers)


def _held(store: Store) -> set[Digest]:
    """The manifests whose locks containers hold."""
    held = [name for name in _listed(store.blobs) if use_lock.is_held(f"{store.blobs}/{name}")]
    return {digest for name in held if (digest := digest_of(name))}


def digest_of(name: str) -> Digest | None:
    """The digest in the name of a file or directory of the store; None for what does not belong there."""
    try:
        return Digest(hex=Digest.parse(f"sha256:{name.removeprefix('sha256-').partition('-')[0]}").hex)
    except UsageError:
        return None


def _image_of(directory: str) -> Digest | None:
    """The manifest of the container in DIRECTORY, unless that container has ended; see run_directory.py."""
    manifest = _image_at(directory)
    try:
        return manifest if manifest and is_held(directory) else None
    except OSError:
        return None


def _image_at(directory: str) -> Digest | None:
    """The manifest that the link `image` in DIRECTORY names."""
    try:
        return Digest.parse(os.readlink(f"{directory}/image"))
    except (OSError, UsageError):
        return None


def config_of(store: Store, manifest: Digest) -> Digest | None:
    """The config of the image with MANIFEST; None if that is not here, or no manifest."""
    try:
        parsed = parse_manifest(read(store.blob_path(manifest)))
    except (OSError, ValueError, ImageError):
        return None
    return parsed.config.digest if isinstance(parsed, Manifest) else None


def _diff_ids(store: Store, config: Digest) -> tuple[Digest, ...]:
    try:
        return parse_config(read(store.blob_path(config)))[1]
    except (OSError, ValueError, ImageError):
        return ()


def _listed(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
