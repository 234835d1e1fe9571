"""A large image like those in use, made of this machine's own trees: nothing is downloaded.

A share of /usr, taken in short runs of neighbours, so that programs, libraries, sources, data and small texts come in
their usual mixture; in seven layers one after the other, each with the directories it needs. Compressed as most images
are: gzip, level 6.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lab import oci

LAYERS = 7
TREES = ("bin", "include", "lib", "sbin", "share")
_LARGE = 1 << 20  # bytes of a file from which on it is chosen for its size, not to be one of so many
_LARGEST = 64 << 20
_RUN = 16  # files that follow each other, so that there are not more directories than real images have


File = tuple[str, int]  # name below /, size


@dataclass(frozen=True)
class Large:
    image: oci.Image
    files: int
    entries: int
    unpacked: int  # bytes of the files

    @property
    def compressed(self) -> int:
        return sum(map(len, self.image.layers))

    def __str__(self) -> str:
        sizes = f"{self.compressed / 1e6:.0f} MB, unpacked {self.unpacked / 1e6:.0f} MB"
        return f"{LAYERS} layers of {sizes}, {self.files} files, {self.entries} entries"


def large(*, size: int, files: int) -> Large:
    """An image of about SIZE bytes in FILES files, or less if this machine has less."""
    found = list(_files())
    some = [file for file in found if file[1] < _LARGE]
    some = list(_spread(some, files / len(some), run=_RUN))
    large = [file for file in found if file[1] >= _LARGE]
    large = list(_spread(large, (size - _sum(some)) / _sum(large), run=1))
    chosen = sorted(some + large)
    groups = list(_shares(chosen))
    entries = [[*_directories(group), *group] for group in groups]
    tars = [_tar(names) for names in entries]
    with ThreadPoolExecutor() as threads:  # zlib lets go of the interpreter's lock
        blobs = list(threads.map(lambda tar: oci.compress(tar, "gzip"), tars))
    image = oci.assemble(oci.image(tars, compression="none").config, blobs)
    return Large(image, len(chosen), sum(map(len, entries)), _sum(chosen))


def _files() -> Iterator[File]:
    """Name below / and size of every regular file, in the order of names."""
    for tree in TREES:
        for directory, below, names in os.walk(f"/usr/{tree}"):
            below.sort()
            for path in (f"{directory}/{name}" for name in sorted(names)):
                found = os.lstat(path)
                if stat.S_ISREG(found.st_mode) and found.st_size <= _LARGEST:
                    yield path[1:], found.st_size


def _spread(files: list[File], share: float, *, run: int) -> Iterator[File]:
    """The SHARE of FILES, evenly from all of them, in pieces of RUN neighbours; all if SHARE is 1 or more."""
    return (file for number, file in enumerate(files) if number // run * share % 1 < share)


def _sum(files: list[File]) -> int:
    return sum(size for _, size in files)


def _shares(files: list[File]) -> Iterator[list[str]]:
    """The names of FILES in LAYERS lists of about the same size."""
    total = _sum(files)
    shares: list[list[str]] = [[] for _ in range(LAYERS)]
    seen = 0
    for name, size in files:
        shares[min(LAYERS - 1, seen * LAYERS // total)].append(name)
        seen += size
    yield from shares


def _directories(names: list[str]) -> list[str]:
    found = {"/".join(parts[:depth]) for name in names for parts in [name.split("/")] for depth in range(1, len(parts))}
    return sorted(found)


def _tar(names: list[str]) -> bytes:
    argv = ["tar", "-C", "/", "--create", "--numeric-owner", "--no-recursion", "--null", "--files-from=-"]
    return subprocess.run(argv, input=os.fsencode("\0".join(names)), stdout=subprocess.PIPE, check=True).stdout
