"""The layers of an image below the overlay of a container with a user namespace of its own: idmapped mounts."""

from __future__ import annotations

import errno
import os

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.plan.operations import attach, mount_overlay
from mydocker.runtime.volume.idmapped import user_namespace

if TYPE_CHECKING:
    from mydocker.idmap import IdMap

_HINT = "the store (MYDOCKER_ROOT) must be on ext4, xfs, btrfs or tmpfs, and the kernel 5.19 or later"


def mapped_layers(directories: tuple[str, ...], ids: IdMap, place: str) -> tuple[str, ...]:
    """Mount each of DIRECTORIES, below the new directory PLACE, with the owners that IDS say; where. LaunchError."""
    os.mkdir(place, 0o700)
    users, found = user_namespace(ids), []
    try:
        for number, directory in enumerate(directories):
            target = f"{place}/{number}"
            os.mkdir(target)
            tree = kernel.clone_tree(directory)
            kernel.map_ids(tree, users)
            attach(tree, os.open(target, os.O_PATH | os.O_CLOEXEC))
            found.append(target)
    except OSError as error:
        raise _refused(error) from None
    finally:
        os.close(users)
    return tuple(found)


def _refused(error: OSError) -> LaunchError:
    why = (
        "the file system of the image's layers has no idmapped mounts"
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP)
        else (error.strerror or "").lower()
    )
    return LaunchError(f"the image cannot be shown with other owners: {why}", hint=_HINT)


def mount_mapped(directories: tuple[str, ...], scratch: str, root: str, options: str) -> None:
    """As `mount_overlay`, of DIRECTORIES that `mapped_layers` has mounted. LaunchError for a kernel that cannot."""
    try:
        mount_overlay(directories, scratch, root, options)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EPERM):
            raise
        raise LaunchError(
            "the image cannot be shown with other owners: overlayfs takes no idmapped layers", hint=_HINT
        ) from None
