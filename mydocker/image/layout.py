"""Images that lie in files, asked in the same way as a registry: containers-transports(5).

    oci:DIR, oci-archive:FILE    OCI image-spec "image-layout.md"
    docker-archive:FILE          what `docker save` writes: manifest.json names a config and layers
    dir:DIR                      what `skopeo copy … dir:` writes: manifest.json, and a file for each blob

What is in them is as untrusted as a registry's answers, and checked by the same readers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any, Self

from mydocker.errors import ImageError, ImageNotFoundError, UsageError
from mydocker.image import jsontext
from mydocker.image.config import parse_config
from mydocker.image.files import Blob, Files
from mydocker.image.manifest import MANIFEST_TYPES, Descriptor, descriptor
from mydocker.image.verified import digest_of
from mydocker.reference import Reference

REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"
_DOCKER = "application/vnd.docker"
_PIECE = 1 << 20


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
        """What can select an image here, each of which is one: `@N` if it has no name."""
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
                return blob.read_all(jsontext.LIMIT, f"{self._where}: {what}")
        except FileNotFoundError:
            raise ImageError(f"{self._where}: {what}: {name} is missing") from None

    def _meant(self, items: list[dict[str, Any]], names: Callable[[dict[str, Any]], list[str]]) -> dict[str, Any]:
        """The one of ITEMS, which have NAMES, that the selector means. ImageNotFoundError unless it is one."""
        if self._selector.startswith("@"):
            found = [item for number, item in enumerate(items) if self._selector == f"@{number}"]
        else:
            found = [item for item in items if self._is_meant(names(item))]
        if len(found) != 1:
            raise self._unknown()
        return found[0]

    def _is_meant(self, names: list[str]) -> bool:
        """Whether the selector means an image with these NAMES: it may be shorter than they are, as everywhere."""
        if not self._selector or self._selector in names:
            return True
        wanted = _reference(self._selector)
        return wanted is not None and any(_reference(name) == wanted for name in names)

    def _unknown(self) -> ImageNotFoundError:
        known = ", ".join(self.names()) or "none"
        wanted = f"no image {self._selector!r}" if self._selector else "several images"
        return ImageNotFoundError(f"{self._where}: {wanted}", hint=f"it has {ascii(known)[1:-1]}")


def _reference(name: str) -> Reference | None:
    """What NAME means to a registry; None for a mere tag."""
    if "/" not in name and ":" not in name:
        return None
    try:
        return Reference.parse(f"docker://{name}")
    except UsageError:
        return None


class OciLayout(Layout):
    def names(self) -> list[str]:
        return [next(iter(_entry_names(entry)), f"@{number}") for number, entry in enumerate(self._entries())]

    def _entries(self) -> list[dict[str, Any]]:
        what = f"{self._where}: index.json"
        index = jsontext.mapping(jsontext.loads(self._read("index.json", "index.json"), what), what)
        entries = jsontext.array(index.get("manifests"), what)
        return [jsontext.mapping(entry, what) for entry in entries]

    def _chosen(self) -> tuple[bytes, str | None]:
        entry = self._meant(self._entries(), _entry_names)
        meant = descriptor(entry, f"{self._where}: index.json")
        raw, _ = self.manifest(str(meant.digest))
        if len(raw) != meant.size:
            raise ImageError(f"{self._where}: manifest {meant.digest}: {len(raw)} bytes instead of {meant.size}")
        return raw, meant.media_type

    def _blob_name(self, digest: str) -> str:
        return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _entry_names(entry: dict[str, Any]) -> list[str]:
    """The names in the annotations of an index's ENTRY, the fullest first."""
    annotations = jsontext.mapping(entry.get("annotations"), "index.json: annotations")
    found = [jsontext.string(annotations.get(key), "index.json: annotation") for key in (FULL_NAME, REF_NAME)]
    return [name for name in found if name]


class DirectoryLayout(Layout):
    def names(self) -> list[str]:
        return ["@0"]

    def _chosen(self) -> tuple[bytes, str | None]:
        return self._read("manifest.json", "manifest"), None

    def _blob_name(self, digest: str) -> str:
        return digest.removeprefix("sha256:")

    def _manifest_name(self, digest: str) -> str:
        """Those of an index's images lie beside it."""
        return f"{self._blob_name(digest)}.manifest.json"


class DockerArchive(Layout):
    """Has no manifest of the kind that registries have: one is made up, of the digests that the files really have."""

    def __init__(self, files: Files, *, where: str, selector: str = "") -> None:
        super().__init__(files, where=where, selector=selector)
        self._places: dict[str, str] = {}

    def names(self) -> list[str]:
        items = enumerate(self._items())
        return [name for number, item in items for name in (_repo_tags(item) or [f"@{number}"])]

    def manifest(self, identifier: str) -> tuple[bytes, str | None]:
        """The one that is made up for the image that is selected; with a digest that must be its own, too."""
        return self._chosen()

    def _items(self) -> list[dict[str, Any]]:
        what = f"{self._where}: manifest.json"
        return [
            jsontext.mapping(item, what)
            for item in jsontext.array(jsontext.loads(self._read("manifest.json", "manifest.json"), what), what)
        ]

    def _chosen(self) -> tuple[bytes, str | None]:
        item = self._meant(self._items(), _repo_tags)
        what = f"{self._where}: manifest.json"
        place = jsontext.string(item.get("Config"), what)
        config = self._read(place, "config")
        _, diff_ids = parse_config(config)
        layers = [jsontext.string(name, what) for name in jsontext.array(item.get("Layers"), what)]
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
                compressed = blob.read(2) == b"\x1f\x8b"
                size = blob.size
            digest = self._digest(name) if compressed else diff_id
        except FileNotFoundError:
            raise ImageError(f"{self._where}: layer {ascii(name)} is missing") from None
        self._places[digest] = name
        media_type = f"{_DOCKER}.image.rootfs.diff.tar" + (".gzip" if compressed else "")
        return {"mediaType": media_type, "digest": digest, "size": size}

    def _digest(self, name: str) -> str:
        found = hashlib.sha256()
        with self._files.open(name) as blob:
            for piece in _pieces(blob):
                found.update(piece)
        return f"sha256:{found.hexdigest()}"

    def _blob_name(self, digest: str) -> str:
        return self._places.get(digest, "absent")


def _repo_tags(item: dict[str, Any]) -> list[str]:
    what = "manifest.json: RepoTags"
    return [jsontext.string(name, what) for name in jsontext.array(item.get("RepoTags"), what)]


def _pieces(blob: Blob) -> Iterator[bytes]:
    return iter(lambda: blob.read(_PIECE), b"")
