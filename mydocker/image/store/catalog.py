"""What the store holds, by name: the images that `images`, `inspect`, `tag` and `rmi` are about.

An image that cannot be read is not listed; `fsck` says why. Nothing here asks a registry.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping

from mydocker.errors import ImageError, ImageNotFoundError, StoreError, UsageError
from mydocker.image.model import StoredImage
from mydocker.image.model.config import parse_config
from mydocker.image.model.manifest import Manifest, parse_manifest
from mydocker.image.store import Ref, Store, flock, read, read_ref, remove_tree, sync_directory
from mydocker.record import Record
from mydocker.reference import DEFAULT_TAG, DOCKER_HUB, Digest, Platform, Reference

_ID_LENGTH = 3  # the fewest digits of an image's ID that mean one; Docker shows twelve


class ImageName(Record):
    """One ref: the name, with a tag or with a digest, and what it means on one platform."""

    path: str
    reference: Reference
    platform: Platform
    ref: Ref


class NamedImage(Record):
    """One manifest of one platform, and all `names` for it. Its ID is the digest of its config, as in Docker."""

    entries: tuple[ImageName, ...]

    @property
    def ref(self) -> Ref:
        return self.entries[0].ref

    @property
    def platform(self) -> Platform:
        return self.entries[0].platform

    @property
    def tags(self) -> tuple[Reference, ...]:
        return tuple(entry.reference for entry in self.entries if entry.reference.tag)

    @property
    def digests(self) -> tuple[Reference, ...]:
        """As `repository@digest`, the manifest's own and those of indexes that list it."""
        return tuple(entry.reference for entry in self.entries if not entry.reference.tag)


def images(store: Store) -> list[NamedImage]:
    """All images, sorted by their names. StoreError if the store cannot be read."""
    found: dict[tuple[Digest, Platform], list[ImageName]] = {}
    for entry in entries(store):
        found.setdefault((entry.ref.manifest, entry.platform), []).append(entry)
    made = [NamedImage(entries=tuple(sorted(group, key=_rank))) for group in found.values()]
    return sorted(made, key=lambda image: (str(image.entries[0].reference), str(image.platform)))


class Known:
    """All images, read once, for those who look for several of them."""

    def __init__(self, store: Store) -> None:
        self.images = images(store)
        self.by_name: dict[Reference | Digest | None, dict[int, NamedImage]] = {}
        for number, image in enumerate(self.images):
            for entry in image.entries:
                self.by_name.setdefault(_meaning(entry.reference), {})[number] = image

    def named(self, name: Reference | None) -> list[NamedImage]:
        return [*self.by_name.get(_meaning(name), {}).values()]


def find(
    store: Store,
    text: str,
    *,
    environ: Mapping[str, str],
    platform: Platform | None = None,
    known: Known | None = None,
) -> list[NamedImage]:
    """The images that TEXT, a name or the beginning of an ID, means: for PLATFORM, else for this machine's if there
    is one, else for any. ImageNotFoundError if there is none; UsageError if TEXT is neither, or means several."""
    found = of_platforms(store, text, platform, environ=environ, known=known)
    return [image for image in found if image.platform == Platform.host()] or found


def of_platforms(
    store: Store,
    text: str,
    platform: Platform | None,
    *,
    environ: Mapping[str, str],
    known: Known | None = None,
) -> list[NamedImage]:
    """Those that TEXT means on PLATFORM, or on all. ImageNotFoundError if there is none; UsageError as for `find`."""
    name, known = _name(text), known or Known(store)
    meant = known.named(name) or _by_id(known.images, text)
    found = _on(platform, meant) or _on(platform, known.named(_alias(name, environ)))
    if not found:
        where = f" for {platform}" if platform else ""
        raise ImageNotFoundError(f"image {text} is not in the store{where}", hint="'mydocker images' lists what is")
    return found


def _on(platform: Platform | None, images: list[NamedImage]) -> list[NamedImage]:
    return [image for image in images if platform in (None, image.platform)]


def entries_of(image: NamedImage, text: str, *, environ: Mapping[str, str]) -> list[ImageName]:
    """Of the entries of IMAGE, which TEXT means, that of the name; all if TEXT is an ID."""
    return named(image, text, environ=environ) or list(image.entries)


def named(image: NamedImage, text: str, *, environ: Mapping[str, str]) -> list[ImageName]:
    """The entries of IMAGE, which TEXT means, that have the name TEXT or its alias: none if it is an ID."""
    name = _name(text)
    return _named(image, name) or ([] if _by_id([image], text) else _named(image, _alias(name, environ)))


def _named(image: NamedImage, name: Reference | None) -> list[ImageName]:
    return [entry for entry in image.entries if _meaning(entry.reference) == _meaning(name)]


def _meaning(name: Reference | None) -> Reference | Digest | None:
    """What NAME says of an image: one with a digest says that alone, as in `run`, whichever repository had it."""
    return name.digest if name and name.digest else name


def _alias(name: Reference | None, environ: Mapping[str, str]) -> Reference | None:
    if name is None or not name.short_name:
        return None
    from mydocker.image.registry.short_names import resolved

    return resolved(name, environ=environ)


def _name(text: str) -> Reference | None:
    """What TEXT is as a name in the store, None if it can only be an ID."""
    if text.startswith("sha256:") and _hex(text):
        return None
    return in_store(Reference.parse(text), text)


def in_store(name: Reference, text: str) -> Reference:
    """NAME, given as TEXT. UsageError if it says that the image is in files: the store has it under another one."""
    if name.location:
        hint = f"'mydocker pull' brings it there, as {name.replace(location=None).familiar}"
        if name.location.is_file_system:
            hint = "'mydocker inspect' shows what is in it"
        raise UsageError(f"{text}: the image is in files, and this is about the store", hint=hint)
    return name


def of_id(store: Store, name: Reference) -> StoredImage | None:
    """The image whose ID, or its beginning, looks like NAME: `run 0123abcd` and `run sha256:0123abcd` parse as names.
    UsageError if several do."""
    repository = name.repository.removeprefix("library/")
    text = f"sha256:{name.tag}" if repository == "sha256" else repository
    if name.registry != DOCKER_HUB or name.digest or (name.tag != DEFAULT_TAG and text == repository):
        return None
    found = _by_id(images(store), text) if _hex(text) else []
    return next((store.find(each.entries[0].reference, each.platform) for each in found), None)


def is_for_other_ids(store: Store, reference: Reference, platform: Platform) -> bool:
    """Whether all layers of the image that REFERENCE means are here, and some only with owners of other ids than the
    caller's (IdMap.key)."""
    try:
        ref = read_ref(store.ref_path(reference, platform))
        _, diff_ids = parse_config(read(store.blob_path(ref.config)))
        names = {name.rpartition("-")[0] if name.count("-") > 1 else name for name in os.listdir(store.layers)}
        lacks = any(not os.path.isdir(store.layer_path(each)) for each in diff_ids)
    except (OSError, ValueError, ImageError, UsageError):
        return False
    return lacks and all(f"sha256-{each.hex}" in names for each in diff_ids)


def of_manifest(store: Store, name: Reference, manifest: Digest) -> StoredImage | None:
    """The image with MANIFEST, whether it has a name or not, called NAME; None unless all of it is here."""
    try:
        parsed = parse_manifest(read(store.blob_path(manifest)))
        if not isinstance(parsed, Manifest):
            return None
        config, diff_ids = parse_config(read(store.blob_path(parsed.config.digest)))
        return store.image(name, manifest, config, diff_ids)
    except (OSError, ValueError, ImageError):
        return None


def _by_id(known: list[NamedImage], text: str) -> list[NamedImage]:
    digits = _hex(text)
    found = [image for image in known if digits and image.ref.config.hex.startswith(digits)]
    if len({image.ref.config for image in found}) > 1:
        raise UsageError(f"several images have an ID that begins with {text}")
    return found


def _hex(text: str) -> str:
    digits = text.removeprefix("sha256:")
    return digits if _ID_LENGTH <= len(digits) <= 64 and not digits.strip("0123456789abcdef") else ""


def entries(store: Store, *, broken: Callable[[str, Exception], None] | None = None) -> Iterator[ImageName]:
    """Every ref that can be read and whose config is here; BROKEN is called with the path of any other, and why."""
    for path in ref_paths(store):
        try:
            ref = read_ref(path)
            if not ref.is_whole(read(store.blob_path(ref.config))):
                raise ValueError("its sum is wrong")
            reference, platform = name_at(store, path, ref)
            yield ImageName(path=path, reference=reference, platform=platform, ref=ref)
        except (FileNotFoundError, ValueError, UsageError) as error:
            if broken:
                broken(path, error)


def ref_paths(store: Store) -> list[str]:
    """What lies below refs/ where a ref does, and any other file. StoreError if that cannot be listed."""
    problems: list[OSError] = []
    found = []
    for directory, below, names in os.walk(store.refs, onerror=problems.append):
        if _is_name(store, directory):  # what is a directory here has taken the place of a ref
            names += below
            below.clear()
        found += [f"{directory}/{name}" for name in names]
    for problem in problems:
        if not isinstance(problem, FileNotFoundError):
            raise StoreError(f"cannot read the store {store.root}: {problem.strerror}: {problem.filename}")
    return sorted(found)


def _is_name(store: Store, directory: str) -> bool:
    """Whether DIRECTORY has a ref for each platform."""
    parent, name = os.path.split(directory)
    return name.startswith(":") or parent == f"{store.refs}/@sha256"


def name_at(store: Store, path: str, ref: Ref) -> tuple[Reference, Platform]:
    """Which name, on which platform, the ref at PATH is. ValueError, UsageError if no name belongs there."""
    return _reference(store, path, ref), _platform(path)


def _reference(store: Store, path: str, ref: Ref) -> Reference:
    parts = os.path.dirname(os.path.relpath(path, store.refs)).split("/")
    if parts[0] == "@sha256":
        return Reference.parse(ref.origin).replace(tag=None, digest=Digest(hex=parts[1]))
    if len(parts) < 3 or not parts[-1].startswith(":"):
        raise ValueError("not where a name belongs")
    return Reference(registry=parts[0], repository="/".join(parts[1:-1]), tag=parts[-1][1:])


def _platform(path: str) -> Platform:
    return Platform.parse(os.path.basename(path).replace("-", "/"))


def _rank(entry: ImageName) -> tuple[bool, str]:
    return not entry.reference.tag, str(entry.reference)


class Documents(Record):
    """An image's `manifest`, its `config` as it is, and of each layer the diff ID and the bytes that its files have."""

    manifest: Manifest
    config: bytes
    diff_ids: tuple[Digest, ...]
    sizes: tuple[int, ...]


def documents(store: Store, image: NamedImage) -> Documents:
    """What IMAGE is made of. StoreError if that is damaged or gone."""
    try:
        manifest = parse_manifest(read(store.blob_path(image.ref.manifest)))
        config = read(store.blob_path(image.ref.config))
        _, diff_ids = parse_config(config)
    except (OSError, ValueError, ImageError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise StoreError(f"image {image.ref.config}: damaged: {said}", hint="see 'mydocker fsck'") from None
    if not isinstance(manifest, Manifest) or len(manifest.layers) != len(diff_ids):
        raise StoreError(f"image {image.ref.config}: its manifest is of another image", hint="see 'mydocker fsck'")
    from mydocker.image.tar import tarsplit  # sizes are asked for by a few only

    sizes = tuple(tarsplit.unpacked_size(store.skeleton_path(diff_id)) for diff_id in diff_ids)
    return Documents(manifest=manifest, config=config, diff_ids=diff_ids, sizes=sizes)


def tag(store: Store, image: NamedImage, name: Reference) -> None:
    """Let NAME, which has a tag, mean IMAGE as well, in place of what it meant."""
    with flock.shared(store.layers):
        documents(store, image)  # it may have been removed meanwhile
        store.record_ref(name, image.platform, manifest=image.ref.manifest, config=image.ref.config, origin=name)


def untag(store: Store, gone: list[ImageName]) -> list[ImageName]:
    """Remove the refs GONE, and with the last name of an image the digests by which it was known. What was removed."""
    paths, known = {entry.path for entry in gone}, list(entries(store))
    named = {entry.ref.manifest for entry in known if entry.reference.tag and entry.path not in paths}
    orphans = {entry.ref.manifest for entry in gone} - named
    digests = [entry for entry in known if not entry.reference.tag and entry.ref.manifest in orphans]
    removed = [*gone, *(entry for entry in digests if entry.path not in paths)]
    for entry in removed:
        unlink(store, entry.path)
    return removed


def unlink(store: Store, path: str) -> None:
    """Remove the ref PATH, and the directories above it that are empty then."""
    if not os.path.lexists(path):
        return
    remove_tree.remove(path)
    directory = os.path.dirname(path)
    sync_directory(directory)
    while directory != store.refs:
        try:
            os.rmdir(directory)
        except OSError:  # another name is there
            return
        directory = os.path.dirname(directory)
