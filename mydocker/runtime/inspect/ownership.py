"""Who owns the files of a container's tree, where the kernel does not know: an ordinary user with one id owns them all.

What the image brought has the owner of its archive; what the container made, or its volumes have, has the one that the
kernel names. Takes descriptors of the tree and of the scratch directory, and reads from the upper layer which is which.
"""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.errors import ImageError, is_limit_of_host
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.plan.root import LayeredRoot

if TYPE_CHECKING:
    from mydocker.image.tar.entries import Owner
    from mydocker.runtime.plan import LaunchPlan
    from mydocker.runtime.user_namespace.outside import OwnersInside

_INSIDE = kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_SYMLINKS
_COPIED = "user.overlay.origin"  # overlayfs sets it on what it copied up, and not on what was made (fs/overlayfs)


class Ownership:
    """The owners of the tree open at ROOT that the layers LOWERDIRS and the upper directory in SCRATCH make up.

    The directory TARSPLITS has a tarsplit for each layer of the image, by the name of the layer's directory.
    """

    def __init__(self, lowerdirs: tuple[str, ...], *, tarsplits: str, root: int, scratch: int) -> None:
        self._lowerdirs, self._tarsplits, self._root, self._scratch = lowerdirs, tarsplits, root, scratch
        self._tables: dict[str, dict[bytes, Owner]] = {}

    def of(self, descriptor: int) -> Owner:
        """The numbers of the file open at descriptor DESCRIPTOR. Files of root keep the kernel's owner."""
        status = os.fstat(descriptor)
        owner = (status.st_uid, status.st_gid)
        if _mount(descriptor) != _mount(self._root):
            return owner
        path = os.readlink(f"/proc/self/fd/{descriptor}").lstrip("/")
        if not self._is_of_image(path):
            return owner
        uid, gid = self._archived(path)
        return uid or owner[0], gid or owner[1]

    def _is_of_image(self, path: str) -> bool:
        try:
            upper = kernel.open_inside(self._scratch, f"upper/{path}", os.O_PATH | os.O_NOFOLLOW, resolve=_INSIDE)
        except OSError as error:
            if is_limit_of_host(error):
                raise
            return True
        try:
            return _COPIED in os.listxattr(f"/proc/self/fd/{upper}")  # not of the root, which is root's in any image
        finally:
            os.close(upper)

    def _archived(self, path: str) -> Owner:
        """The owner of PATH in the highest layer that has it."""
        for layer in reversed(self._lowerdirs):
            if _has(layer, path):
                return self._table(layer).get(os.fsencode(path), (0, 0))
        return (0, 0)

    def _table(self, layer: str) -> dict[bytes, Owner]:
        if layer not in self._tables:
            from mydocker.image.tar.owners import owners  # most views need none

            try:
                self._tables[layer] = owners(f"{self._tarsplits}/{os.path.basename(layer)}")
            except (OSError, ImageError):  # an older store, or a damaged one, which `fsck` reports
                self._tables[layer] = {}
        return self._tables[layer]


def owners_of(plan: LaunchPlan, *, root: int, scratch: int) -> Ownership | OwnersInside | None:
    """For a container made by PLAN; None where the kernel knows the owners, and has their numbers."""
    if plan.own_ids:
        from mydocker.runtime.user_namespace.outside import OwnersInside

        return OwnersInside(plan.own_ids)
    single = plan.rootless is not None and plan.rootless.is_single
    if not single or plan.image_digest is None or not isinstance(plan.root, LayeredRoot):
        return None
    return Ownership(plan.root.lowerdirs, tarsplits=f"{plan.store}/skeletons", root=root, scratch=scratch)


def _has(layer: str, path: str) -> bool:
    top = os.open(layer, os.O_PATH | os.O_DIRECTORY)
    try:
        path_fd = kernel.open_inside(top, path, os.O_PATH | os.O_NOFOLLOW, resolve=_INSIDE)
    except OSError as error:
        if is_limit_of_host(error):
            raise
        return False
    finally:
        os.close(top)
    os.close(path_fd)
    return True


def _mount(descriptor: int) -> str:
    """The number of the mount on which DESCRIPTOR is (proc(5), fdinfo)."""
    with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as lines:
        return next(line for line in lines if line.startswith("mnt_id:"))
