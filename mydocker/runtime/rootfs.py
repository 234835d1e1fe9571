"""The root of a container as data: layers of an image, a directory of the host, or the machine's own tree.

Each kind of root is mounted in the child's own mount namespace at `<run dir>/memory/root`, and what the container
writes goes to `<run dir>/scratch`, on disk or in memory.
"""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.record import Record
from mydocker.runtime.operations import (
    Bind,
    CopyOnWrite,
    Operation,
    Symlink,
    copy_ownership,
    mount_memory,
    mount_overlay,
)

OWN_MOUNTS = ("dev", "proc", "sys")  # a container has its own, whatever its root


class Root(Record):
    """What becomes `/`."""

    def mount(self, run_dir: str) -> str:
        """Mount it; the path at which it stands now."""
        raise NotImplementedError


class LayeredRoot(Root):
    """Directories of the host, lowest first, under a writable layer of the container's own.

    `in_memory`: the writable layer is a tmpfs, because overlayfs refuses an upper directory on overlayfs, or one that
    stands inside a lower directory. `user_xattrs`: overlay's marks are user.overlay.*, the only ones
    that a user namespace may set.
    """

    lowerdirs: tuple[str, ...]
    in_memory: bool = False
    user_xattrs: bool = False

    def mount(self, run_dir: str) -> str:
        upper, work = f"{run_dir}/scratch/upper", f"{run_dir}/scratch/work"
        if self.in_memory:
            mount_memory(f"{run_dir}/scratch")
        os.mkdir(upper)
        os.mkdir(work)
        copy_ownership(self.lowerdirs[-1], upper)
        root = _place(run_dir)
        mount_overlay(self.lowerdirs, upper, work, root, overlay_options(user_xattrs=self.user_xattrs))
        return root


class MemoryRoot(Root):
    """An empty tmpfs, to be filled by operations; `scratch` is another one, that the container does not see."""

    def mount(self, run_dir: str) -> str:
        mount_memory(f"{run_dir}/scratch")
        root = _place(run_dir)
        mount_memory(root)
        return root


class BareRoot(Root):
    """A directory of the host as it is, for a plain chroot without a mount namespace: what is written stays."""

    path: str

    def mount(self, run_dir: str) -> str:
        return self.path


def _place(run_dir: str) -> str:
    """Where the root is mounted: in memory, so that nothing of that has to be made and removed on a disk."""
    mount_memory(f"{run_dir}/memory")
    os.mkdir(f"{run_dir}/memory/root")
    return f"{run_dir}/memory/root"


def overlay_options(*, user_xattrs: bool) -> str:
    """Options of every overlay: no sync of a throw-away layer, no redirects that a layer could have forged."""
    return ",userxattr,volatile" if user_xattrs else ",redirect_dir=nofollow,metacopy=off,volatile"


def machine_tree(run_dir: str, *, user_xattrs: bool, submounts: tuple[str, ...]) -> tuple[Operation, ...]:
    """The operations that show the machine's own tree, copy-on-write, in a MemoryRoot.

    One overlay for each top-level directory, because one for `/` would have its upper directory inside its
    lower one. `submounts` get one of their own: overlayfs does not show what is mounted in a lower directory.
    """
    options = overlay_options(user_xattrs=user_xattrs)
    operations: list[Operation] = []
    directories = []
    for entry in sorted(os.scandir("/"), key=lambda entry: entry.name):
        if entry.is_symlink():
            operations.append(Symlink(target=entry.path, to=os.readlink(entry.path)))
        elif entry.is_dir() and entry.name not in OWN_MOUNTS:
            directories.append(entry.path)
        elif entry.is_file():
            attributes = kernel.ATTR_RDONLY | kernel.ATTR_NODEV
            operations.append(Bind(target=entry.path, source=entry.path, attributes=attributes))
    for number, path in enumerate([*directories, *submounts]):
        scratch = f"{run_dir}/scratch/{number}"
        operations.append(CopyOnWrite(target=path, source=path, scratch=scratch, options=options))
    return tuple(operations)


def disk_submounts() -> tuple[str, ...]:
    """Where block devices are mounted below the top-level directories."""
    from mydocker.runtime.mountinfo import mounts

    return tuple(
        mount.path
        for mount in mounts()
        if mount.source.startswith("/dev/")
        and mount.path.count("/") > 1
        and mount.path.split("/")[1] not in OWN_MOUNTS
        and os.path.isdir(mount.path)
    )
