"""A file or a directory becomes a stream of tar; its tree may be that of a container that runs, and is not trusted.

Nothing is opened by a path that a link could change: each directory is opened from the top through no link, each file
by a descriptor that has been judged. Of the kernel's own file systems only the mount point is taken, never contents. A
file that changes meanwhile keeps the length that its header states.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from collections.abc import Iterator
from typing import IO, BinaryIO

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.kernel.beneath import KERNEL_FILE_SYSTEMS, why_unreadable
from mydocker.runtime.inspect.file import open_directory

_KEPT = ("security.capability", "user.")  # the beginnings of the names of the extended attributes that are taken
_MARKS = ("user.overlay.",)
_ENTRY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Packer:
    """Context manager: writes to OUT, which it does not close. With `whole`, it takes a tree without what is mounted in
    there, of which there are empty mount points, and its devices; else a device is an error: nothing could be made of
    it."""

    def __init__(self, out: BinaryIO, *, whole: bool = False) -> None:
        self.tar = tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT, errors="surrogateescape")  # noqa: SIM115
        self.whole = whole
        self._links: dict[tuple[int, int], str] = {}  # what has several names: the first of these

    def __enter__(self) -> Packer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write the end of the archive, which has none after an error."""
        if kind is None:
            self.tar.close()
        else:
            setattr(self.tar.fileobj, "closed", True)  # noqa: B010  # or it would be written nevertheless

    def add(self, top: int, name: str) -> None:
        """Add the file or directory open at O_PATH descriptor TOP as NAME; empty: what is in the directory, without it,
        so that each name is a path from there, as in the archives of `docker export`."""
        if not stat.S_ISDIR(os.fstat(top).st_mode):
            self.add_entry(top, name)
            return
        pending = [""]
        while pending:
            inside = pending.pop()
            directory = open_directory(top, inside)
            if directory is None:  # another process has removed it
                continue
            try:
                if path := "/".join(filter(None, (name, inside))):
                    self.add_entry(directory, path)
                if kernel.file_system(directory)[0] not in KERNEL_FILE_SYSTEMS:
                    pending += self._add_files(directory, inside, name)
            finally:
                os.close(directory)

    def _add_files(self, directory: int, inside: str, name: str) -> Iterator[str]:
        """Add what is in DIRECTORY but for directories, which are returned by their paths, the last one first."""
        above = f"{inside}/" if inside else ""
        place = f"{name}/{above}" if name else above
        below = []
        for each in sorted(os.listdir(directory)):
            try:
                entry = self._open(directory, each)
            except FileNotFoundError:  # another process has removed it
                continue
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self._add_mount_point(directory, each, f"{place}{each}")
                continue
            try:
                if stat.S_ISDIR(os.fstat(entry).st_mode):
                    below.append(f"{above}{each}")
                else:
                    self.add_entry(entry, f"{place}{each}")
            finally:
                os.close(entry)
        return reversed(below)

    def _open(self, directory: int, name: str) -> int:
        if not self.whole:
            return os.open(name, _ENTRY, dir_fd=directory)
        resolve = kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_XDEV
        return kernel.open_inside(directory, name, _ENTRY, resolve=resolve)

    def add_empty(self, name: str) -> None:
        """Add an empty file NAME."""
        self.tar.addfile(tarfile.TarInfo(name))

    def _add_mount_point(self, directory: int, name: str, path: str) -> None:
        info = tarfile.TarInfo(path)
        is_directory = stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
        info.type, info.mode = (tarfile.DIRTYPE, 0o755) if is_directory else (tarfile.REGTYPE, 0o644)
        self.tar.addfile(info)

    def add_entry(self, entry: int, name: str) -> None:
        """Add what is open at O_PATH descriptor ENTRY as NAME, of a directory itself alone."""
        status = os.fstat(entry)
        info = tarfile.TarInfo(name)
        info.mode, info.uid, info.gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
        info.mtime = status.st_mtime_ns // 10**9
        if stat.S_ISREG(status.st_mode):
            self._add_file(entry, info, status)
            return
        if stat.S_ISDIR(status.st_mode):
            info.type = tarfile.DIRTYPE
        elif stat.S_ISLNK(status.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink("", dir_fd=entry)
        elif stat.S_ISFIFO(status.st_mode):
            info.type = tarfile.FIFOTYPE
        elif stat.S_ISSOCK(status.st_mode):  # it is nothing without its process
            return
        elif self.whole:
            info.type = tarfile.CHRTYPE if stat.S_ISCHR(status.st_mode) else tarfile.BLKTYPE
            info.devmajor, info.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
        else:
            raise LaunchError(f"{name}: a device cannot be copied")
        info.pax_headers = _attributes(entry) if stat.S_ISDIR(status.st_mode) else {}
        self.tar.addfile(info)

    def _add_file(self, entry: int, info: tarfile.TarInfo, status: os.stat_result) -> None:
        inode = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and inode in self._links:
            info.type, info.linkname = tarfile.LNKTYPE, self._links[inode]
            self.tar.addfile(info)
            return
        if why := why_unreadable(entry):
            raise LaunchError(f"{info.name}: it {why}")
        self._links[inode] = info.name
        opened = os.open(f"/proc/self/fd/{entry}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with open(opened, "rb") as file:
            info.size = os.fstat(opened).st_size
            info.pax_headers = _attributes(entry)
            self.tar.addfile(info, _OfLength(file, info.size))  # type: ignore[arg-type]  # all that it reads


class _OfLength:
    """FILE with exactly SIZE bytes, zeros after its end."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.left = file, size

    def read(self, count: int) -> bytes:
        data = self.file.read(min(count, self.left)) or b""
        data = data or bytes(min(count, self.left))
        self.left -= len(data)
        return data


def _attributes(entry: int) -> dict[str, str]:
    """The extended attributes that are kept, as pax records (SCHILY.xattr, as Docker writes them)."""
    path = f"/proc/self/fd/{entry}"
    try:
        names = [name for name in os.listxattr(path) if name.startswith(_KEPT) and not name.startswith(_MARKS)]
        values = {f"SCHILY.xattr.{name}": os.getxattr(path, name) for name in names}
    except OSError:  # ENOTSUP: this file system has none
        return {}
    return {name: value.decode(errors="surrogateescape") for name, value in values.items()}
