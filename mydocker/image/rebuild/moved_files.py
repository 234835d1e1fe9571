"""Where the files of an archive are once it has been unpacked: hardly ever elsewhere than under their own names.

A later entry may have taken the name, while a hard link keeps the contents; the name may lead through a symbolic link
that came before it; or the contents are gone, because a later entry replaced the last name that they had.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from mydocker.errors import ImageError
from mydocker.image.tar import entries, header, tarsplit
from mydocker.image.tar.header import BLOCK, Malformed
from mydocker.image.tar.tarsplit import key

Places = dict[int, bytes | None]
_KIND = 156 - BLOCK  # of the last block of an entry's headers: its type


def moved(path: str) -> Places:
    """By the skeleton at PATH, the entries with contents that are not under their own names: the numbers of these
    entries, and the path below the layer's root, or None for what is gone. ImageError if it is damaged; OSError."""
    try:
        if _is_plain(path):
            return {}
    except Malformed as problem:
        raise ImageError(f"skeleton {os.path.basename(path)}: damaged: {problem}") from None
    names: dict[int, bytes] = {}
    for name, made in entries.table(path).items():
        names.setdefault(made.number, name)
    found: Places = {}
    number = -1
    for kind, _ in tarsplit.records(path):
        number += kind == tarsplit.HEADERS
        if kind == tarsplit.FILE:
            found[number] = names.get(number)
    return found


def _is_plain(path: str) -> bool:
    """Whether no two entries have, or lead to, one name: nothing has taken the place of contents, and of what is above
    an entry in the tree there are directories only."""
    above: set[bytes] = set()  # keys of paths
    for kind, _ in tarsplit.records(path):
        if kind == tarsplit.DEAD:
            return False
    for name, _ in _entries(path):
        directory = os.path.dirname(name)
        while directory and (known := key(directory)) not in above:
            above.add(known)
            directory = os.path.dirname(directory)
    return above.isdisjoint(key(name) for name, is_directory in _entries(path) if not is_directory)


def _entries(path: str) -> Iterator[tuple[bytes, bool]]:
    """The path of each entry, and whether it is a directory."""
    headers = b""
    for kind, body in tarsplit.records(path):
        if kind == tarsplit.FILE:
            yield tarsplit.contents(body).path, False
            headers = b""
        elif kind in (tarsplit.HEADERS, tarsplit.END):
            if headers:
                name = entries.parse(0, headers).entry.name
                yield b"/".join(header.components(name)), headers[_KIND:][:1] == header.DIRECTORY
            headers = body
