"""Writing images of the store to what everybody reads, as one file or a directory: an OCI image layout with Docker's
manifest.json in it.

That is the form of `docker save` since Docker 25; older ones, Podman and skopeo read one half or the other. Layers are
written as plain tars, rebuilt from the store, so configs and diff IDs stay as they were and only manifests are new. A
layer whose archive had files that later ones replaced cannot be rebuilt exactly: it and its config are rewritten.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Protocol

from mydocker.errors import ImageError
from mydocker.image.files.layouts import FULL_NAME, REF_NAME
from mydocker.image.model.digest import digest_of
from mydocker.image.model.manifest import MANIFEST_TYPES, Descriptor, members
from mydocker.image.rebuild import export
from mydocker.image.rebuild.export import Layer
from mydocker.image.store import Store, catalog, flock
from mydocker.image.store.catalog import NamedImage
from mydocker.reference import Digest


class Output(Protocol):
    """Takes the files of an image layout, one after another: SIZE bytes in CHUNKS, under NAME."""

    def add(self, name: str, size: int, chunks: Iterator[bytes]) -> None: ...

    def end(self) -> None: ...


def save(store: Store, images: Sequence[NamedImage], output: Output) -> list[str]:
    """Write IMAGES to OUTPUT. What had to be changed, in words. ImageError if a layer is damaged; OSError."""
    notes: list[str] = []
    writer = _Writer(output)
    index, listed = [], []
    with flock.shared(store.layers):
        for image in images:
            found = catalog.documents(store, image)
            layers = [export.layer(store, diff_id) for diff_id in found.diff_ids]
            config = found.config
            if [layer.digest for layer in layers] != list(found.diff_ids):
                config = export.with_diff_ids(config, [str(layer.digest) for layer in layers])
                notes.append(
                    f"{image.entries[0].reference.familiar}: a layer had files that later ones replaced: rewritten"
                )
            for layer in layers:
                writer.add_blob(layer.digest, layer.size, layer.chunks())
            config_digest = writer.add(config)
            manifest = _json(_manifest(config, config_digest, layers))
            index += _index_entries(image, manifest, writer.add(manifest))
            listed.append(_docker_entry(image, config_digest, layers))
    writer.add_file("index.json", _json({"schemaVersion": 2, "manifests": index}))
    writer.add_file("manifest.json", _json(listed))
    writer.add_file("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
    output.end()
    return notes


def _manifest(config: bytes, digest: Digest, layers: list[Layer]) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPES[0],
        "config": members(_descriptor("config.v1+json", digest, len(config))),
        "layers": [members(_descriptor("layer.v1.tar", layer.digest, layer.size)) for layer in layers],
    }


def _index_entries(image: NamedImage, manifest: bytes, digest: Digest) -> list[dict[str, Any]]:
    """One for each name, which is how layouts have names; one without if there is none."""
    entry = members(_descriptor("manifest.v1+json", digest, len(manifest)), image.platform)
    named = [{**entry, "annotations": {REF_NAME: str(tag), FULL_NAME: str(tag)}} for tag in image.tags]
    return named or [entry]


def _docker_entry(image: NamedImage, config: Digest, layers: list[Layer]) -> dict[str, Any]:
    """With full names, as skopeo writes them: Podman puts short ones below localhost/."""
    return {
        "Config": f"blobs/sha256/{config.hex}",
        "RepoTags": [str(tag) for tag in image.tags] or None,
        "Layers": [f"blobs/sha256/{layer.digest.hex}" for layer in layers],
    }


def _descriptor(kind: str, digest: Digest, size: int) -> Descriptor:
    return Descriptor(media_type=f"application/vnd.oci.image.{kind}", digest=digest, size=size)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


class _Writer:
    """Gives OUTPUT its files, each blob once."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._blobs: set[Digest] = set()

    def add(self, data: bytes) -> Digest:
        digest = digest_of(data)
        self.add_blob(digest, len(data), iter([data]))
        return digest

    def add_blob(self, digest: Digest, size: int, chunks: Iterator[bytes]) -> None:
        if digest not in self._blobs:
            self._blobs.add(digest)
            self._output.add(f"blobs/sha256/{digest.hex}", size, chunks)

    def add_file(self, name: str, data: bytes) -> None:
        self._output.add(name, len(data), iter([data]))


class TarOutput:
    """A tar archive, written to FILE as a stream."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, name: str, size: int, chunks: Iterator[bytes]) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o644
        self._file.write(member.tobuf(tarfile.GNU_FORMAT))
        for chunk in _of_size(size, chunks, name):
            self._file.write(chunk)
        self._file.write(bytes(-size % tarfile.BLOCKSIZE))

    def end(self) -> None:
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))
        self._file.flush()


class DirectoryOutput:
    """The directory PATH, which is made. Each of its files is on the disk by the time that the next one comes."""

    def __init__(self, path: str) -> None:
        self._path = path
        for directory in (path, f"{path}/blobs", f"{path}/blobs/sha256"):
            os.mkdir(directory)

    def add(self, name: str, size: int, chunks: Iterator[bytes]) -> None:
        with open(f"{self._path}/{name}", "xb") as file:
            for chunk in _of_size(size, chunks, name):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())

    def end(self) -> None:
        pass


def _of_size(size: int, chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    written = 0
    for chunk in chunks:
        written += len(chunk)
        yield chunk
    if written != size:
        raise ImageError(f"{name}: {written} bytes instead of {size}")
