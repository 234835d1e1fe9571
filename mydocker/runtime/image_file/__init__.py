"""Images that are a file, a file system: mounted as the only layer of a container, and made of an image.

Root's own files are mounted by the kernel's driver. For an ordinary user, and for root where there are no loop devices,
a FUSE program does it (server.py): the kernel lets no user mount a file system that it parses itself. It also does it
for a file that others than root may write to: drivers expect no file system that is hostile, or changes meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat

from mydocker import kernel
from mydocker.errors import ImageError, MydockerError
from mydocker.image.files.file_system import open_unchanged, read
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.image_file import attach
from mydocker.runtime.image_file.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mydocker.image.model import ImageFile
    from mydocker.reference import Reference

_DAMAGED = (errno.EINVAL, errno.EIO, errno.EUCLEAN, errno.EFBIG, errno.EBADMSG)


class ImageMount:
    """Context manager: the file system in FILE, mounted nowhere yet. `source` is for `attach.attach`, in a process of
    the container's mount and user namespaces. Nothing is left of it once all its mounts have gone, whatever ends this
    process.

    Raises ImageError if it is no such file system, HostError if this host cannot mount it.
    """

    def __init__(self, file: ImageFile) -> None:
        self.file = file
        self.source = -1
        self.server: Server | None = None

    def __enter__(self) -> ImageMount:
        reason = "the kernel lets only root do it"
        if os.geteuid() == 0:
            try:
                self.source = _by_kernel(self.file)
                return self
            except OSError as error:
                reason = _reason(self.file, error)
        self.server = Server(self.file, reason=reason)
        self.source = self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.source)
        self.abandon()

    def abandon(self) -> None:
        """End the program that reads the file, if there is one. A process that waits for it while that does not respond
        cannot be killed (fs/fuse/dev.c, request_wait_answer: "Either request is already in userspace")."""
        if self.server:
            self.server.end()

    def tree(self) -> int:
        """A descriptor of the mount, which is attached nowhere."""
        return attach.tree_of(self.source)


class HeldImageFiles:
    """Context manager: what root's kernel mounts of the files of IMAGES stays in memory meanwhile, for containers that
    come one after another. A file that cannot be mounted is for these to report."""

    def __init__(self, images: Iterable[Reference | None]) -> None:
        locations = {image.location: image for image in images if image and image.is_file_system}
        self.locations = [location for location in locations if location] if os.geteuid() == 0 else []
        self.mounts: list[int] = []

    def __enter__(self) -> None:
        for location in self.locations:
            try:
                self.mounts.append(_by_kernel(read(location).file))
            except (OSError, MydockerError):
                continue

    def __exit__(self, *_: object) -> None:
        for mount in self.mounts:
            os.close(mount)
        self.mounts.clear()


def _by_kernel(file: ImageFile) -> int:
    """A descriptor of the mount of FILE by the kernel's driver. OSError if it has none, lacks loop devices, or should
    not see this file."""
    descriptor = open_unchanged(file)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(errno.EPERM, "others than root may write to it")
        if kernel.file_system(descriptor)[0] == kernel.FUSE and _is_of_a_user(descriptor):
            raise PermissionError(errno.EPERM, "it is on a FUSE file system that an ordinary user has mounted")
        if file.kind == "erofs":
            try:
                return _mounted(file, f"/proc/self/fd/{descriptor}")
            except OSError as error:
                if error.errno != errno.ENOTBLK:  # before Linux 6.12 it takes block devices alone
                    raise
        from mydocker.kernel.loop import open_loop

        device, path = open_loop(descriptor, file.size)
        try:
            return _mounted(file, path)
        finally:
            os.close(device)
    finally:
        os.close(descriptor)


def _is_of_a_user(descriptor: int) -> bool:
    """Whether the FUSE file system of the file open at DESCRIPTOR is an ordinary user's, whose program decides what the
    owner and the content of a file are. With allow_other, root reads it as well (fuse(4), user_id)."""
    from mydocker.kernel.mountinfo import mount_of

    mount = mount_of(descriptor)
    return mount is None or any(each.startswith("user_id=") and each != "user_id=0" for each in mount.options)


def _mounted(file: ImageFile, source: str) -> int:
    attributes = kernel.ATTR_RDONLY | kernel.ATTR_NODEV
    return kernel.new_filesystem(file.kind, [("ro", None)], attributes=attributes, source=source)


def _reason(file: ImageFile, error: OSError) -> str:
    """Why the kernel has not mounted FILE. ImageError if that is the fault of the file; a kernel that lacks what it is
    compressed with reports EINVAL as well, and says more in words: "… compression. This is not supported"."""
    if error.errno in _DAMAGED and "support" not in (error.strerror or ""):
        why = f"the kernel cannot mount it: {error.strerror}"
        raise ImageError(f"{file.path}: {why}", hint="the file may be damaged") from None
    if error.errno == errno.ENODEV:
        return f"the kernel has no {file.kind}"
    if str(error.filename or "").startswith("/dev/loop"):
        return f"{error.filename}: {error.strerror}"
    return error.strerror or ""
