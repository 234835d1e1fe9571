"""Whose the files of a layer are by its archive, which is more than the disk tells where there is only one id.

An ordinary user without ranges in /etc/subuid unpacks every file as their own. The table of attributes (see
entries.py) has the owners as well: path below the layer's root to numbers. What the archive does not mention, such
as a parent directory, is not in it, and root's.
"""

from __future__ import annotations

from mydocker.image.tar import entries
from mydocker.image.tar.entries import Owner


def owners(path: str) -> dict[bytes, Owner]:
    """The table of the layer with the skeleton at PATH. ImageError if it is damaged, OSError if it is not there."""
    return {name: found.owner for name, found in entries.table(path).items()}
