"""An image as one file that is mounted, not unpacked: a file system, and the image's config behind its end.

    file system     squashfs or EROFS, a multiple of 4096 bytes: the tree as a container sees it
    config          JSON, byte for byte that of the image, so its ID stays
    about           JSON: {"manifest": DIGEST, "name": NAME}
    padding         zeros, up to a multiple of 4096 bytes
    end             64 bytes: 16 of MAGIC, then the sizes of the file system, the config and `about`, 8 bytes each and
                    the least significant first, 8 zeros, and 16 of a checksum of all but the file system

A container does not see what is behind the file system, nor does another program that mounts it. And it is read without
mounting: no name in an untrusted tree decides what the config is, no driver has parsed anything yet, and an ordinary
user needs no program for it. All is untrusted.
"""

from __future__ import annotations

import os
import stat

from mydocker.errors import ImageError, ImageNotFoundError, UsageError
from mydocker.image.model import ImageConfig, ImageFile, StoredImage, json_input
from mydocker.image.model.config import check_platform, parse_config
from mydocker.image.model.json_input import LIMIT
from mydocker.image.store_root import checksum
from mydocker.paths import absolute
from mydocker.record import Record
from mydocker.reference import Digest, Location, Platform, Reference

MAGIC = b"\nmydocker-image1"
BLOCK = 4096  # no driver reads less at once, and mksquashfs pads to it
_END = 64
_SUM = 16
_ABOUT_LIMIT = 1 << 16
_SUPERBLOCKS = {"squashfs": (0, b"hsqs"), "erofs": (1024, b"\xe2\xe1\xf5\xe0")}  # linux/magic.h
_SHOWN = {"squashfs": "a squashfs", "erofs": "an EROFS"}


class Contents(Record):
    """What a file has besides its file system: the `config` as it is, and what it is as a value; `name` as it was
    saved, `manifest` is the digest of what that was."""

    file: ImageFile
    config: bytes
    parsed: ImageConfig
    diff_ids: tuple[Digest, ...]
    name: str
    manifest: Digest


def find(reference: Reference, platform: Platform) -> StoredImage:
    """The image in the file that REFERENCE names. ImageError if it has none, ImageNotFoundError if there is no such
    file, or the image is not for PLATFORM."""
    assert reference.location
    found = read(reference.location)
    check_platform(found.parsed, reference, platform)
    if reference.digest and reference.digest != found.manifest:
        raise ImageNotFoundError(f"{reference.location.path} has another image by now, {found.manifest}")
    return StoredImage(reference=reference, manifest=found.manifest, config=found.parsed, lowerdirs=(), file=found.file)


def read(location: Location) -> Contents:
    """What is in the file at LOCATION, a file system. Errors as for `find`."""
    path = absolute(location.path)
    descriptor = _open(path, location.path)
    try:
        return _read(descriptor, path, location)
    except (ImageError, UsageError) as error:
        raise ImageError(f"{location.path}: {error.message}", hint=error.hint) from None
    except OSError as error:
        raise ImageError(f"cannot read {location.path}: {error.strerror}") from None
    finally:
        os.close(descriptor)


def identity(status: os.stat_result) -> tuple[int, ...]:
    """What distinguishes a file from another one in its place, and from itself before a change."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def open_unchanged(file: ImageFile) -> int:
    """A descriptor of FILE, which must still be the one whose config was read. ImageError, ImageNotFoundError."""
    descriptor = _open(file.path, file.path)
    if identity(os.fstat(descriptor)) != file.identity:
        os.close(descriptor)
        raise ImageError(f"{file.path} was replaced meanwhile", hint="run it again")
    return descriptor


def append(descriptor: int, *, config: bytes, name: str, manifest: Digest) -> None:
    """Make an image of the file at DESCRIPTOR, which is a file system: write what comes behind it. Raises OSError."""
    size = os.fstat(descriptor).st_size
    size += -size % BLOCK
    about = b'{"manifest": "%b", "name": "%b"}' % (str(manifest).encode(), name.encode())
    padding = bytes(-(size + len(config) + len(about) + _END) % BLOCK)
    lengths = _lengths(size, len(config), len(about))
    end = MAGIC + lengths + checksum(lengths, config, about).encode()
    os.ftruncate(descriptor, size)
    os.lseek(descriptor, size, os.SEEK_SET)
    remaining = memoryview(config + about + padding + end)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]


def _open(path: str, shown: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)  # a FIFO has no writer
    except FileNotFoundError:
        raise ImageNotFoundError(f"{shown} does not exist") from None
    except OSError as error:
        raise ImageError(f"cannot read {shown}: {error.strerror}") from None


def _read(descriptor: int, path: str, location: Location) -> Contents:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("not a file")
    _check_kind(descriptor, location)
    end = os.pread(descriptor, _END, max(0, status.st_size - _END))
    lengths, sum_there = end[len(MAGIC) : -_SUM], end[-_SUM:]
    size, config_size, about_size, _ = (int.from_bytes(lengths[at : at + 8], "little") for at in range(0, 32, 8))
    if len(end) < _END or not end.startswith(MAGIC):
        raise _without_config(location)
    whole = size + config_size + about_size + _END
    if config_size > LIMIT or about_size > _ABOUT_LIMIT or size % BLOCK or whole > status.st_size:
        raise ImageError("damaged: its sizes are impossible")
    config = os.pread(descriptor, config_size, size)
    about = os.pread(descriptor, about_size, size + config_size)
    if sum_there != checksum(lengths, config, about).encode():
        raise ImageError("damaged: the image config is not what was written")
    parsed, diff_ids = parse_config(config)
    said = json_input.mapping(json_input.loads(about, "description"), "description")
    name = json_input.string(said.get("name"), "description: name")
    if name:
        Reference.parse(name)
    return Contents(
        file=ImageFile(kind=location.transport, path=path, size=size, identity=identity(status)),
        config=config,
        parsed=parsed,
        diff_ids=diff_ids,
        name=name,
        manifest=Digest.parse(json_input.string(said.get("manifest"), "description: manifest")),
    )


def _lengths(*sizes: int) -> bytes:
    return b"".join(each.to_bytes(8, "little") for each in sizes).ljust(32, b"\0")


def kind_of(path: str) -> str | None:
    """Which file system the file at PATH is, if it is one of those that images are."""
    try:
        descriptor = _open(path, path)
        try:
            return _kind(descriptor)
        finally:
            os.close(descriptor)
    except (ImageError, OSError):
        return None


def _kind(descriptor: int) -> str | None:
    found = (kind for kind, (at, magic) in _SUPERBLOCKS.items() if os.pread(descriptor, len(magic), at) == magic)
    return next(found, None)


def _check_kind(descriptor: int, location: Location) -> None:
    """Raise ImageError unless the file system is of the kind that LOCATION says."""
    kind = _kind(descriptor)
    if kind == location.transport:
        return
    wanted = _SHOWN[location.transport]
    if kind:
        raise ImageError(f"{_SHOWN[kind]} file system, and not {wanted} one", hint=f"name it {kind}:FILE")
    raise ImageError(f"not {wanted} file system")


def _without_config(location: Location) -> ImageError:
    hint = f"'mydocker save --format {location.transport} -o FILE IMAGE' writes one with it"
    return ImageError("no image config at its end: another program has made it, or it is cut off", hint=hint)
