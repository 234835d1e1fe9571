"""The lock file, mydocker.lock: which manifest each name of an image means on each platform, for all who run it.

    {
     "version": 1,
     "images": {
      "docker.io/library/alpine:3.20": {
       "linux/amd64": "sha256:…",
       "linux/arm64": "sha256:…"
      }
     }
    }

JSON with sorted names and a line for each digest, so that a change of one is a change of one line; written by
`mydocker lock`, kept alongside the code. Names with a digest say all themselves and are not in it, nor are files.
"""

from __future__ import annotations

import json
import os

from mydocker.errors import ImageError, ImageNotFoundError, UsageError
from mydocker.image.model.json_input import LIMIT, loads, mapping, string
from mydocker.kernel.disk import replace_file
from mydocker.paths import stream, usable
from mydocker.record import TYPE_CHECKING, Record
from mydocker.reference import Digest, Platform, Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "mydocker.lock"
VERSION = 1
_AGAIN = "'mydocker lock' writes it anew"


class LockFile(Record):
    """`images`: the names of images, in full, to names of platforms to digests."""

    images: Mapping[str, Mapping[str, Digest]] = {}


def needs_lock(reference: Reference) -> bool:
    """Whether what REFERENCE means is for a registry to say."""
    return reference.digest is None and reference.location is None


def read(path: str) -> LockFile:
    """The lock file at PATH. Raises UsageError if it is not there, or not one."""
    try:
        with open(usable(path), "rb") as file:
            raw = file.read(LIMIT + 1)
    except OSError as error:
        raise UsageError(f"cannot read the lock file {path}: {error.strerror}", hint=_AGAIN) from None
    try:
        document = mapping(loads(raw, "lock file"), "lock file")
        if document.get("version") != VERSION:
            raise UsageError(f"its version is not {VERSION}")
        images = mapping(document.get("images"), "lock file: images")
        return LockFile(images={str(Reference.parse(name)): _platforms(name, found) for name, found in images.items()})
    except (ImageError, UsageError) as error:
        raise UsageError(f"{path}: {error.message}", hint=_AGAIN) from None


def _platforms(name: str, found: object) -> dict[str, Digest]:
    digests = mapping(found, f"lock file: {name}").items()
    return {str(Platform.parse(each)): Digest.parse(string(digest, f"lock file: {name}")) for each, digest in digests}


def text_of(lock: LockFile) -> str:
    """What the lock file LOCK is on disk."""
    images = {
        name: {platform: str(digest) for platform, digest in sorted(found.items())}
        for name, found in sorted(lock.images.items())
    }
    return json.dumps({"version": VERSION, "images": images}, indent=1, ensure_ascii=False) + "\n"


def write(path: str, lock: LockFile) -> None:
    """Replace the file at PATH in one step, or the one that a link there names; write to a device, a FIFO or a
    descriptor of the caller's. Raises UsageError if that cannot be."""
    real = os.path.realpath(usable(path))
    descriptor = stream(path)
    try:
        if descriptor is not None:
            with open(descriptor, "w", encoding="utf-8", closefd=False) as file:
                file.write(text_of(lock))
        elif os.path.exists(path) and not os.path.isfile(path):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text_of(lock))
        else:
            replace_file(real, text_of(lock))
    except OSError as error:
        raise UsageError(f"cannot write the lock file {path}: {error.strerror}") from None


def pinned(lock: LockFile, reference: Reference, platform: Platform, *, environ: Mapping[str, str]) -> Reference:
    """REFERENCE, or what it is an alias of, with the digest that LOCK has for PLATFORM. Raises ImageNotFoundError if it
    has none, ImageError for a file with aliases that is wrong."""
    if not needs_lock(reference):
        return reference
    name, found = _locked(lock, reference, environ)
    from mydocker.image.platforms import chosen

    try:
        return name.replace(digest=chosen(found, platform), short_name="")
    except ImageNotFoundError as error:
        raise ImageNotFoundError(f"image {name.familiar}: the lock file has {error.message}", hint=_AGAIN) from None


def _locked(lock: LockFile, reference: Reference, environ: Mapping[str, str]) -> tuple[Reference, Mapping[str, Digest]]:
    """The name of REFERENCE in LOCK, and what it means there."""
    if str(reference) in lock.images:
        return reference, lock.images[str(reference)]
    from mydocker.image.registry.short_names import resolved

    name = resolved(reference, environ=environ)
    if str(name) not in lock.images:
        raise ImageNotFoundError(f"image {name.familiar} is not in the lock file", hint=_AGAIN)
    return name, lock.images[str(name)]
