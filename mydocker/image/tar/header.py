"""One header of a tar archive: 512 untrusted bytes, and the extension headers before it, turned into an Entry.

POSIX.1-2017 pax "ustar Interchange Format" and "pax Header Block", GNU tar manual "Basic Tar Format". What other
readers, Docker's or GNU tar, might understand in another way is refused.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from mydocker.errors import ImageError

BLOCK = 512
# where the fields of a block are; the last four are GNU's, of a sparse file and of a block of its map
MODE, UID, GID, SIZE = slice(100, 108), slice(108, 116), slice(116, 124), slice(124, 136)
RIGHTS = slice(100, 124)  # the first three of these
MTIME, CHECKSUM, TYPE, LINK = slice(136, 148), slice(148, 156), slice(156, 157), slice(157, 257)
MAGIC, DEVMAJOR, DEVMINOR, PREFIX = slice(257, 263), slice(329, 337), slice(337, 345), slice(345, 500)
SPARSE_MAP, HAS_MORE_MAP, REAL_SIZE, MAP_GOES_ON = 386, 482, slice(483, 495), 504
NAME_LIMIT = 4096  # PATH_MAX: the kernel takes no longer path
EXTENSION_LIMIT = 1 << 20  # bytes of one extended header; an extended attribute has at most 64 KiB (xattr(7))

FILES = b"\0007"  # NUL and "7" are old names of a regular file, "0"
REGULAR, HARDLINK, SYMLINK, CHARACTER, BLOCKDEV, DIRECTORY, FIFO = (b"%d" % n for n in range(7))
SPARSE = b"S"
PAX, PAX_GLOBAL, LONG_NAME, LONG_LINK = b"x", b"g", b"L", b"K"
EXTENSIONS_LIMIT = 16  # extended headers before one entry
EXTENSIONS_SIZE = 4 << 20  # bytes of them all: a skeleton keeps them in one record, which has a limit
EXTENSIONS = frozenset((PAX, PAX_GLOBAL, LONG_NAME, LONG_LINK))
# no contents follow, whatever the size says: some archivers state the target's, or what a directory may grow to
# (POSIX.1-2017 pax, "size")
EMPTY = frozenset((HARDLINK, SYMLINK, CHARACTER, BLOCKDEV, DIRECTORY, FIFO))
KNOWN = frozenset((REGULAR, HARDLINK, SYMLINK, CHARACTER, BLOCKDEV, DIRECTORY, FIFO, SPARSE, b"\0", b"7"))

_ZEROS = bytes(BLOCK)

# name; mode, user and group; digits of the size and what ends them, digits of the checksum and what follows, type,
# magic, prefix
_USTAR = struct.Struct("100s 24s 11s c 12x 6s 2s c 100x 6s 82x 155s 12x")
_LAST_ID = 0xFFFF_FFFE  # of a user or group; to chown(2) the next one means that nothing changes
_PLAIN = frozenset((REGULAR, DIRECTORY))
_UNUSUAL = (b"", b"/", b".")  # a name that begins so has to be taken apart
_ENDS = b"\0 "  # of a number
_MAP = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
_MAY_BE_EMPTY = (b"SCHILY.xattr.", b"GNU.sparse.map")
_ENDED = (b"\0", b" ")
_TIME = re.compile(rb"(?:(-)|\+)?([0-9]{1,20})(?:\.([0-9]*))?")
_LAST_SIZE = (1 << 63) - 1
_LAST_TIME = (1 << 63) - 1  # nanoseconds: in the year 2262


class Entry(NamedTuple):  # not a Record: there may be a million
    """`name` and `link` are raw bytes; `size` counts the bytes that follow in the archive, `extent` those on disk."""

    type: bytes
    name: bytes
    link: bytes
    size: int
    extent: int
    device: tuple[int, int]
    is_plain: bool  # a regular file whose contents are in the archive as they will be on disk


class Malformed(Exception):
    """What is wrong with a header; the caller knows whose it is."""


def is_end(block: bytes) -> bool:
    return block == _ZEROS


def check(block: bytes) -> None:
    """Raise Malformed unless the checksum of BLOCK holds (the sum of its bytes, its own field counted as blanks)."""
    field = block[CHECKSUM]
    stated = number(field)
    total = _sum(block[:256]) + _sum(block[256:]) - _sum(field) + 8 * 0x20
    if stated != total and stated != total - 256 * sum(byte > 127 for byte in block[:148] + block[156:]):
        raise Malformed("not a tar header: its checksum is wrong")  # the second sum is that of old tars' signed bytes


def _sum(data: bytes | memoryview) -> int:
    """The sum of at most 256 bytes: the lower half of Adler-32 (RFC 1950), several times as fast as Python's own."""
    return (zlib.adler32(data) & 0xFFFF) - 1


def plain(block: bytes | memoryview) -> tuple[bytes, int] | None:
    """The path below the layer's root, and the size, of a file or directory as most are: what `check`, `decode` and
    `components` would find, in a third of the time. None if it takes those to say."""
    name, rights, digits, end, stated, rest, kind, magic, prefix = _USTAR.unpack(block)
    if kind not in _PLAIN or not (digits + stated).isdigit() or end not in _ENDS or rest.strip(_ENDS):
        return None
    if not _are_numbers(rights):
        return None
    try:
        size, total = int(digits, 8), int(stated, 8)
    except ValueError:
        return None
    if total != _sum(block[: CHECKSUM.start]) + _sum(block[CHECKSUM.stop : 256]) + _sum(block[256:]) + 8 * 0x20:
        return None
    name = name.partition(b"\0")[0]
    if magic == b"ustar\0" and prefix[0]:
        name = prefix.partition(b"\0")[0] + b"/" + name
    if name[:1] in _UNUSUAL or b"/." in name or b"//" in name:
        return None
    if kind == DIRECTORY:
        return None if size else (name.rstrip(b"/"), 0)
    return None if name.endswith(b"/") else (name, size)


def decode(block: bytes, extensions: dict[bytes, bytes]) -> Entry:
    """The Entry of header BLOCK with the pax records EXTENSIONS; GNU's long names come as `L` and `K` in them."""
    kind = block[TYPE]
    if kind not in KNOWN:
        raise Malformed(f"unknown type {kind!r}")
    mode(block)
    owner(block, extensions)
    size = extent = 0 if kind in EMPTY else _size(block, extensions)
    sparse = kind == SPARSE
    if b"GNU.sparse.major" in extensions or b"GNU.sparse.size" in extensions or b"GNU.sparse.map" in extensions:
        stated = [extensions[name] for name in (b"GNU.sparse.realsize", b"GNU.sparse.size") if name in extensions]
        extent = max(size, *map(decimal, stated or [b""]))
        sparse = True
    if kind == SPARSE:
        extent = max(extent, number(block[REAL_SIZE]))
    name = _name(block, extensions)
    if kind == b"\0" and name.endswith(b"/"):  # before there was a type for it
        kind, size, extent = DIRECTORY, 0, 0
    return Entry(
        type=REGULAR if kind in FILES else kind,
        name=name,
        link=_long(extensions, b"linkpath", LONG_LINK) or _text(block[LINK]),
        size=size,
        extent=extent,
        device=_device(block, extensions) if kind in (CHARACTER, BLOCKDEV) else (0, 0),
        is_plain=(kind in FILES or kind == REGULAR) and not sparse,
    )


def extension_size(block: bytes) -> int:
    """How many bytes the body of the extended header BLOCK has."""
    size = _size(block, {})
    if size > EXTENSION_LIMIT:
        raise Malformed("extended headers too large")
    return size


def extend(extensions: dict[bytes, bytes], kind: bytes, body: bytes) -> None:
    """Add what the BODY of an extended header of type KIND says of the next entry to EXTENSIONS: pax records, or a long
    name, as `L` and `K`. Of several headers of a kind the last one counts, as for Go's reader, which is Docker's."""
    if kind != PAX:
        extensions[kind] = _text(body)
        return
    names = {each: extensions[each] for each in (LONG_NAME, LONG_LINK) if each in extensions}
    records = parse_pax(body)
    for each in (LONG_NAME, LONG_LINK):  # no record can pass for one
        records.pop(each, None)
    extensions.clear()
    extensions.update(records | names)


def owner(block: bytes, extensions: dict[bytes, bytes]) -> tuple[int, int]:
    """The numbers of user and group of header BLOCK with the pax records EXTENSIONS."""
    uid, gid = extensions.get(b"uid"), extensions.get(b"gid")
    found = (
        number(block[UID]) if uid is None else _signed(uid),
        number(block[GID]) if gid is None else _signed(gid),
    )
    return _id(found[0]), _id(found[1])


def _id(number: int) -> int:
    """The NUMBER of a user or group. One that is negative, as base 256 and Go's pax records have it, is what
    the kernel takes it for: of 32 bits. It changes no owner to -1 (chown(2)), which leaves the file to root."""
    if number == -1:
        return 0
    found = number + (1 << 32) if -(1 << 31) <= number < 0 else number
    if not 0 <= found <= _LAST_ID:
        raise Malformed(f"no user or group has number {number}")
    return found


def mode(block: bytes) -> int:
    """The permissions that header BLOCK states."""
    return permissions(block[MODE])


def permissions(field: bytes) -> int:
    """Those that a header's FIELD for the mode states, perhaps together with the kind of the file."""
    found = number(field)
    if not 0 <= found < 1 << 32:
        raise Malformed(f"{found} is no mode of a file")
    return found & 0o7777


def modified(field: bytes, extensions: Mapping[bytes, bytes]) -> int:
    """When the file was modified, in nanoseconds since 1970, by the FIELD of its header or, if they say, the pax
    records EXTENSIONS: digits, perhaps a sign and a fraction (POSIX.1-2017 pax, "mtime")."""
    text = extensions.get(b"mtime")
    if text is None:
        if field[:11].isdigit() and field[11:] in _ENDED and max(field[:11]) < 0x38:  # as most are
            return int(field[:11], 8) * 10**9
        seconds = number(field)
        return max(-_LAST_TIME, min(seconds * 10**9, _LAST_TIME))
    found = _TIME.fullmatch(text)
    if not found:
        raise Malformed(f"{text[:40]!r} is not a time")
    sign, whole, fraction = found.groups(default=b"")
    time = int(whole) * 10**9 + int(fraction[:9].ljust(9, b"0"))
    return min(time, _LAST_TIME) * (-1 if sign else 1)


@lru_cache(maxsize=64)  # entries that follow each other have the same ones
def _are_numbers(rights: bytes) -> bool:
    """Whether mode, user and group, the 24 bytes RIGHTS, are as `mode` and `owner` want them."""
    try:
        permissions(rights[:8])
        ids = number(rights[8:16]), number(rights[16:])
        return min(ids) >= 0 and max(ids) <= _LAST_ID
    except Malformed:
        return False


def parse_pax(body: bytes) -> dict[bytes, bytes]:
    """The records of an extended header's BODY, each `length key=value newline`; of equal keys the last counts. Only of
    those that are the map of a sparse file in version 0.0 all do: that is given as version 0.1 has it.

    One without a value takes back an earlier one, so that the header's own field counts (POSIX.1-2017, "pax Extended
    Header").
    """
    records = {}
    pieces = []
    start = 0
    while start < len(body):
        blank = body.find(b" ", start, start + 10)
        end = start + decimal(body[start:blank] if blank > 0 else b"")
        if end <= blank or body[end - 1 : end] != b"\n":
            raise Malformed("a damaged pax header")
        key, equals, value = body[blank + 1 : end - 1].partition(b"=")
        if not key or not equals:
            raise Malformed("a damaged pax header")
        records[key] = value
        if key in _MAP:
            pieces.append(value)
        start = end
    stated = {key: value for key, value in records.items() if value or key.startswith(_MAY_BE_EMPTY)}
    return stated | {b"GNU.sparse.map": b",".join(pieces)} if pieces else stated


def number(field: bytes) -> int:
    """A numeric field: octal digits between blanks or NULs, or base 256, in two's complement, when its first bit is
    set (GNU)."""
    if field[0] & 0x80:
        bits = 8 * len(field) - 1
        found = int.from_bytes(field, "big") & (1 << bits) - 1
        return found - (1 << bits) if found >> bits - 1 else found
    text = field.strip(_ENDS).partition(b"\0")[0].rstrip(b" ")
    if text.strip(b"01234567"):
        raise Malformed(f"{field!r} is not a number")
    return int(text or b"0", 8)


def _size(block: bytes, extensions: dict[bytes, bytes]) -> int:
    size = decimal(extensions[b"size"]) if b"size" in extensions else number(block[SIZE])
    if not 0 <= size <= _LAST_SIZE:
        raise Malformed("its size is negative" if size < 0 else f"no file has {size} bytes")
    return size


def _name(block: bytes, extensions: dict[bytes, bytes]) -> bytes:
    if found := extensions.get(b"GNU.sparse.name") or _long(extensions, b"path", LONG_NAME):
        return found
    name = _text(block[:100])
    if block[MAGIC] == b"ustar\0" and block[PREFIX.start]:
        return _text(block[PREFIX]) + b"/" + name
    return name


def _long(extensions: dict[bytes, bytes], key: bytes, kind: bytes) -> bytes:
    """The long name of pax record KEY or of GNU's header KIND, of which an empty one is none. Malformed if they differ:
    Go's reader takes one, GNU tar the other."""
    found, other = extensions.get(key, b""), extensions.get(kind, b"")
    if found and other and found != other:
        raise Malformed(f"two long names, {found[:40]!r} and {other[:40]!r}")
    return found or other


def _device(block: bytes, extensions: dict[bytes, bytes]) -> tuple[int, int]:
    major, minor = extensions.get(b"SCHILY.devmajor"), extensions.get(b"SCHILY.devminor")
    return (
        number(block[DEVMAJOR]) if major is None else decimal(major),
        number(block[DEVMINOR]) if minor is None else decimal(minor),
    )


def _signed(text: bytes) -> int:
    """A number in a pax record that may have a sign, as Go's reader takes it."""
    return -decimal(text[1:]) if text[:1] == b"-" else decimal(text.removeprefix(b"+"))


def decimal(text: bytes) -> int:
    """A number in a pax record."""
    if not text.isdigit() or len(text) > 20:
        raise Malformed(f"{text[:40]!r} is not a number")
    return int(text)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def components(name: bytes) -> list[bytes]:
    """The parts of NAME below the layer's root. An absolute name means the same as a relative one (as in Docker)."""
    if b"\0" in name or len(name) > NAME_LIMIT:
        raise Malformed("its name is too long" if len(name) > NAME_LIMIT else "its name contains NUL")
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise Malformed("its name contains ..")
    if len(name) > 255 and any(len(part) > 255 for part in parts):
        raise Malformed("a part of its name is longer than 255 bytes")
    return parts


def refuse(what: str, name: bytes, why: str) -> ImageError:
    """The error about entry NAME of the layer WHAT."""
    return ImageError(about(what, name, why))


def about(what: str, name: bytes, why: str) -> str:
    """What is wrong with entry NAME of the layer WHAT, to be shown."""
    shown = name[:120].decode(errors="backslashreplace")
    return f"{what}: entry {shown!r}: {why}"
