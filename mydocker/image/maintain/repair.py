"""Restoring: images that a repair has taken apart are fetched again, by their digests and under all their names.

What the names were is noted before the repair. Nothing is believed of it: a digest that was damaged as well is one that
no registry has.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from mydocker.errors import MydockerError, UsageError
from mydocker.image.pull import pull
from mydocker.image.store import Ref, Store, catalog, read_ref
from mydocker.record import Record
from mydocker.reference import LOCAL, Digest, Platform, Reference


class Name(Record):
    """One name of an image, as it was: `origin` says where the image came from."""

    path: str
    reference: Reference
    platform: Platform
    ref: Ref
    origin: Reference


def names(store: Store) -> list[Name]:
    """Every name that can be read, also of what is damaged."""
    found = []
    for path in catalog.ref_paths(store):
        try:
            ref = read_ref(path)
            reference, platform = catalog.name_at(store, path, ref)
            origin = Reference.parse(ref.origin)
        except (FileNotFoundError, ValueError, UsageError):
            continue
        found.append(Name(path=path, reference=reference, platform=platform, ref=ref, origin=origin))
    return found


class Restored(Record):
    """What became of the image `name`: `why` it could not be fetched, empty if it was."""

    name: str
    why: str


def restore(store: Store, before: list[Name], *, environ: Mapping[str, str]) -> Iterator[Restored]:
    """Fetch again what the names BEFORE meant and now do not, each image once."""
    lost: dict[tuple[Digest, Platform], list[Name]] = {}
    for name in before:
        if not os.path.exists(name.path):
            lost.setdefault((name.ref.manifest, name.platform), []).append(name)
    for gone in sorted(lost.values(), key=_shown):
        yield Restored(name=_shown(gone), why=_fetch(store, gone, environ))


def _shown(gone: list[Name]) -> str:
    return f"{min(name.reference.familiar for name in gone)} ({gone[0].platform})"


def _fetch(store: Store, gone: list[Name], environ: Mapping[str, str]) -> str:
    """Get the image that the names GONE meant; why not, if it cannot be had."""
    manifest, platform = gone[0].ref.manifest, gone[0].platform
    origins = dict.fromkeys(name.origin.replace(tag=None, digest=manifest) for name in sorted(gone, key=_is_given))
    reasons = []
    for origin in origins:
        if origin.registry == LOCAL:
            reasons.append("it came from files, from which 'mydocker pull' or 'mydocker load' brings it again")
            continue
        try:
            pull(origin, platform=platform, store=store, environ=environ)
            for name in gone:
                store.record_ref(
                    name.reference, platform, manifest=manifest, config=name.ref.config, origin=name.origin
                )
            return ""
        except MydockerError as error:
            reasons.append(error.message)
        except OSError as error:
            reasons.append(f"{error.strerror}: {error.filename}")
    return reasons[0]


def _is_given(name: Name) -> bool:
    """Whether the name may have been given here (`mydocker tag`), so that no registry knows it."""
    return bool(name.reference.tag)
