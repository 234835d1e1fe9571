"""The root of a container as data: layers of an image, a directory of the host, or the machine's own tree.

Each kind of root is mounted in the child's own mount namespace at `<run dir>/memory/root`, and what the container
writes goes to `<run dir>/scratch`, on disk or in memory.
"""

from __future__ import annotations

import os

from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.plan.operations import IMAGE, ROOT, copy_ownership, mount_memory, mount_overlay

if TYPE_CHECKING:
    from mydocker.idmap import IdMap
    from mydocker.image.model import ImageFile


class Root(Record):
    """What becomes `/`."""

    def mount(self, run_dir: str, *, image: int | None = None, ids: IdMap | None = None) -> str:
        """Mount it, and return the path at which it is mounted. IMAGE is the `source` of an ImageMount, if the plan has
        the file of an image; with IDS its files appear with other owners."""
        raise NotImplementedError

    def lasting(self) -> Root:
        """The same, if what the container writes stays for its next start."""
        return self


class LayeredRoot(Root):
    """Directories of the host, lowest first, under the container's writable layer.

    `in_memory`: the writable layer is a tmpfs, because overlayfs refuses an upper directory on overlayfs, or one that
    is inside a lower directory. `user_xattrs`: overlay's marks are user.overlay.*, the only ones that a user
    namespace may set. `keep_mode`: the root has the mode and owner of the topmost directory; else it is 0755 and
    root's, whatever a layer says of `./`: one packed in a directory of mktemp(1) would not be readable to other users.
    `stays`: the writable layer is there again at the next start. `file`: an image that is mounted in the scratch
    directory, as the lowest of the directories.
    """

    lowerdirs: tuple[str, ...]
    keep_mode: bool = False
    in_memory: bool = False
    user_xattrs: bool = False
    stays: bool = False
    file: ImageFile | None = None

    def lasting(self) -> LayeredRoot:
        return self.replace(stays=not self.in_memory)

    def mount(self, run_dir: str, *, image: int | None = None, ids: IdMap | None = None) -> str:
        scratch = f"{run_dir}/scratch"
        if self.in_memory:
            mount_memory(scratch)
        os.makedirs(f"{scratch}/upper", exist_ok=self.stays)
        os.makedirs(f"{scratch}/work", exist_ok=self.stays)
        if image is not None:
            from mydocker.runtime.image_file.attach import attach

            attach(image, scratch)
        if ids is not None:
            return self._mount_mapped(run_dir, ids)
        if self.keep_mode:
            copy_ownership(self.lowerdirs[-1], f"{scratch}/upper")
        root = _root_directory(run_dir)
        options = overlay_options(user_xattrs=self.user_xattrs, stays=self.stays)
        mount_overlay(self.lowerdirs, scratch, root, options)
        return root

    def _mount_mapped(self, run_dir: str, ids: IdMap) -> str:
        from mydocker.runtime.user_namespace.layers import mapped_layers, mount_mapped

        scratch, root = f"{run_dir}/scratch", _root_directory(run_dir)
        lowerdirs = mapped_layers(self.lowerdirs, ids, f"{run_dir}/memory/layers")
        if self.keep_mode:
            copy_ownership(lowerdirs[-1], f"{scratch}/upper")
        elif os.stat(f"{scratch}/upper").st_uid == 0:  # it is new
            os.chown(f"{scratch}/upper", *(ids.outside(0, 0) or (0, 0)))
        options = overlay_options(user_xattrs=self.user_xattrs, stays=self.stays)
        mount_mapped(lowerdirs, scratch, root, options)
        return root


class MemoryRoot(Root):
    """An empty tmpfs, to be filled by operations; `scratch` is another one, which is not mounted in the container."""

    def mount(self, run_dir: str, *, image: int | None = None, ids: IdMap | None = None) -> str:
        mount_memory(f"{run_dir}/scratch")
        root = _root_directory(run_dir)
        mount_memory(root)
        if ids is not None:
            os.chown(root, *(ids.outside(0, 0) or (0, 0)))
        return root


class BareRoot(Root):
    """A directory of the host as it is, for a plain chroot without a mount namespace: writes to it stay."""

    path: str

    def mount(self, run_dir: str, *, image: int | None = None, ids: IdMap | None = None) -> str:
        return self.path


def image_directory(scratch: str) -> str:
    """Where the file of an image is mounted, if SCRATCH is the scratch directory."""
    return f"{scratch}/{IMAGE}"


def _root_directory(run_dir: str) -> str:
    """Where the root is mounted: in memory, so that nothing has to be created and removed on a disk."""
    mount_memory(f"{run_dir}/memory")
    os.mkdir(f"{run_dir}/{ROOT}")
    return f"{run_dir}/{ROOT}"


def overlay_options(*, user_xattrs: bool, stays: bool = False) -> str:
    """Options of every overlay: no sync of a throw-away layer, unless it STAYS, no redirects that a layer could have
    forged, and no index: with one, a file changes under names that the upper directory lacks (overlayfs.rst, "index").
    """
    marks = ",userxattr" if user_xattrs else ",redirect_dir=nofollow,metacopy=off"
    return f"{marks},index=off{'' if stays else ',volatile'}"
