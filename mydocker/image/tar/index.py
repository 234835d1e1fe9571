"""Index: where in a tar archive, which can be sought, each of its files lies. All is untrusted; no contents are read.

An archive of images, by `docker save` and the like, has a few thousand members. Names are text, normal and below the
archive's top; of equal ones the last counts, as for tar. Memory has a bound, whatever the headers claim.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from mydocker.errors import ImageError
from mydocker.image.tar import header
from mydocker.image.tar.header import BLOCK, Entry, Malformed

MEMBERS = 100_000  # of one archive
NAMES = 16 << 20  # bytes of all their names and links
_LINKS = (header.SYMLINK, header.HARDLINK)


class Member(NamedTuple):  # not a Record: there may be many
    """`size` bytes from `start` on, if it is a file; the name `link` of another member, if that is not empty."""

    is_file: bool
    start: int
    size: int
    link: str


def index(descriptor: int, what: str) -> dict[str, Member]:
    """The members of the archive WHAT, open as DESCRIPTOR, by name. ImageError if it is none; OSError."""
    try:
        return _index(descriptor)
    except Malformed as problem:
        raise ImageError(f"{what}: not a tar archive, or a damaged one: {problem}") from None


def _index(descriptor: int) -> dict[str, Member]:
    members: dict[str, Member] = {}
    names = 0
    for count, (entry, start) in enumerate(_entries(descriptor)):
        name, link = _normal(entry.name), _link(entry)
        names += len(name) + len(link)
        if count == MEMBERS or names > NAMES:
            raise Malformed(f"more than {MEMBERS} members" if count == MEMBERS else "its names are too long")
        members[name] = Member(is_file=entry.is_plain, start=start, size=entry.size, link=link)
    return members


def _entries(descriptor: int) -> Iterator[tuple[Entry, int]]:
    """Each entry, and where its contents begin."""
    end, place = os.fstat(descriptor).st_size, 0
    if not end:
        raise Malformed("it is empty")
    if end < BLOCK:
        raise Malformed("it is shorter than a header")
    extensions: dict[bytes, bytes] = {}
    while block := _block(descriptor, place):
        place += BLOCK
        kind = block[header.TYPE]
        if kind in header.EXTENSIONS:
            size = header.extension_size(block)
            body = os.pread(descriptor, size, place)
            if kind != header.PAX_GLOBAL:
                header.extend(extensions, kind, body)
        else:
            entry = header.decode(block, extensions)
            size = entry.size
            yield entry, place
            extensions.clear()
        if place + size > end:
            raise Malformed("it ends in the middle of a member")
        place += -(-size // BLOCK) * BLOCK


def _block(descriptor: int, place: int) -> bytes:
    """The header at PLACE; empty at the end of the archive."""
    block = os.pread(descriptor, BLOCK, place)
    if block and len(block) < BLOCK:
        raise Malformed("it ends in the middle of a header")
    if not block or header.is_end(block):
        return b""
    try:
        header.check(block)
    except Malformed:
        raise Malformed(f"there is no header at byte {place}") from None
    return block


def _link(entry: Entry) -> str:
    """What ENTRY links to: a symbolic link's target is relative to where the link is."""
    if entry.type not in _LINKS:
        return ""
    is_hard = entry.type == header.HARDLINK
    return _normal(entry.link if is_hard else os.path.join(os.path.dirname(entry.name), entry.link))


def _normal(name: bytes) -> str:
    if len(name) > header.NAME_LIMIT or b"\0" in name:
        raise Malformed("a name that no file can have")
    return normal(name.decode("utf-8", "surrogateescape"))


def normal(name: str) -> str:
    """NAME, always below the archive's top."""
    return os.path.normpath(f"/{name}").lstrip("/")
