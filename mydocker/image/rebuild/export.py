"""Layers of the store as the tars they were unpacked from: what leaves the store, in an archive or for a registry.

A layer whose archive had files that a later entry replaced cannot be rebuilt exactly: what they had is nowhere, and is
zeros now. So the layer has another diff ID, and its image another config.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence

from mydocker.errors import ImageError
from mydocker.image.model import json_input
from mydocker.image.model.digest import DigestReader
from mydocker.image.rebuild import tar_rebuild
from mydocker.image.rebuild.moved_files import moved
from mydocker.image.store import Store, as_owner
from mydocker.record import Record
from mydocker.reference import Digest


class Layer(Record):
    """A tar that can be made again and again, and that has been measured: `digest` is the diff ID that it has."""

    digest: Digest
    size: int
    chunks: Callable[[], Iterator[bytes]]


def layer(store: Store, diff_id: Digest) -> Layer:
    """The layer DIFF_ID of STORE. Its chunks, or this, raise ImageError if it is damaged. The caller has one thread."""
    directory, path = store.layer_path(diff_id), store.skeleton_path(diff_id)

    def chunks() -> Iterator[bytes]:
        return as_owner.stream(store.ids, lambda: tar_rebuild.tar(directory, path, places))

    try:
        places = moved(path)
        size = tar_rebuild.tar_size(path)
    except OSError as error:
        raise ImageError(f"layer {diff_id}: cannot be rebuilt: {error.strerror}", hint="see 'mydocker fsck'") from None
    if None not in places.values():
        what = f"layer {diff_id}"
        return Layer(
            digest=diff_id, size=size, chunks=lambda: iter(DigestReader(chunks(), digest=diff_id, size=size, what=what))
        )
    found = hashlib.sha256()
    for chunk in chunks():
        found.update(chunk)
    return Layer(digest=Digest(hex=found.hexdigest()), size=size, chunks=chunks)


def with_diff_ids(config: bytes, diff_ids: Sequence[str]) -> bytes:
    """CONFIG for layers with DIFF_IDS."""
    document = json_input.mapping(json_input.loads(config, "image config"), "image config")
    changed = {**document, "rootfs": {**document["rootfs"], "diff_ids": list(diff_ids)}}
    return json.dumps(changed).encode()
