"""Pulling: an image's manifest, config and layers from its registry into the store, then its name."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress

from mydocker.errors import ImageError, ImageNotFoundError, RegistryError, StoreError, UsageError
from mydocker.image.layer import blob, download
from mydocker.image.layer.blob import Source
from mydocker.image.model import ImageConfig, StoredImage
from mydocker.image.model.config import check_platform, parse_config, runs_on
from mydocker.image.model.digest import digest_of
from mydocker.image.model.limits import Limits
from mydocker.image.model.manifest import ArtifactError, Descriptor, Index, Manifest, choices, parse_manifest
from mydocker.image.model.progress import FINISHED, NOTE, STARTED, WARNING, Step, silence
from mydocker.image.open_source import named_errors, open_source
from mydocker.image.store import Ref, Store, flock, read, read_ref, staging
from mydocker.record import Record
from mydocker.reference import Digest, Platform, Reference

ONE_OWNER = "all files will belong to root: see ids in 'mydocker doctor'"

_CHOICES = 10  # entries of an index that are read in search of an image


class _Found(Record):
    """What a registry has under a name: the manifest for the platform, and the digests that mean it."""

    raw: bytes
    manifest: Manifest
    digest: Digest
    digests: tuple[Digest, ...]


def pull(
    reference: Reference,
    *,
    platform: Platform,
    store: Store,
    environ: Mapping[str, str],
    progress: Callable[[Step], None] = silence,
    source: Source | None = None,
) -> StoredImage:
    """Ask SOURCE, by default the one that REFERENCE names, what that is, and fetch what the store lacks. Contract and
    errors as for `resolve`. A SOURCE that was given stays open.

    The name is written last: until then nobody can see the image, and whatever fails leaves only whole layers.
    """
    try:
        store.prepare()
        staging.sweep(store)
        opened = nullcontext(source) if source else open_source(reference, environ=environ, warn=_warner(progress))
        with flock.shared(store.layers), opened as origin:
            name = reference.familiar
            progress(Step(kind=STARTED, text=f"{'loading' if source else 'pulling'} {name}", image=name))
            if store.ids and store.ids.is_single:
                progress(Step(kind=NOTE, text=ONE_OWNER))
            raw, content_type = _top(origin, reference)
            image = _present(store, reference, digest_of(raw), platform)
            if image is None:
                found = _manifest(origin, raw, content_type, reference, platform)
                image = _complete(found, origin, reference, platform, store, Limits.of(environ), progress)
            progress(Step(kind=FINISHED, text=f"{name}: {image.manifest}", image=name, blob=image.manifest))
            return image
    except RegistryError as error:  # which names its registry alone: of a short name, that is not what was typed
        if reference.location:
            raise
        raise type(error)(f"image {reference.familiar}: {error.message}", hint=error.hint) from error
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise StoreError(
            f"cannot write to the store {store.root}: {error.strerror}{where}",
            hint="MYDOCKER_ROOT names a directory to use instead",
        ) from error


def _warner(progress: Callable[[Step], None]) -> Callable[[str], None]:
    return lambda words: progress(Step(kind=WARNING, text=f"warning: {words}"))


def _fetch(
    wanted: Mapping[Digest, Descriptor],
    source: Source,
    store: Store,
    limits: Limits,
    progress: Callable[[Step], None],
) -> None:
    """Put the layers WANTED into STORE; once more if what an earlier pull had begun turns out to be wrong."""
    resumed = staging.has_parts(store)
    try:
        download.fetch(wanted, source=source, store=store, limits=limits, progress=progress)
    except (RegistryError, StoreError):
        raise
    except ImageError:
        if not resumed:
            raise
        download.fetch(wanted, source=source, store=store, limits=limits, progress=progress)


def _present(store: Store, reference: Reference, digest: Digest, platform: Platform) -> StoredImage | None:
    """The image, under REFERENCE from now on, if all that the manifest or index with DIGEST means is here."""
    by_digest = reference.replace(location=None, tag=None, digest=digest)
    image = store.find(by_digest, platform)
    try:
        ref = read_ref(store.ref_path(by_digest, platform))
        if image is None or digest_of(read(store.blob_path(ref.manifest))) != ref.manifest:
            return None
    except (FileNotFoundError, UsageError, ValueError):  # damage, or a concurrent `rmi`
        return None
    for name in _names(reference, ()):
        try:
            store.record_ref(name, platform, manifest=ref.manifest, config=ref.config, origin=reference)
        except OSError as error:
            if error.errno != errno.EROFS or not _means(store, name, platform, ref):
                raise
    return image.replace(reference=reference)


def _means(store: Store, name: Reference, platform: Platform, ref: Ref) -> bool:
    """Whether NAME means what REF says already: a store that is read-only may have been filled for all."""
    try:
        found = read_ref(store.ref_path(name, platform))
    except (FileNotFoundError, ValueError):
        return False
    return (found.manifest, found.config) == (ref.manifest, ref.config)


def _complete(
    found: _Found,
    origin: Source,
    reference: Reference,
    platform: Platform,
    store: Store,
    limits: Limits,
    progress: Callable[[Step], None],
) -> StoredImage:
    """Fetch what the store lacks of what was FOUND, and name it."""
    raw_config = blob.whole(origin, found.manifest.config, "config")
    with named_errors(reference):
        config, diff_ids = _checked(raw_config, found.manifest, reference, platform)
    wanted = dict(zip(diff_ids, found.manifest.layers, strict=True))
    _fetch(wanted, origin, store, limits, progress)
    store.put_blob(found.manifest.config.digest, raw_config)
    store.put_blob(found.digest, found.raw)
    for name in _names(reference, found.digests):
        config_digest = found.manifest.config.digest
        store.record_ref(name, platform, manifest=found.digest, config=config_digest, origin=reference)
    return store.image(reference, found.digest, config, diff_ids)


def _top(source: Source, reference: Reference) -> tuple[bytes, str | None]:
    """The manifest or index that REFERENCE means, and its media type if the source says one."""
    raw, content_type = source.manifest(str(reference.digest or reference.tag))
    if reference.digest and digest_of(raw) != reference.digest:
        raise ImageError(f"image {reference.familiar}: the registry returned another manifest, {digest_of(raw)}")
    return raw, content_type


def _manifest(source: Source, raw: bytes, content_type: str | None, reference: Reference, platform: Platform) -> _Found:
    with named_errors(reference):
        parsed = parse_manifest(raw, content_type=content_type)
        digest = digest_of(raw)
        if isinstance(parsed, Manifest):
            return _Found(raw=raw, manifest=parsed, digest=digest, digests=(digest,))
        *others, last = _choices(parsed, platform, reference)
        for chosen in others:
            with suppress(ArtifactError):
                found = _inner(source, digest, chosen, reference)
                if _is_for(platform, found.manifest, source):
                    return found
        return _inner(source, digest, last, reference)


def _is_for(platform: Platform, manifest: Manifest, source: Source) -> bool:
    """Whether the config of MANIFEST, of which its index says no platform, says this one."""
    has = parse_config(blob.whole(source, manifest.config, "config"))[0].platform
    return runs_on(has, platform)


def _inner(source: Source, index: Digest, chosen: Descriptor, reference: Reference) -> _Found:
    """The image that the INDEX has CHOSEN. ArtifactError if it is none."""
    raw, content_type = blob.manifest(source, chosen)
    inner = parse_manifest(raw, content_type=content_type)
    if not isinstance(inner, Manifest):
        raise ImageError(f"image {reference.familiar}: an index within an index")
    return _Found(raw=raw, manifest=inner, digest=chosen.digest, digests=(index, chosen.digest))


def _choices(index: Index, platform: Platform, reference: Reference) -> list[Descriptor]:
    try:
        return choices(index, platform)[:_CHOICES]
    except ImageNotFoundError as error:
        raise ImageNotFoundError(f"image {reference.familiar}: {error.message}", hint=error.hint) from None


def _checked(
    raw: bytes, manifest: Manifest, reference: Reference, platform: Platform
) -> tuple[ImageConfig, tuple[Digest, ...]]:
    config, diff_ids = parse_config(raw)
    if len(diff_ids) != len(manifest.layers):
        raise ImageError(
            f"image {reference.familiar}: its config has {len(diff_ids)} diff IDs for {len(manifest.layers)} layers"
        )
    check_platform(config, reference, platform)
    return config, diff_ids


def _names(requested: Reference, digests: tuple[Digest, ...]) -> list[Reference]:
    """The names under which the image can be found from now on, the requested one last; a tag next to a digest
    was never queried."""
    reference = requested.replace(location=None)
    by_digest = [reference.replace(tag=None, digest=digest) for digest in reversed(digests)]
    return by_digest if reference.digest else [*by_digest, reference]
