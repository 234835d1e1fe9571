"""Images in files, read through the same interface as a registry: containers-transports(5).

    oci:DIR, oci-archive:FILE    OCI image-spec "image-layout.md"
    docker-archive:FILE          what `docker save` writes: manifest.json names a config and layers
    dir:DIR                      what `skopeo copy … dir:` writes: manifest.json, and a file for each blob

What is in them is as untrusted as a registry's answers, and checked by the same readers.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Self

from mydocker.errors import ImageError, ImageNotFoundError, UsageError
from mydocker.image.files.blobs import Blob, Files
from mydocker.image.layer.blob import whole
from mydocker.image.model import json_input
from mydocker.image.model.config import parse_config
from mydocker.image.model.digest import digest_of
from mydocker.image.model.manifest import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    ArtifactError,
    Descriptor,
    Index,
    Manifest,
    compression,
    descriptor,
    may_be_image,
    parse_manifest,
)
from mydocker.image.tar.header import BLOCK
from mydocker.image.tar.inflate import known
from mydocker.reference import Digest, Reference, is_tag, looks_like_id

REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"
_DOCKER = "application/vnd.docker"
_PIECE = 1 << 20
_SUFFIXES = {"gzip": ".gzip", "zstd": ".zstd"}  # of a layer's media type; what has none is known by its first bytes

Item = dict[str, Any]  # an entry of an index.json or of a manifest.json


class Layout:
    """The common part. `selector` chooses among several images: a name, a tag, or `@N` for number N, counted from 0;
    empty if there is but one."""

    def __init__(self, files: Files, *, where: str, selector: str = "") -> None:
        self._files, self._where, self._selector = files, where, selector

    def manifest(self, identifier: str) -> tuple[bytes, str | None]:
        """The bytes and the type of the manifest with that digest; with a tag, of the one that is selected."""
        if not identifier.startswith("sha256:"):
            return self._chosen()
        raw = self._read(self._manifest_name(identifier), f"manifest {identifier}")
        if str(digest_of(raw)) != identifier:
            raise ImageError(f"{self._where}: manifest {identifier}: has another digest")
        return raw, None

    def open_blob(self, descriptor: Descriptor, *, offset: int = 0) -> Blob:
        name = self._blob_name(str(descriptor.digest))
        try:
            blob = self._files.open(name, offset=offset)
        except FileNotFoundError:
            raise ImageError(f"{self._where}: blob {descriptor.digest}: is missing") from None
        if blob.size != descriptor.size:
            blob.close()
            raise ImageError(f"{self._where}: blob {descriptor.digest}: {blob.size} bytes instead of {descriptor.size}")
        return blob

    def names(self) -> list[str]:
        """What can select an image here, each of which is one: `@N` if it has no name that a command takes."""
        raise NotImplementedError

    def select(self, name: str) -> Self:
        """From now on the image NAME, one of `names`, is meant."""
        self._selector = name
        return self

    def close(self) -> None:
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _chosen(self) -> tuple[bytes, str | None]:
        raise NotImplementedError

    def _blob_name(self, digest: str) -> str:
        raise NotImplementedError

    def _manifest_name(self, digest: str) -> str:
        return self._blob_name(digest)

    def _read(self, name: str, what: str) -> bytes:
        try:
            with self._files.open(name) as blob:
                return blob.read_all(json_input.LIMIT, f"{self._where}: {what}")
        except FileNotFoundError:
            raise ImageError(f"{self._where}: {what}: {name} is missing") from None

    def _meant(self, items: list[Item]) -> list[Item]:
        """Those of ITEMS, which are images, that the selector means. ImageNotFoundError if there is none."""
        found = [item for item in items if self._is_meant(self._names_of(item))]
        if not found:
            raise self._unknown("no images" if not items else f"no image {self._selector!r}")
        return found

    def _numbered(self, items: Sequence[Item]) -> Item | None:
        """The one of ITEMS that a selector `@N` means. ImageNotFoundError if there are not so many."""
        if not self._selector.startswith("@"):
            return None
        found = [item for number, item in enumerate(items) if self._selector == f"@{number}"]
        if not found:
            raise self._unknown(f"no image {self._selector!r}")
        return found[0]

    def _names_of(self, item: Item) -> list[str]:
        raise NotImplementedError

    def _is_meant(self, names: list[str]) -> bool:
        """Whether the selector means an image with these NAMES: it may be shorter than they are, as everywhere."""
        if not self._selector or self._selector in names:
            return True
        wanted = reference_of(self._selector)
        return wanted is not None and any(reference_of(name) == wanted for name in names)

    def _hint(self) -> str:
        known = ", ".join(dict.fromkeys(self.names())) or "none"
        return f"it has {ascii(known)[1:-1]}"

    def _several(self) -> ImageNotFoundError:
        what = "several images" + (f" {self._selector!r}" if self._selector else "")
        return self._unknown(what, hint=f"{self._hint()}; @0 is the first, @1 the second, and so on")

    def _unknown(self, what: str, *, hint: str = "") -> ImageNotFoundError:
        return ImageNotFoundError(f"{self._where}: {what}", hint=hint or self._hint())


def reference_of(name: str) -> Reference | None:
    """What NAME means to a registry; None for a mere tag."""
    if "/" not in name and ":" not in name:
        return None
    try:
        return Reference.parse(f"docker://{name}")
    except UsageError:
        return None


def _can_be_said(name: str, digest: str) -> bool:
    """Whether a command takes NAME, a name or a mere tag, for the image with DIGEST: layouts may have any text."""
    if "/" not in name and ":" not in name:
        return is_tag(name)
    found = reference_of(name)
    if found is None or looks_like_id(found):
        return False
    return found.digest is None or str(found.digest) == digest


class OciLayout(Layout):
    """Its index.json may list what is no image, and then tells only by number that it is there."""

    def names(self) -> list[str]:
        images = {id(entry) for entry in self.images}
        return [self._name(number, entry) for number, entry in enumerate(self._entries) if id(entry) in images]

    @functools.cached_property
    def _entries(self) -> list[Item]:
        what = f"{self._where}: index.json"
        index = json_input.mapping(json_input.loads(self._read("index.json", "index.json"), what), what)
        entries = json_input.array(index.get("manifests"), what)
        return [json_input.mapping(entry, what) for entry in entries]

    @functools.cached_property
    def images(self) -> list[Item]:
        """The entries of index.json that are images; all of them if none is, so that somebody says what they are."""
        found = [entry for entry in self._entries if self._is_image(entry)]
        return found or self._entries

    def _is_image(self, entry: Item) -> bool:
        what = f"{self._where}: index.json"
        try:
            return may_be_image(entry, what) and self._has_image(descriptor(entry, what))
        except ImageError:  # whoever selects this one gets the error
            return True

    def _has_image(self, meant: Descriptor, *, depth: int = 0) -> bool:
        """Whether MEANT is an image, or an index that lists one. What is damaged or missing may be one."""
        try:
            parsed = parse_manifest(self.manifest(str(meant.digest))[0], content_type=meant.media_type)
        except ArtifactError:
            return False
        except ImageError:
            return True
        if not isinstance(parsed, Index) or depth:
            return True
        return bool(parsed.refused) or any(self._has_image(inner, depth=1) for inner, _ in parsed.manifests)

    def configs(self) -> set[Digest]:
        """Of the images that are here whole, the digests of their configs. ImageError if one is damaged."""
        found: set[Digest] = set()
        for entry in self.images:
            meant = descriptor(entry, f"{self._where}: index.json")
            parsed = parse_manifest(self.manifest(str(meant.digest))[0], content_type=meant.media_type)
            inner = [parsed] if isinstance(parsed, Manifest) else self._present(parsed)
            found.update(manifest.config.digest for manifest in inner if self._is_whole(manifest))
        return found

    def _present(self, index: Index) -> list[Manifest]:
        """The manifests of INDEX that are here: those of other platforms often are not."""
        found = []
        for meant, _ in index.manifests:
            with suppress(ImageError):
                found.append(parse_manifest(self.manifest(str(meant.digest))[0], content_type=meant.media_type))
        return [parsed for parsed in found if isinstance(parsed, Manifest)]

    def _is_whole(self, manifest: Manifest) -> bool:
        """Whether MANIFEST has all layers of its config, and those that are not compressed in the same order."""
        _, diff_ids = parse_config(whole(self, manifest.config, "config"))
        layers = manifest.layers
        plain = [pair for pair in zip(layers, diff_ids, strict=False) if compression(pair[0]) == "none"]
        return len(layers) == len(diff_ids) and all(layer.digest == diff_id for layer, diff_id in plain)

    def _name(self, number: int, entry: Item) -> str:
        digest = json_input.string(entry.get("digest"), "index.json: digest")
        return next((name for name in self._names_of(entry) if _can_be_said(name, digest)), f"@{number}")

    def _names_of(self, item: Item) -> list[str]:
        """The names in the annotations of an entry, the fullest first."""
        annotations = json_input.mapping(item.get("annotations"), "index.json: annotations")
        found = [json_input.string(annotations.get(key), "index.json: annotation") for key in (FULL_NAME, REF_NAME)]
        return [name for name in found if name]

    def _chosen(self) -> tuple[bytes, str | None]:
        numbered = self._numbered(self._entries)
        found = self._meant(self.images) if numbered is None else [numbered]
        what = f"{self._where}: index.json"
        meant: dict[Digest, Item] = {}
        for entry in found:
            meant.setdefault(descriptor(entry, what).digest, entry)
        if len(meant) > 1:
            return self._joined(list(meant.values()))
        [only] = (descriptor(entry, what) for entry in meant.values())
        raw, _ = self.manifest(str(only.digest))
        if len(raw) != only.size:
            raise ImageError(f"{self._where}: manifest {only.digest}: {len(raw)} bytes instead of {only.size}")
        return raw, only.media_type

    def _joined(self, entries: list[Item]) -> tuple[bytes, str]:
        """An index of ENTRIES, which are one image for several platforms if one name stands at all of them, each with a
        platform. ImageNotFoundError if they are several images."""
        platforms = {json.dumps(entry.get("platform"), sort_keys=True) for entry in entries if entry.get("platform")}
        names = {tuple(self._names_of(entry)) for entry in entries}
        if len(platforms) < len(entries) or len(names) > 1 or names == {()}:
            raise self._several()
        document = {"schemaVersion": 2, "mediaType": INDEX_TYPES[0], "manifests": entries}
        return json.dumps(document).encode(), INDEX_TYPES[0]

    def _hint(self) -> str:
        with suppress(FileNotFoundError, ImageError):
            self._files.open("manifest.json").close()
            return f"{super()._hint()}; docker-archive: reads its manifest.json instead"
        return super()._hint()

    def _blob_name(self, digest: str) -> str:
        return f"blobs/sha256/{digest.removeprefix('sha256:')}"


class DirectoryLayout(Layout):
    def names(self) -> list[str]:
        return ["@0"]

    def manifest(self, identifier: str) -> tuple[bytes, str | None]:
        """The one that is here, also by its digest."""
        chosen = self._chosen()
        return chosen if str(digest_of(chosen[0])) == identifier else super().manifest(identifier)

    def _chosen(self) -> tuple[bytes, str | None]:
        return self._read("manifest.json", "manifest"), None

    def _blob_name(self, digest: str) -> str:
        return digest.removeprefix("sha256:")

    def _manifest_name(self, digest: str) -> str:
        """Those of an index's images are next to it."""
        return f"{self._blob_name(digest)}.manifest.json"


class DockerArchive(Layout):
    """Has no manifest of the kind that registries have: one is made up, of the digests that the files really have."""

    def __init__(self, files: Files, *, where: str, selector: str = "") -> None:
        super().__init__(files, where=where, selector=selector)
        self._places: dict[str, str] = {}

    def names(self) -> list[str]:
        items = enumerate(self.items)
        return [name for number, item in items for name in (self._said(item) or [f"@{number}"])]

    def _said(self, item: Item) -> list[str]:
        return [name for name in self._names_of(item) if _can_be_said(name, "")]

    def manifest(self, identifier: str) -> tuple[bytes, str | None]:
        """The one that is made up for the image that is selected; with a digest that must be its own, too."""
        return self._chosen()

    @functools.cached_property
    def items(self) -> list[Item]:
        """The entries of manifest.json."""
        what = f"{self._where}: manifest.json"
        return [
            json_input.mapping(item, what)
            for item in json_input.array(json_input.loads(self._read("manifest.json", "manifest.json"), what), what)
        ]

    def config(self, item: Item) -> bytes:
        """The config of ITEM, one of `items`."""
        return self._read(json_input.string(item.get("Config"), f"{self._where}: manifest.json"), "config")

    def _names_of(self, item: Item) -> list[str]:
        what = "manifest.json: RepoTags"
        return [json_input.string(name, what) for name in json_input.array(item.get("RepoTags"), what)]

    def _chosen(self) -> tuple[bytes, str | None]:
        item = self._numbered(self.items)
        if item is None:
            item, *others = self._meant(self.items)
            if any(
                (other.get("Config"), other.get("Layers")) != (item.get("Config"), item.get("Layers"))
                for other in others
            ):
                raise self._several()
        return self._made_up(item)

    def _made_up(self, item: Item) -> tuple[bytes, str]:
        what = f"{self._where}: manifest.json"
        place = json_input.string(item.get("Config"), what)
        config = self.config(item)
        _, diff_ids = parse_config(config)
        layers = [json_input.string(name, what) for name in json_input.array(item.get("Layers"), what)]
        if len(layers) != len(diff_ids):
            raise ImageError(f"{what}: {len(layers)} layers for {len(diff_ids)} diff IDs")
        digest = str(digest_of(config))
        self._places[digest] = place
        made = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPES[1],
            "config": {
                "mediaType": f"{_DOCKER}.container.image.v1+json",
                "digest": digest,
                "size": len(config),
            },
            "layers": [self._layer(name, str(known)) for name, known in zip(layers, diff_ids, strict=True)],
        }
        return json.dumps(made).encode(), MANIFEST_TYPES[1]

    def _layer(self, name: str, diff_id: str) -> dict[str, Any]:
        """The descriptor of the layer in file NAME, which is a plain tar as a rule: its digest is the diff ID then."""
        try:
            with self._files.open(name) as blob:
                packed = known(blob.read(BLOCK)) or "none"
                size = blob.size
            digest = diff_id if packed == "none" else self._digest(name)
        except FileNotFoundError:
            raise ImageError(f"{self._where}: layer {ascii(name)} is missing") from None
        self._places[digest] = name
        media_type = f"{_DOCKER}.image.rootfs.diff.tar" + _SUFFIXES.get(packed, "")
        return {"mediaType": media_type, "digest": digest, "size": size}

    def _digest(self, name: str) -> str:
        found = hashlib.sha256()
        with self._files.open(name) as blob:
            for piece in _pieces(blob):
                found.update(piece)
        return f"sha256:{found.hexdigest()}"

    def _blob_name(self, digest: str) -> str:
        return self._places.get(digest, "absent")


def _pieces(blob: Blob) -> Iterator[bytes]:
    return iter(lambda: blob.read(_PIECE), b"")
