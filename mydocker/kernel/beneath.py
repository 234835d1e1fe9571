"""Paths inside an untrusted root: opened, and created where missing, without ever leaving it.

Takes a descriptor of the root directory and an absolute path below it; returns O_PATH descriptors, and for the contents
of files one that is open for reading.
"""

from __future__ import annotations

import errno
import os
import stat

from mydocker import kernel
from mydocker.errors import LaunchError, hint_for

LINK_LIMIT = 40  # as the kernel's own MAXSYMLINKS (path_resolution(7))
# File systems whose files the kernel generates (linux/magic.h). What they return depends on mydocker's rights, not
# on the container's (kernel addresses, the log); reading may change it (/proc/kmsg), and may never end.
KERNEL_FILE_SYSTEMS = frozenset(
    {
        0x9FA0,  # proc
        0x62656572,  # sysfs
        0x27E0EB,  # cgroup
        0x63677270,  # cgroup2
        0x64626720,  # debugfs
        0x74726163,  # tracefs
        0x73636673,  # securityfs
        0x5A3C69F0,  # apparmorfs
        0xF97CFF8C,  # selinuxfs
        0x43415D53,  # smackfs
        0x62656570,  # configfs
        0xCAFE4A11,  # bpf
        0xDE5E81E4,  # efivarfs
        0x6165676C,  # pstore
        0x42494E4D,  # binfmt_misc
        0x65735543,  # fusectl
        0x67596969,  # rpc_pipefs
        0x6E667364,  # nfsd
        0x07655821,  # resctrl
        0xABBA1974,  # xenfs
        0x6E736673,  # nsfs
        0x50494446,  # pidfs
        0x19800202,  # mqueue
        0x1CD1,  # devpts
    }
)


class UnreadableFileError(LaunchError):
    """A file whose contents are not read, because it is not a regular one or belongs to the kernel."""


def open_existing(root: int, path: str, *, follow: bool = True, directory: bool = False) -> int:
    """Open PATH below ROOT; with `follow`, symlinks are followed inside, else any of them is refused (ELOOP)."""
    flags = os.O_PATH | (os.O_DIRECTORY if directory else 0)
    resolve = kernel.RESOLVE_IN_ROOT | (0 if follow else kernel.RESOLVE_NO_SYMLINKS)
    try:
        return kernel.open_inside(root, path, flags, resolve=resolve)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        why = "too many symbolic links" if follow else "a symbolic link of the image that may not be followed"
        raise LaunchError(f"{path} in the container leads through {why}") from None


def open_if_present(root: int, path: str, *, follow: bool = False) -> int | None:
    """The same, or None if there is nothing at PATH."""
    try:
        return open_existing(root, path, follow=follow)
    except (FileNotFoundError, NotADirectoryError):
        return None


def open_regular(root: int, path: str) -> int:
    """Open PATH below ROOT, a regular file, for reading.

    Its type is checked through an O_PATH descriptor first: opening a device or a FIFO may already wait, or have an
    effect. Raises OSError, UnreadableFileError.
    """
    probe = kernel.open_inside(root, path, os.O_PATH)
    try:
        _check_regular(probe, path)
    finally:
        os.close(probe)
    descriptor = kernel.open_inside(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _check_regular(descriptor, path)  # a running container may have put another file there
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(descriptor: int, path: str) -> None:
    if why := why_unreadable(descriptor):
        raise UnreadableFileError(f"{path}: {why}")


def why_unreadable(descriptor: int) -> str:
    """Why the contents of the file open at DESCRIPTOR are not read; empty if it is a regular file that holds data."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return "is not a regular file"
    if kernel.file_system(descriptor)[0] in KERNEL_FILE_SYSTEMS:
        return "is not a regular file, but one of the kernel's (proc, sysfs and the like)"
    return ""


def make_target(root: int, path: str, *, directory: bool, follow: bool = True) -> int:
    """Open PATH below ROOT as something to mount on, after creating it (0755, or an empty file) if it is missing.

    A dangling symlink of the image (resolv.conf in many) is followed, inside, and its end created.
    """
    for _ in range(LINK_LIMIT):
        try:
            return open_existing(root, path, follow=follow, directory=directory)
        except FileNotFoundError:
            path = _create(root, path, directory=directory, follow=follow)
        except NotADirectoryError:
            raise LaunchError(f"{path} in the container is not a directory, or lies below what is none") from None
    raise LaunchError(f"{path}: too many levels of symbolic links in the image")


def make_directory(root: int, path: str) -> int:
    """Open directory PATH below ROOT, after creating it and its parents, with mode 0755, where missing."""
    return make_target(root, path, directory=True)


def create_file(root: int, path: str) -> int:
    """Create PATH below ROOT, an empty file, in a directory that is there; a descriptor of it, to mount on. OSError if
    something has that name, and LaunchError if the directory is a link."""
    parent, name = os.path.split(path)
    above = open_existing(root, parent, follow=False, directory=True)
    try:
        return os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=above)
    finally:
        os.close(above)


def _create(root: int, path: str, *, directory: bool, follow: bool) -> str:
    """Create the last component of PATH; the path to open next, another one if a dangling link is there."""
    parent, name = os.path.split(path.rstrip("/"))
    if not name or name == "..":
        raise LaunchError(f"{path!r} cannot be created in the container")
    above = make_target(root, parent or "/", directory=True, follow=follow)
    try:
        if directory:
            os.mkdir(name, 0o755, dir_fd=above)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=above))
    except FileExistsError:
        if not stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
            return path  # another container, which has the same volume, was faster
        if not follow:
            raise LaunchError(f"{path} in the image is a symbolic link") from None
        return os.path.join(parent, os.readlink(name, dir_fd=above))
    except OSError as error:
        message = f"{path} cannot be created in the container: {error.strerror}"
        raise LaunchError(message, hint=hint_for(error)) from None
    finally:
        os.close(above)
    return path
