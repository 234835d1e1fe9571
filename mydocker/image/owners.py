"""Whose the files of a layer are by its archive, which is more than the disk tells where there is only one id.

An ordinary user without ranges in /etc/subuid unpacks every file as their own. The skeleton beside the layer (see
skeleton.py) has all headers of the archive, and so the table of owners: path below the layer's root to numbers. What
the archive does not mention, such as a parent directory, is not in it, and root's.
"""

from __future__ import annotations

import os

from mydocker.image import skeleton, tarheader
from mydocker.image.tarheader import BLOCK, Entry

Owner = tuple[int, int]  # user, group
_LINKS = 40  # in a row: the kernel's MAXSYMLINKS (path_resolution(7))


def owners(path: str) -> dict[bytes, Owner]:
    """The table of the layer with the skeleton at PATH. ImageError if it is damaged, OSError if it is not there."""
    table = _Table()
    for kind, body in skeleton.records(path):
        if kind == skeleton.HEADERS:
            table.add(*_parse(body))
    return table.owners


class _Table:
    """What GNU tar does with the entries, in their order: the last of a path counts, and links are followed."""

    def __init__(self) -> None:
        self.owners: dict[bytes, Owner] = {}
        self._links: dict[bytes, bytes] = {}  # symbolic ones

    def add(self, entry: Entry, owner: Owner) -> None:
        path = self._place(entry.name)
        self._links.pop(path, None)
        if entry.type == tarheader.HARDLINK:  # its own numbers say nothing: the file has been there before
            owner = self.owners.get(self._place(entry.link), owner)
        elif entry.type == tarheader.SYMLINK:
            self._links[path] = entry.link
        self.owners[path] = owner

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


def _parse(headers: bytes) -> tuple[Entry, Owner]:
    """The entry that HEADERS describe, which have been judged before (see tarstream.py), and its numbers."""
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
    return tarheader.decode(block, extensions), tarheader.owner(block, extensions)
