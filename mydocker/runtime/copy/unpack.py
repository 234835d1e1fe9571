"""A stream of tar becomes files in a directory, of the host or of a container: neither is trusted.

Every entry is made through no symbolic link, below the directory; what has another type is replaced, but a directory
neither replaces a file nor is replaced by one, as with `docker cp`.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from typing import BinaryIO

from mydocker import kernel
from mydocker.errors import LaunchError

_INSIDE = kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_SYMLINKS
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_ATTRIBUTE = "SCHILY.xattr."
_CHUNK = 1 << 20


class Unpacker:
    """Writes below directory TOP. Files belong to OWNER, or with None to whom the archive says. RIGHTS are the bits of
    a mode that are kept. With RENAME, a pair, what begins with the first name begins with the second one."""

    def __init__(
        self,
        top: int,
        *,
        owner: tuple[int, int] | None,
        rights: int = 0o7777,
        rename: tuple[str, str] | None = None,
    ) -> None:
        self.top, self.owner, self.rights, self.rename = top, owner, rights, rename
        self._directories: list[tuple[str, tarfile.TarInfo]] = []

    def read(self, source: BinaryIO) -> None:
        """Unpack all of SOURCE, compressed or not. Raises LaunchError, OSError."""
        try:
            with tarfile.open(fileobj=source, mode="r|*", errors="surrogateescape") as tar:
                for info in tar:
                    self._make(tar, info)
        except tarfile.TarError as error:
            raise LaunchError(f"cannot read the archive: {error}") from None
        for path, info in reversed(self._directories):  # what is made in them changes their times
            opened = kernel.open_inside(self.top, path, _DIRECTORY, resolve=_INSIDE)
            try:
                self._finish(opened, info)
            finally:
                os.close(opened)

    def _make(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        path = self._path(info.name)
        if path == ".":
            return
        above, name = os.path.split(path)
        parent = self._parent(above or ".")
        try:
            if info.isdir():
                self._make_directory(parent, name, path, info)
                return
            self._make_way(parent, name, path)
            if info.isreg():
                self._make_file(tar, info, parent, name)
            elif info.islnk():
                self._link(parent, name, self._path(info.linkname))
            elif info.issym():
                os.symlink(info.linkname, name, dir_fd=parent)
                self._chown(info, name, parent)
                os.utime(name, (info.mtime, info.mtime), dir_fd=parent, follow_symlinks=False)
            elif info.isfifo():
                os.mkfifo(name, 0o600, dir_fd=parent)
                self._chown(info, name, parent)
                os.chmod(name, info.mode & self.rights, dir_fd=parent)
            else:
                raise LaunchError(f"{path}: a device cannot be copied")
        finally:
            os.close(parent)

    def _path(self, name: str) -> str:
        parts = _parts(name)
        if self.rename and parts[:1] == [self.rename[0]]:
            parts[0] = self.rename[1]
        return "/".join(part for part in parts if part != ".") or "."

    def _parent(self, path: str) -> int:
        """The directory PATH below the top, made where it is missing: an archive need not have it."""
        try:
            return kernel.open_inside(self.top, path, _DIRECTORY, resolve=_INSIDE)
        except FileNotFoundError:
            above, name = os.path.split(path)
            parent = self._parent(above or ".")
            try:
                os.mkdir(name, 0o755, dir_fd=parent)
                opened = kernel.open_inside(parent, name, _DIRECTORY, resolve=_INSIDE)
            finally:
                os.close(parent)
            if self.owner:
                os.fchown(opened, *self.owner)
            return opened
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EXDEV):
                raise LaunchError(f"{path}: cannot overwrite what is not a directory with a directory") from None
            raise

    def _make_directory(self, parent: int, name: str, path: str, info: tarfile.TarInfo) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode):
                raise LaunchError(f"{path}: cannot overwrite what is not a directory with a directory") from None
        self._directories.append((path, info))

    def _make_way(self, parent: int, name: str, path: str) -> None:
        """Remove what is at NAME, unless it is a directory, or the mount point of a file: that is written to."""
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            raise LaunchError(f"{path}: cannot overwrite a directory with what is not one") from None
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise

    def _make_file(self, tar: tarfile.TarFile, info: tarfile.TarInfo, parent: int, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            opened = os.open(name, flags, 0o600, dir_fd=parent)
        except FileExistsError:  # a mount point
            flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            opened = os.open(name, flags, dir_fd=parent)
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                os.close(opened)
                raise LaunchError(f"{info.name}: something else is mounted there") from None
            os.ftruncate(opened, 0)
        with open(opened, "wb") as file:
            source = tar.extractfile(info)
            while source and (data := source.read(_CHUNK)):
                file.write(data)
            file.flush()
            self._finish(opened, info)

    def _finish(self, opened: int, info: tarfile.TarInfo) -> None:
        """The owner comes first: chown(2) takes away setuid bits and capabilities."""
        os.fchown(opened, *(self.owner or (info.uid, info.gid)))
        for key, value in info.pax_headers.items():
            if key.startswith(_ATTRIBUTE) and self.rights & stat.S_ISUID:
                try:
                    os.setxattr(opened, key.removeprefix(_ATTRIBUTE), value.encode(errors="surrogateescape"))
                except OSError as error:
                    if error.errno not in (errno.EPERM, errno.ENOTSUP):
                        raise
        os.fchmod(opened, info.mode & self.rights)
        os.utime(opened, (info.mtime, info.mtime))

    def _chown(self, info: tarfile.TarInfo, name: str, parent: int) -> None:
        os.chown(name, *(self.owner or (info.uid, info.gid)), dir_fd=parent, follow_symlinks=False)

    def _link(self, parent: int, name: str, target: str) -> None:
        above, last = os.path.split(target)
        directory = kernel.open_inside(self.top, above or ".", _DIRECTORY, resolve=_INSIDE)
        try:
            os.link(last, name, src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(directory)


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise LaunchError(f"the archive has a name with ..: {name}")
    return parts
