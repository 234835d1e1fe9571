"""What the parts of a pull cost by themselves: the code that a pull uses, one step after the other."""

from __future__ import annotations

import hashlib
import os
import pathlib
import resource
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lab import oci
from lab.recorder import Nowhere

from mydocker.image.layer import blob
from mydocker.image.layer.extract import Extraction
from mydocker.image.layer.scan import Scan
from mydocker.image.model.manifest import Descriptor
from mydocker.image.registry.client import Registry
from mydocker.image.tar.inflate import inflate
from mydocker.image.tar.tarsplit import Writer
from mydocker.kernel.disk import syncfs
from mydocker.reference import Digest, Reference


def split(place: pathlib.Path, address: str, name: str, layers: Sequence[bytes]) -> dict[str, float]:
    """Seconds by part, for the image of LAYERS that the registry at ADDRESS has as NAME, unpacked in PLACE."""
    spent: dict[str, float] = defaultdict(float)
    with Registry(Reference.parse(f"{address}/{name}"), environ={"HOME": "/nonexistent"}) as registry:
        for number, data in enumerate(layers):
            with _counted(spent, "download"):
                for _ in blob.chunks(registry, _descriptor(data)):
                    pass
            with _counted(spent, "hash what arrives"):
                hashlib.sha256(data)
            with _counted(spent, "inflate"):
                pieces = list(inflate([data], compression="gzip", what="layer"))
            with _counted(spent, "hash what comes out"):
                _hash(pieces)
            _unpack(place / str(number), pieces, spent)
    spent["write"] = spent.pop("judge entries and write") - spent["judge entries"]
    before = time.perf_counter()
    descriptor = os.open(place, os.O_RDONLY)
    syncfs(descriptor)
    os.close(descriptor)
    spent["reach the disk"] = time.perf_counter() - before
    return dict(spent)


def _descriptor(data: bytes) -> Descriptor:
    return Descriptor(media_type=oci.layer_media_type("gzip"), digest=Digest.parse(oci.digest(data)), size=len(data))


def _hash(pieces: list[bytes]) -> None:
    total = hashlib.sha256()
    for piece in pieces:
        total.update(piece)


def _unpack(directory: pathlib.Path, pieces: list[bytes], spent: dict[str, float]) -> None:
    directory.mkdir()
    lock = os.open(f"{directory}.skeleton", os.O_RDWR | os.O_CREAT)
    with _counted(spent, "judge entries"):
        skeleton = Writer(lock)
        Scan(Nowhere(), what="layer", devices=True, skeleton=skeleton).read(pieces)
        skeleton.finish()
    root = os.open(directory, os.O_RDONLY)
    with _counted(spent, "judge entries and write"):
        skeleton, tree = Writer(lock), Extraction(root, what="layer", owned=True)
        Scan(tree, what="layer", devices=True, skeleton=skeleton).read(pieces)
        tree.finish()
        skeleton.finish()
    os.close(root)
    os.close(lock)


@contextmanager
def _counted(spent: dict[str, float], name: str) -> Iterator[None]:
    """Add to SPENT the processor time of us and of the children that end meanwhile."""
    before = _processor_time()
    yield
    spent[name] += _processor_time() - before


def _processor_time() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
