"""What the files of a layer are by its archive, contents aside: kind, mode, owners, link, device, extended attributes.

The skeleton beside the layer (see skeleton.py) has all headers of the archive. Out comes a table, path below the
layer's root to attributes, of what GNU tar makes of them. What the archive does not mention, such as a parent
directory, is not in it. `compare` holds a layer against its table.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mydocker.errors import ImageError
from mydocker.image import skeleton, tarheader
from mydocker.image.tarheader import BLOCK, Entry, Malformed

Owner = tuple[int, int]  # user, group
_LINKS = 40  # in a row: the kernel's MAXSYMLINKS (path_resolution(7))
_KINDS = {
    tarheader.REGULAR: ("a file", stat.S_IFREG),
    tarheader.SPARSE: ("a file", stat.S_IFREG),
    tarheader.SYMLINK: ("a symbolic link", stat.S_IFLNK),
    tarheader.CHARACTER: ("a device", stat.S_IFCHR),
    tarheader.BLOCKDEV: ("a device", stat.S_IFBLK),
    tarheader.DIRECTORY: ("a directory", stat.S_IFDIR),
    tarheader.FIFO: ("a FIFO", stat.S_IFIFO),
}
_HIDDEN = b".wh."  # a name that begins so is none of a file
_XATTR = b"SCHILY.xattr."
_KEPT = (b"user.", b"security.capability")  # of extended attributes, see unpacker.py


class Attributes(NamedTuple):  # not a Record: there may be a million
    """`number` is that of the entry that made the file: names with the same number are links to one file."""

    number: int
    entry: Entry
    owner: Owner
    mode: int
    xattrs: Mapping[bytes, bytes]


def table(path: str) -> dict[bytes, Attributes]:
    """The table of the layer with the skeleton at PATH. ImageError if it is damaged, OSError if it is not there."""
    made = _Table()
    headers = (body for kind, body in skeleton.records(path) if kind == skeleton.HEADERS)
    try:
        for number, body in enumerate(headers):
            made.add(parse(number, body))
    except Malformed as problem:
        raise ImageError(f"skeleton {os.path.basename(path)}: damaged: {problem}") from None
    return made.files


def compare(layer: str, path: str, *, owned: bool) -> Iterator[str]:
    """What is wrong with the files of directory LAYER by the skeleton at PATH, a line each; with their owners, if they
    are OWNED by whom the archive says. Opens nothing. ImageError if the skeleton is damaged, OSError."""
    inodes: dict[int, int] = {}
    root = os.open(layer, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for name, wanted in table(path).items():
            if any(part.startswith(_HIDDEN) for part in name.split(b"/")):
                continue
            try:
                found = os.stat(name or b".", dir_fd=root, follow_symlinks=False)
                why = _difference(wanted, found, root, name, owned=owned)
                if not why and inodes.setdefault(wanted.number, found.st_ino) != found.st_ino:
                    why = "is not the same file as its other names any more"
            except OSError as error:
                why = (
                    "is missing"
                    if error.errno in (errno.ENOENT, errno.ENOTDIR)
                    else f"cannot be read: {error.strerror}"
                )
            if why:
                yield f"{os.fsdecode(name)!r}: {why}"
    finally:
        os.close(root)


def _difference(wanted: Attributes, found: os.stat_result, root: int, name: bytes, *, owned: bool) -> str | None:
    entry = wanted.entry
    words, kind = _KINDS[entry.type]
    if kind in (stat.S_IFCHR, stat.S_IFBLK) and stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
        return None  # one that could not be made, see tarstream.py
    if stat.S_IFMT(found.st_mode) != kind:
        return f"is not {words} any more"
    if kind == stat.S_IFLNK and os.readlink(name, dir_fd=root) != entry.link:
        return "points elsewhere"
    if kind in (stat.S_IFCHR, stat.S_IFBLK) and found.st_rdev != os.makedev(*entry.device):
        return "is another device"
    if kind != stat.S_IFLNK and stat.S_IMODE(found.st_mode) != wanted.mode:
        return f"has mode {stat.S_IMODE(found.st_mode):04o} instead of {wanted.mode:04o}"
    if owned and (found.st_uid, found.st_gid) != wanted.owner:
        return f"belongs to {found.st_uid}:{found.st_gid} instead of {wanted.owner[0]}:{wanted.owner[1]}"
    xattrs = wanted.xattrs
    if kind not in (stat.S_IFREG, stat.S_IFDIR):  # nothing else can have those of users (xattr(7))
        xattrs = {key: value for key, value in xattrs.items() if not key.startswith(b"user.")}
    return _other_xattr(xattrs, root, name)


def _other_xattr(wanted: Mapping[bytes, bytes], root: int, name: bytes) -> str | None:
    place = b"/proc/self/fd/%d/%b" % (root, name)
    for key, value in wanted.items():
        try:
            found = os.getxattr(place, key, follow_symlinks=False)
        except OSError as error:
            if error.errno != errno.ENODATA:  # the file system has none, or the path is too long here
                continue
            return f"has lost its attribute {os.fsdecode(key)!r}"
        if found != value:
            return f"has another attribute {os.fsdecode(key)!r}"
    return None


class _Table:
    """What GNU tar does with the entries, in their order: the last of a path counts, and links are followed."""

    def __init__(self) -> None:
        self.files: dict[bytes, Attributes] = {}
        self._links: dict[bytes, bytes] = {}  # symbolic ones

    def add(self, made: Attributes) -> None:
        entry = made.entry
        path = self._place(entry.name)
        self._links.pop(path, None)
        if entry.type == tarheader.HARDLINK:  # its own numbers say nothing: the file has been there before
            made = self.files.get(self._place(entry.link), made)
        if made.entry.type == tarheader.SYMLINK:
            self._links[path] = made.entry.link
        self.files[path] = made

    def _place(self, name: bytes) -> bytes:
        """Where the entry NAME really is: its parents may be links of this layer."""
        *parents, last = tarheader.components(name) or [b""]
        if not self._links:
            return b"/".join((*parents, last))
        place, left = b"", _LINKS
        while parents:
            place = os.path.join(place, parents.pop(0))
            if place in self._links and left:
                left -= 1
                target = os.path.normpath(os.path.join(b"/", os.path.dirname(place), self._links[place]))
                parents = [part for part in target.split(b"/") if part] + parents
                place = b""
        return os.path.join(place, last)


def parse(number: int, headers: bytes) -> Attributes:
    """The attributes that HEADERS describe, which have been judged before (see tarstream.py)."""
    extensions: dict[bytes, bytes] = {}
    start = 0
    while (kind := headers[start + 156 : start + 157]) in b"xgLK" and kind:
        size = tarheader.number(headers[start + 124 : start + 136])
        body = headers[start + BLOCK : start + BLOCK + size]
        if kind == tarheader.PAX:
            extensions.update(tarheader.parse_pax(body))
        elif kind != tarheader.PAX_GLOBAL:
            extensions[kind] = tarheader.unterminated(body)
        start += BLOCK + -(-size // BLOCK) * BLOCK
    block = headers[start : start + BLOCK]
    return Attributes(
        number=number,
        entry=tarheader.decode(block, extensions),
        owner=tarheader.owner(block, extensions),
        mode=tarheader.mode(block),
        xattrs=_xattrs(extensions),
    )


def _xattrs(extensions: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    named = {key.removeprefix(_XATTR): value for key, value in extensions.items() if key.startswith(_XATTR)}
    return {
        key: value for key, value in named.items() if key.startswith(_KEPT) and not key.startswith(b"user.overlay.")
    }
