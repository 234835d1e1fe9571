"""Pushing: images of the store, or of an archive, to the registry that a name says.

What lies in files goes as it is, byte for byte. The store has layers unpacked: those that the registry has already, or
can take from another of its repositories, keep their digests and so does the manifest; any other layer is rebuilt and
compressed anew, and the manifest is written anew, with the layers' new digests. IDs of images stay what they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO

from mydocker.errors import ImageError, StoreError, UsageError
from mydocker.image.layer import blob
from mydocker.image.layer.blob import Source
from mydocker.image.model import json_input, manifest
from mydocker.image.model.digest import DigestReader, digest_of
from mydocker.image.model.manifest import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    Index,
    compression,
    is_manifest,
    members,
    parse_manifest,
)
from mydocker.image.model.progress import COMPLETE, FINISHED, MOVING, NOTE, STARTED, Step, megabytes
from mydocker.image.rebuild import export
from mydocker.image.registry.upload import Chunks, UploadSession
from mydocker.image.store import Store, catalog, flock, read
from mydocker.image.store.catalog import NamedImage
from mydocker.image.tar import compress
from mydocker.record import Record
from mydocker.reference import Digest, Platform, Reference

_BATCH = 1 << 20
_GZIP = {
    MANIFEST_TYPES[0]: "application/vnd.oci.image.layer.v1.tar+gzip",
    MANIFEST_TYPES[1]: "application/vnd.docker.image.rootfs.diff.tar.gzip",
}

Tell = Callable[[Step], None]


class Pushed(Record):
    """What `name` means in its registry now: `exact` if that is what was here. `sent` bytes of blobs went there."""

    name: Reference
    digest: Digest
    exact: bool
    sent: int


class _Written(Record):
    """A manifest or index that is ready to be named."""

    raw: bytes
    media_type: str
    exact: bool = True

    @property
    def digest(self) -> Digest:
        return digest_of(self.raw)


def push_stored(
    store: Store, images: Sequence[NamedImage], name: Reference, *, environ: Mapping[str, str], progress: Tell
) -> Pushed:
    """Let NAME, which has a tag, mean IMAGES of STORE, an index if there are several. RegistryError, ImageError."""
    with UploadSession(name, environ=environ) as upload, flock.shared(store.layers):
        sender = _Sender(upload, name, progress)
        written = [_stored(sender, store, image) for image in images]
        return sender.name_it(written[0] if len(written) == 1 else _index(sender, images, written))


def push_files(
    source: Source, name: Reference, *, platform: Platform | None, environ: Mapping[str, str], progress: Tell
) -> Pushed:
    """Let NAME, which has a tag, mean the image of SOURCE, files, or with PLATFORM one of its images. RegistryError,
    ImageError."""
    raw, media_type = source.manifest(name.tag or "")
    if platform and isinstance(index := parse_manifest(raw, content_type=media_type), Index):
        chosen = manifest.choose(index, platform)
        raw, media_type = source.manifest(str(chosen.digest))[0], chosen.media_type
    with UploadSession(name, environ=environ) as upload:
        sender = _Sender(upload, name, progress)
        return sender.name_it(_copied(sender, source, raw, media_type))


class _Sender:
    """Sends each blob once, and says so."""

    def __init__(self, upload: UploadSession, name: Reference, progress: Tell) -> None:
        self.upload, self.progress = upload, progress
        self._name, self._sent = name, 0
        self._there: set[Digest] = set()
        progress(Step(kind=STARTED, text=f"pushing {name.familiar}", image=name.familiar))

    def is_there(self, descriptor: Descriptor, others: Sequence[Reference] = ()) -> bool:
        """Whether the registry has the blob in this repository, by now also from one of OTHERS."""
        digest = descriptor.digest
        if digest in self._there:
            return True
        how = "there already" if self.upload.has(digest) else ""
        if not how and self.upload.mount(digest, others):
            how = "taken from another repository"
        if how:
            self._done(descriptor, how)
        return bool(how)

    def send(self, descriptor: Descriptor, chunks: Chunks, others: Sequence[Reference] = ()) -> None:
        """Send the blob, unless it is there."""
        if self.is_there(descriptor, others):
            return
        name, size = _shown(descriptor), descriptor.size
        step = Step(kind=MOVING, text=name, blob=descriptor.digest, size=size)
        self.upload.send(descriptor, chunks, lambda done: self.progress(step.replace(done=done)))
        self._sent += size
        self._done(descriptor, f"{megabytes(size)} sent")

    def name_it(self, written: _Written) -> Pushed:
        """Let the name mean WRITTEN."""
        assert self._name.tag
        self.upload.put_manifest(written.raw, written.media_type, self._name.tag)
        name = self._name.familiar
        self.progress(Step(kind=FINISHED, text=f"{name}: {written.digest}", image=name, blob=written.digest))
        return Pushed(name=self._name, digest=written.digest, exact=written.exact, sent=self._sent)

    def _done(self, descriptor: Descriptor, how: str) -> None:
        self._there.add(descriptor.digest)
        size = descriptor.size
        text = f"{_shown(descriptor)}: {how}"
        self.progress(Step(kind=COMPLETE, text=text, blob=descriptor.digest, done=size, size=size))


def _copied(sender: _Sender, source: Source, raw: bytes, media_type: str | None, *, depth: int = 0) -> _Written:
    """Send all that the manifest or index RAW names, from SOURCE and as it is."""
    found = manifest.contents(raw, content_type=media_type)
    if found.manifests and depth:
        raise ImageError("an index within an index")
    for inner in found.manifests:
        if not is_manifest(inner.media_type):
            sender.send(inner, _reading(source, inner))
            continue
        found_raw, _ = source.manifest(str(inner.digest))
        if digest_of(found_raw) != inner.digest:
            raise ImageError(f"manifest {inner.digest}: has another digest, {digest_of(found_raw)}")
        written = _copied(sender, source, found_raw, inner.media_type, depth=1)
        sender.upload.put_manifest(written.raw, written.media_type, str(inner.digest))
    for descriptor in found.blobs:
        sender.send(descriptor, _reading(source, descriptor))
    return _Written(raw=raw, media_type=found.media_type)


def _reading(source: Source, descriptor: Descriptor) -> Chunks:
    what = f"blob {descriptor.digest}"
    return lambda: iter(
        DigestReader(blob.chunks(source, descriptor), digest=descriptor.digest, size=descriptor.size, what=what)
    )


def _stored(sender: _Sender, store: Store, image: NamedImage) -> _Written:
    """Send all that the manifest of IMAGE names, and give that manifest, or what has to be put in its place."""
    found = catalog.documents(store, image)
    others = _origins(image)
    layers, diff_ids = [], []
    for descriptor, diff_id in zip(found.manifest.layers, found.diff_ids, strict=True):
        sent, now = _layer(sender, store, diff_id, descriptor, others, found.manifest.media_type)
        layers.append(sent)
        diff_ids.append(now)
    same = diff_ids == list(found.diff_ids)
    config = found.config if same else export.with_diff_ids(found.config, [str(diff_id) for diff_id in diff_ids])
    described = found.manifest.config.replace(digest=digest_of(config), size=len(config))
    sender.send(described, lambda: iter([config]), others)
    raw = read(store.blob_path(image.ref.manifest))
    if tuple(layers) == found.manifest.layers and config is found.config:
        return _Written(raw=raw, media_type=found.manifest.media_type)
    text = f"{image.entries[0].reference.familiar}: layers are compressed anew: it was {digest_of(raw)}"
    sender.progress(Step(kind=NOTE, text=text))
    return _Written(raw=_rewritten(raw, described, layers), media_type=found.manifest.media_type, exact=False)


def _origins(image: NamedImage) -> list[Reference]:
    """All names by which IMAGE was ever requested: perhaps a repository of the same registry has its blobs."""
    found = [entry.reference for entry in image.entries]
    for entry in image.entries:
        with suppress(UsageError):
            found.append(Reference.parse(entry.ref.origin))
    return found


def _layer(
    sender: _Sender, store: Store, diff_id: Digest, was: Descriptor, others: Sequence[Reference], manifest_type: str
) -> tuple[Descriptor, Digest]:
    """Send the layer DIFF_ID, which once was the blob WAS: what it is now, and its diff ID."""
    if sender.is_there(was, others):
        return was, diff_id
    layer = export.layer(store, diff_id)
    if compression(was) == "none":
        plain = was.replace(digest=layer.digest, size=layer.size)
        sender.send(plain, layer.chunks)
        return plain, layer.digest
    with _compressed(layer.chunks(), store.incoming) as (file, digest, size):
        packed = Descriptor(media_type=_GZIP[manifest_type], digest=digest, size=size)
        sender.send(packed, lambda: _from_start(file))
    return packed, layer.digest


@contextmanager
def _compressed(chunks: Iterator[bytes], place: str) -> Iterator[tuple[BinaryIO, Digest, int]]:
    """CHUNKS as gzip, in a file without a name in directory PLACE: whoever sends it may have to begin again."""
    found = hashlib.sha256()
    with ExitStack() as stack:
        where = place if os.access(place, os.W_OK) else tempfile.gettempdir()
        try:
            file = stack.enter_context(tempfile.TemporaryFile(dir=where))
            for piece in compress.gzip(chunks):
                found.update(piece)
                file.write(piece)
            file.flush()
        except OSError as error:
            hint = "a layer lies there for as long as it is sent"
            raise StoreError(f"cannot write to {where}: {error.strerror}", hint=hint) from None
        yield file, Digest(hex=found.hexdigest()), file.tell()


def _from_start(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    return iter(lambda: file.read(_BATCH), b"")


def _rewritten(raw: bytes, config: Descriptor, layers: Sequence[Descriptor]) -> bytes:
    """The manifest RAW, annotations and all, with other blobs."""
    document = json_input.mapping(json_input.loads(raw, "manifest"), "manifest")
    were = [document["config"], *document["layers"]]
    now = [{**was, **members(each)} for was, each in zip(were, (config, *layers), strict=True)]
    return json.dumps({**document, "config": now[0], "layers": now[1:]}).encode()


def _index(sender: _Sender, images: Sequence[NamedImage], written: Sequence[_Written]) -> _Written:
    """An index of manifests, made anew: the store keeps none."""
    entries = []
    for image, inner in zip(images, written, strict=True):
        sender.upload.put_manifest(inner.raw, inner.media_type, str(inner.digest))
        described = Descriptor(media_type=inner.media_type, digest=inner.digest, size=len(inner.raw))
        entries.append(members(described, image.platform))
    document = {"schemaVersion": 2, "mediaType": INDEX_TYPES[0], "manifests": entries}
    return _Written(raw=json.dumps(document).encode(), media_type=INDEX_TYPES[0], exact=False)


def _shown(descriptor: Descriptor) -> str:
    return f"blob {descriptor.digest.hex[:12]}"
