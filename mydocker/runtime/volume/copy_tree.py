"""Copying a directory tree: files with their holes, links, owners, modes, times and attributes.

Nothing in the tree is trusted: no link is followed, and neither recursion, nor open files, nor the length of a path
grows with its depth.
"""

from __future__ import annotations

import errno
import os
import stat

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 30  # sendfile(2) transfers up to 2 GiB
_LINKABLE = 3000  # a path of more characters might be longer than link(2) takes in bytes
_PRIVATE_ATTRIBUTES = ("trusted.", "user.overlay.", "security.selinux", "system.")


def copy_tree(source: int, top: str, *, exact: bool = False, same_device: bool = False) -> None:
    """Copy what is in directory SOURCE, which is closed, to directory TOP, which no other process uses. Raises OSError.

    With `exact` also what only makes sense within a file system: devices, the marks of overlayfs among them, and all
    attributes. With `same_device`, nothing of what is mounted below SOURCE.

    Goes up by `..`: no process moves directories in either tree.
    """
    links: dict[tuple[int, int], str] = {}
    target, names, above = os.open(top, _DIRECTORY), iter(os.listdir(source)), list[tuple[str, "Iterator[str]"]]()
    anchor, device = os.dup(target), os.fstat(source).st_dev if same_device else None
    try:
        while True:
            name = next(names, None)
            if name is None:
                copy_metadata(source, target, exact=exact)
                if not above:
                    return
                _, names = above.pop()
                source, target = _step(source, ".."), _step(target, "..")
                continue
            status = os.stat(name, dir_fd=source, follow_symlinks=False)
            if device not in (None, status.st_dev):
                continue
            if stat.S_ISDIR(status.st_mode):
                os.mkdir(name, 0o700, dir_fd=target)
                above.append((name, names))
                source, target = _step(source, name), _step(target, name)
                names = iter(os.listdir(source))
            else:
                path = "/".join([*(parent for parent, _ in above), name])
                _copy_entry(name, source, target, links=links, path=path, anchor=anchor, exact=exact)
    finally:
        for descriptor in (source, target, anchor):
            os.close(descriptor)


def _step(directory: int, name: str) -> int:
    """The directory NAME of DIRECTORY, which is closed."""
    try:
        return os.open(name, _DIRECTORY, dir_fd=directory)
    finally:
        os.close(directory)


def _copy_entry(
    name: str, source: int, target: int, *, links: dict[tuple[int, int], str], path: str, anchor: int, exact: bool
) -> None:
    """Copy NAME, no directory, from SOURCE to TARGET. PATH is where that is below ANCHOR, for later links to it."""
    status = os.stat(name, dir_fd=source, follow_symlinks=False)
    inode = (status.st_dev, status.st_ino)
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        _chown(status, name, target)
        os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=target, follow_symlinks=False)
    elif stat.S_ISFIFO(status.st_mode):
        os.mkfifo(name, 0o600, dir_fd=target)
        _chown(status, name, target)
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=target)
    elif stat.S_ISREG(status.st_mode) and inode in links:
        os.link(links[inode], name, src_dir_fd=anchor, dst_dir_fd=target, follow_symlinks=False)
    elif stat.S_ISREG(status.st_mode):
        _copy_file(name, source, target, exact=exact)
        if status.st_nlink > 1 and len(path) < _LINKABLE and path.isascii():
            links[inode] = path
    elif exact:
        os.mknod(name, status.st_mode, status.st_rdev, dir_fd=target)
        _chown(status, name, target)


def _chown(status: os.stat_result, name: str, directory: int) -> None:
    try:
        os.chown(name, status.st_uid, status.st_gid, dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        _let_pass(error)


def _copy_file(name: str, source: int, target: int, *, exact: bool) -> None:
    before = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    try:
        after = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            _copy_bytes(before, after)
            copy_metadata(before, after, exact=exact)
        finally:
            os.close(after)
    finally:
        os.close(before)


def _copy_bytes(before: int, after: int) -> None:
    """The bytes, and the holes as holes: a sparse file of an image may be larger than the disk (lseek(2))."""
    size, offset = os.fstat(before).st_size, 0
    os.ftruncate(after, size)
    while offset < size:
        try:
            offset = os.lseek(before, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole until the end
                return
            raise
        end = os.lseek(before, offset, os.SEEK_HOLE)
        os.lseek(after, offset, os.SEEK_SET)
        while offset < end:
            offset += os.sendfile(after, before, offset, min(end - offset, _CHUNK)) or end


def copy_metadata(before: int, after: int, *, exact: bool = False) -> None:
    """Give AFTER the owner, mode, times and attributes of BEFORE.

    The owner comes first: chown(2) takes away setuid bits and security.capability.
    """
    status = os.fstat(before)
    try:
        os.fchown(after, status.st_uid, status.st_gid)
    except OSError as error:
        _let_pass(error)
    for name in os.listxattr(before):
        if exact or not name.startswith(_PRIVATE_ATTRIBUTES) or name.startswith("system.posix_acl"):
            try:
                os.setxattr(after, name, os.getxattr(before, name))
            except OSError as error:
                _let_pass(error)
    os.fchmod(after, stat.S_IMODE(status.st_mode))
    os.utime(after, ns=(status.st_atime_ns, status.st_mtime_ns))


def _let_pass(error: OSError) -> None:
    """Owners and attributes that this user namespace or this file system does not have are left out."""
    if error.errno not in (errno.EINVAL, errno.EPERM, errno.ENOTSUP, errno.EOVERFLOW):
        raise error
