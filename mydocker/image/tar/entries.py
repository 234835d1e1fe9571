"""What the files of a layer are by its archive, contents aside: kind, mode, owners, link, device, extended attributes.

The tarsplit of the layer (see tarsplit.py) has all headers of the archive. Out comes what extract.py has made
of them, entry by entry, or as a table: path below the layer's root to attributes. What the archive does not mention,
such as a parent directory, is not in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mydocker.errors import ImageError
from mydocker.image.tar import header, tarsplit
from mydocker.image.tar.header import BLOCK, Entry, Malformed
from mydocker.image.tar.tarsplit import key

Owner = tuple[int, int]  # user, group
_LINKS = 40  # in a row: the kernel's MAXSYMLINKS (path_resolution(7))
_XATTR = b"SCHILY.xattr."
_KEPT = (b"user.", b"security.capability")  # of extended attributes


class Attributes(NamedTuple):  # not a Record: there may be a million
    """`number` is that of the entry that made the file: names with the same number are links to one file."""

    number: int
    entry: Entry
    owner: Owner
    mode: int
    xattrs: Mapping[bytes, bytes]


class Placed(NamedTuple):
    """One entry and its `path` below the layer's root; of a hard link, the `target`, a file that has been there before.

    `headers` are its own, `literals` gives what the skeleton has of its contents until the next entry is requested.
    """

    path: bytes
    target: bytes | None
    made: Attributes
    headers: bytes
    literals: Iterator[bytes]


def entries(path: str) -> Iterator[Placed]:
    """The entries of the layer with the skeleton at PATH, in their order: the last of a path counts. ImageError if it
    is damaged, OSError if it is not there."""
    places, number = _Places(), 0
    records = tarsplit.records(path)
    kind, body = next(records)
    try:
        while kind != tarsplit.END:
            literals = _Literals(records)
            if kind == tarsplit.HEADERS:
                made = parse(number, body)
                place, target = places.add(made.entry)
                yield Placed(path=place, target=target, made=made, headers=body, literals=iter(literals))
                number += 1
            kind, body = literals.next_other()
    except Malformed as problem:
        raise ImageError(f"skeleton {os.path.basename(path)}: damaged: {problem}") from None


def table(path: str) -> dict[bytes, Attributes]:
    """The table of the layer with the skeleton at PATH. ImageError, OSError as for `entries`."""
    files: dict[bytes, Attributes] = {}
    for each in entries(path):  # a link's own numbers say nothing
        files[each.path] = each.made if each.target is None else files.get(each.target, each.made)
    return files


class _Literals:
    """The records of bytes that come next among RECORDS."""

    def __init__(self, records: Iterator[tuple[bytes, bytes]]) -> None:
        self._records = records
        self._other: tuple[bytes, bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        for kind, body in self._records:
            if kind != tarsplit.BYTES:
                self._other = kind, body
                return
            yield body

    def next_other(self) -> tuple[bytes, bytes]:
        """The first record after them."""
        while self._other is None:
            for _ in self:
                pass
        return self._other


class _Places:
    """Where extract.py puts the entries, in their order: links are followed."""

    def __init__(self) -> None:
        self._links: dict[bytes, bytes] = {}  # symbolic ones: by the key of their path, where they point

    def add(self, entry: Entry) -> tuple[bytes, bytes | None]:
        """The path of the next ENTRY, and of its target if it is a hard link."""
        path, target, link = self._place(entry.name), None, None
        if entry.type == header.SYMLINK:
            link = entry.link
        elif entry.type == header.HARDLINK:
            target = self._place(entry.link)
            link = self._links.get(key(target))
        if link is None:
            self._links.pop(key(path), None)
        else:
            self._links[key(path)] = link
        return path, target

    def _place(self, name: bytes) -> bytes:
        """Where the entry NAME really is: its parents may be links of this layer, which is root directory to them."""
        *parents, last = header.components(name) or [b""]
        if not self._links:
            return b"/".join((*parents, last))
        place, left = b"", _LINKS
        while parents:
            part = parents.pop(0)
            if part in (b"", b"."):
                continue
            here = os.path.join(place, part) if part != b".." else os.path.dirname(place)
            link = self._links.get(key(here)) if part != b".." else None
            if link is None or not left:
                place = here
                continue
            left -= 1
            parents = link.split(b"/") + parents
            place = b"" if link.startswith(b"/") else place
        return os.path.join(place, last)


def parse(number: int, headers: bytes) -> Attributes:
    """The attributes that HEADERS describe. Malformed if they are damaged: they have been judged (see scan.py)."""
    block, extensions = taken_apart(headers)
    return Attributes(
        number=number,
        entry=header.decode(block, extensions),
        owner=header.owner(block, extensions),
        mode=header.mode(block),
        xattrs=kept_xattrs(extensions),
    )


def taken_apart(headers: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """The entry's own block of HEADERS with what follows it there, a sparse file's map; and what precedes it says."""
    extensions: dict[bytes, bytes] = {}
    start = 0
    while (kind := headers[start + 156 : start + 157]) in b"xgLK" and kind:
        size = header.number(headers[start + 124 : start + 136])
        if kind != header.PAX_GLOBAL:
            header.extend(extensions, kind, headers[start + BLOCK : start + BLOCK + size])
        start += BLOCK + -(-size // BLOCK) * BLOCK
    return headers[start:], extensions


def kept_xattrs(extensions: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The extended attributes among EXTENSIONS that a layer keeps. Overlayfs's own signs are not: an image must not
    forge them."""
    stated = {name.removeprefix(_XATTR): value for name, value in extensions.items() if name.startswith(_XATTR)}
    return {
        name: value
        for name, value in stated.items()
        if name.startswith(_KEPT) and not name.startswith(b"user.overlay.")
    }
