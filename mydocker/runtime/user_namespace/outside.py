"""A container with a user namespace of its own, as the host's root sees it: its files by the numbers that it sees.

What it wrote belongs to its ids on the host. An idmapped mount of its scratch directory shows that with the owners that
the container sees, as the layers of its image have them.
"""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.idmap import Extent, IdMap, looked_up
from mydocker.runtime.volume.idmapped import map_ids

_NOBODY = 65534  # as the container sees an owner that it has no number for
_HOST_ROOT = 2**32 - 3  # as which the host's root appears: overlayfs has directories of its own next to the container's


def scratch_by_numbers(scratch: int, ids: IdMap) -> int:
    """A descriptor of a detached mount of the directory open at SCRATCH, in which a container with IDS has written:
    with the owners that the container sees. What is mounted below keeps its own. What the host's root makes there is
    the container's root's. LaunchError."""
    shown = ids.inverted
    users, groups = (_with_host_root(extents) for extents in (shown.users, shown.groups))
    tree = kernel.clone_tree("", directory=scratch, recursive=True)
    try:
        map_ids(tree, IdMap(users=users, groups=groups), source="what the container wrote", recursive=False)
    except BaseException:
        os.close(tree)
        raise
    return tree


class OwnersInside:
    """The owners of files by the numbers that a container with IDS sees."""

    def __init__(self, ids: IdMap) -> None:
        self._shown = ids.inverted

    def of(self, descriptor: int) -> tuple[int, int]:
        """The user and the group that own the file open at DESCRIPTOR."""
        status = os.fstat(descriptor)
        user, group = looked_up(self._shown.users, status.st_uid), looked_up(self._shown.groups, status.st_gid)
        return _NOBODY if user is None else user, _NOBODY if group is None else group


def _with_host_root(extents: tuple[Extent, ...]) -> tuple[Extent, ...]:
    if looked_up(extents, 0) is not None:
        return extents
    return (*extents, Extent(inside=0, outside=_HOST_ROOT, count=1))
