"""Extraction: a layer's entries become files below one directory, in the archive's order.

It writes what its process may write, see sandbox.py, and follows only links of the layer itself, as a process would
whose root directory the layer is (openat2(2), RESOLVE_IN_ROOT). Entries have been judged before, see scan.py.

Written here and not by GNU tar, which has to be fed: each byte would be copied twice more, through a pipe, and a file
of the usual size costs no more this way. A few directories are kept open, since most entries lie near the last one.

A file takes five system calls, open, write, fchown, utimensat and close; and no fchown where the first one of its
directory has shown that files are born with that owner and mode.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from mydocker import kernel
from mydocker.errors import HostError, ImageError, MydockerError, StoreError
from mydocker.image.tar import entries, header, sparse
from mydocker.image.tar.entries import Owner
from mydocker.image.tar.header import Entry, Malformed
from mydocker.image.tar.tarsplit import Piece

T = TypeVar("T")

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_IMPLIED, _ROOT = 0o755, (0, 0)  # mode and owner of a directory that no entry is about
_NEW = 0o600  # the mode of a file that gets a particular one later
_LAST = 0o777  # the last mode that a file may be made with: those with set-user-ID come when the contents are there
_NO_EXTENSIONS: Mapping[bytes, bytes] = {}
_NOWHERE = b"/"  # no entry's parent has this path
_OPEN = 16  # directories
_NODES = {header.FIFO: stat.S_IFIFO, header.CHARACTER: stat.S_IFCHR, header.BLOCKDEV: stat.S_IFBLK}
_TIMED = struct.Struct("<qQH")  # of a directory: nanoseconds, inode, bytes of the path that follows
# no link or FIFO has a `user.` attribute, and some file systems have none at all: such are left out, as Docker does
_TOLERATED = (errno.EPERM, errno.ENOTSUP)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a file system without room answers
ROOM = "free some space, or set MYDOCKER_ROOT to a larger file system"


class _Made(NamedTuple):
    """What a file gets once its contents are there; `modified` in nanoseconds since 1970."""

    mode: int
    owner: Owner
    modified: int
    xattrs: Mapping[bytes, bytes]


class Extraction:
    """Writes below the directory that is open at ROOT; errors are about the layer WHAT.

    OWNED says whether files get the owners that the archive states, or all are of who writes them.
    """

    def __init__(self, root: int, *, what: str, owned: bool) -> None:
        self._root, self._what, self._owned = root, what, owned
        self._directory, self._path = os.dup(root), b""  # where the last entry was
        self._open = {self._path: self._directory}  # by path, as long as that leads there; the last used comes last
        # by the mode that a file is made with in there: whose it is, None if the mode becomes another one
        self._born: dict[int, Owner | None] = {}
        self._times = bytearray()

    def plain(self, block: Piece, path: bytes, contents: Sequence[Piece]) -> None:
        """The file or directory PATH with the header BLOCK, as `header.plain` has read it, and all its CONTENTS.
        Malformed, and MydockerError for what cannot be written."""
        mode, owner = _rights(bytes(block[header.RIGHTS]))
        modified = header.modified(bytes(block[header.MTIME]), _NO_EXTENSIONS)
        try:
            if block[header.TYPE] == header.DIRECTORY:
                self._make_directory(path, _Made(mode, owner, modified, {}))
                return
            file = self._create(path, mode)
            try:
                if contents:
                    _write(file, contents)
                self._settle(file, mode, owner, path)
                os.utime(file, ns=(modified, modified))
            finally:
                os.close(file)
        except OSError as error:
            raise self._explained(error, path) from None

    def entry(self, entry: Entry, path: bytes, headers: bytes, contents: Iterator[Piece]) -> None:
        """ENTRY, as PATH, by all its HEADERS; CONTENTS are read as far as it has use for them. Malformed, also for
        a sparse file without a map that makes sense, and MydockerError for what cannot be written."""
        block, extensions = entries.taken_apart(headers)
        modified = header.modified(block[header.MTIME], extensions)
        owner, xattrs = header.owner(block, extensions), entries.kept_xattrs(extensions)
        made = _Made(header.mode(block), owner, modified, xattrs)
        try:
            if entry.type == header.DIRECTORY:
                self._make_directory(path, made)
            elif entry.is_plain:
                self._make_file(path, made, lambda file: _write_all(file, contents))
            elif entry.type in (header.REGULAR, header.SPARSE):
                self._make_file(path, made, lambda file: sparse.expand(file, block, extensions, contents))
            elif entry.type == header.HARDLINK:
                self._link(path, b"/".join(header.components(entry.link)))
            else:
                self._make_other(path, entry, made)
        except ValueError as error:  # an attribute's name with NUL in it
            raise Malformed(str(error)) from None
        except OSError as error:
            raise self._explained(error, path) from None

    def finish(self) -> None:
        """Give directories their times, now that nothing is put into them any more. OSError."""
        start = 0
        while start < len(self._times):
            modified, inode, length = _TIMED.unpack_from(self._times, start)
            start += _TIMED.size + length
            path = bytes(self._times[start - length : start])
            try:
                self._set_time(path, modified, inode)
            except (FileNotFoundError, NotADirectoryError):  # something else has taken its place
                continue
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise self._explained(error, path) from None
        for directory in self._open.values():
            os.close(directory)

    def _set_time(self, path: bytes, modified: int, inode: int) -> None:
        """Give the directory PATH its time, if it is still the one with INODE."""
        parent, _, name = path.rpartition(b"/")
        if parent != self._path:
            self._stay(self._found(parent), parent)
        at, name = (self._directory, name) if path else (self._root, b".")
        found = os.stat(name, dir_fd=at, follow_symlinks=False)
        if found.st_ino == inode and stat.S_ISDIR(found.st_mode):
            os.utime(name, ns=(modified, modified), dir_fd=at, follow_symlinks=False)

    def _make_file(self, path: bytes, made: _Made, fill: Callable[[int], object]) -> None:
        file = self._create(path, made.mode)
        try:
            fill(file)
            self._settle(file, made.mode, made.owner, path)
            self._set_attributes(file, made, path)
            os.utime(file, ns=(made.modified, made.modified))
        finally:
            os.close(file)

    def _create(self, path: bytes, mode: int) -> int:
        """The new file PATH, open for writing, with what MODE a file may have before it has its contents."""
        parent, _, name = path.rpartition(b"/")
        at = self._directory if parent == self._path else self._enter(parent)
        first = mode if mode <= _LAST else _NEW
        try:
            return os.open(name, _CREATE, first, dir_fd=at)
        except FileExistsError:
            return self._place(path, lambda at, name: os.open(name, _CREATE, first, dir_fd=at))

    def _settle(self, file: int, mode: int, owner: Owner, path: bytes) -> None:
        """Owner and MODE of the FILE of PATH in the present directory, in this order: a new owner takes rights away.

        A default ACL, a set-group-ID bit, or whoever serves the file system may have a say in what a new file has
        (acl(5), open(2)); but it is the same for all that are made in one directory with one mode.
        """
        if mode not in self._born:
            found = os.fstat(file)
            is_right = stat.S_IMODE(found.st_mode) == mode
            self._born[mode] = (found.st_uid, found.st_gid) if is_right else None
        born = self._born[mode]
        if born != owner:
            self._give(file, owner, path)
        if born is None:
            os.fchmod(file, mode)

    def _make_directory(self, path: bytes, made: _Made) -> None:
        """What is in it already stays. Its time comes last, see `finish`."""
        if path:
            mode = made.mode
            self._stay(self._place(path, lambda at, name: _open_directory(at, name, mode)), path)
        else:
            self._stay(os.dup(self._root), path)
        found = os.fstat(self._directory)
        if (found.st_uid, found.st_gid) != made.owner:
            self._give(self._directory, made.owner, path)
        if stat.S_IMODE(found.st_mode) != made.mode:
            os.fchmod(self._directory, made.mode)
        self._set_attributes(self._directory, made, path)
        self._times += _TIMED.pack(made.modified, found.st_ino, len(path)) + path

    def _set_attributes(self, file: int | bytes, made: _Made, path: bytes) -> None:
        for name, value in made.xattrs.items():
            self._set_attribute(file, name, value, path)

    def _give(self, file: int | bytes, owner: Owner, path: bytes, *, at: int | None = None) -> None:
        """Give FILE, open or the name of one in the directory open as AT, to OWNER."""
        if not self._owned:
            return
        try:
            os.chown(file, *owner, dir_fd=at, follow_symlinks=at is None)
        except OSError as error:
            if error.errno != errno.EINVAL:  # of a user namespace without that number
                raise
            why = f"it belongs to {owner[0]}:{owner[1]}, whom this user does not have"
            hint = "the image has more users than /etc/subuid and /etc/subgid grant to this one"
            raise HostError(self._message(path, why), hint=hint) from None

    def _set_attribute(self, file: int | bytes, name: bytes, value: bytes, path: bytes) -> None:
        try:
            os.setxattr(file, name, value, follow_symlinks=isinstance(file, int))
        except OSError as error:
            if error.errno in _TOLERATED:
                return
            why = f"its extended attribute {os.fsdecode(name)!r:.100}: {error.strerror}"
            hint = "if the store's file system has no room for it, MYDOCKER_ROOT names another"
            raise ImageError(self._message(path, why), hint=hint) from None

    def _make_other(self, path: bytes, entry: Entry, made: _Made) -> None:
        """A symbolic link, FIFO or device."""

        def make(at: int, name: bytes) -> None:
            if entry.type == header.SYMLINK:
                os.symlink(entry.link, name, dir_fd=at)
            else:
                os.mknod(name, 0o600 | _NODES[entry.type], os.makedev(*entry.device), dir_fd=at)

        self._place(path, make)
        at, name = self._directory, os.path.basename(path)
        if entry.type != header.SYMLINK or made.owner not in self._born.values():  # links are born as files are
            self._give(name, made.owner, path, at=at)
        if entry.type != header.SYMLINK:
            os.chmod(name, made.mode, dir_fd=at)
        if made.xattrs:
            self._set_attributes(b"/proc/self/fd/%d/%b" % (at, name), made, path)
        os.utime(name, ns=(made.modified, made.modified), dir_fd=at, follow_symlinks=False)

    def _link(self, path: bytes, target: bytes) -> None:
        """PATH is another name of TARGET, itself if that is a symbolic link."""
        parent, _, last = target.rpartition(b"/")
        source = kernel.open_inside(self._root, os.fsdecode(parent), _DIRECTORY)

        def make(at: int, name: bytes) -> None:
            try:
                os.link(last, name, src_dir_fd=source, dst_dir_fd=at, follow_symlinks=False)
            except FileExistsError:
                there = os.lstat(name, dir_fd=at)
                if stat.S_ISDIR(there.st_mode) or not os.path.samestat(os.lstat(last, dir_fd=source), there):
                    raise

        try:
            self._place(path, make)
        finally:
            os.close(source)

    def _place(self, path: bytes, make: Callable[[int, bytes], T]) -> T:
        """What MAKE gives, which makes PATH: it gets the directory, the present one from now on, and the name there.
        Whatever was there is removed; not what is in a directory, whose contents would be lost unseen."""
        parent, _, name = path.rpartition(b"/")
        at = self._directory if parent == self._path else self._enter(parent)
        try:
            return make(at, name)
        except FileExistsError:
            if stat.S_ISDIR(os.lstat(name, dir_fd=at).st_mode):
                os.rmdir(name, dir_fd=at)
            else:
                os.unlink(name, dir_fd=at)
            self._forget()  # what was a link may have led to one of them
            return make(at, name)

    def _enter(self, path: bytes) -> int:
        """The directory PATH, which is made if it is not there; the present one from now on."""
        missing: list[bytes] = []
        known = path
        while True:
            try:
                opened = self._found(known)
                break
            except FileNotFoundError:
                known, _, name = known.rpartition(b"/")
                missing.append(name)
        self._stay(opened, known)
        while missing:
            name = missing.pop()
            try:
                os.mkdir(name, _IMPLIED, dir_fd=self._directory)
            except FileExistsError:
                raise OSError(errno.ENOENT, "a link above it leads nowhere") from None
            opened = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=self._directory)
            self._stay(opened, b"/".join((self._path, name)) if self._path else name)
            self._give(opened, _ROOT, path)  # whatever the group is of the directory above
            os.fchmod(opened, _IMPLIED)
        return opened

    def _found(self, path: bytes) -> int:
        """The directory PATH, where links lead to. FileNotFoundError if it is not there, OSError."""
        opened = self._open.get(path)
        return kernel.open_inside(self._root, os.fsdecode(path), _DIRECTORY) if opened is None else opened

    def _stay(self, directory: int, path: bytes) -> None:
        """DIRECTORY, which PATH leads to, is the present one from now on."""
        before = self._open.pop(path, directory)
        if before != directory:
            os.close(before)
        self._open[path] = directory
        if len(self._open) > _OPEN:
            os.close(self._open.pop(next(iter(self._open))))
        self._directory, self._path = directory, path
        self._born = {}

    def _forget(self) -> None:
        """No path leads to a directory that is open."""
        for directory in self._open.values():
            if directory != self._directory:
                os.close(directory)
        self._open, self._path = {_NOWHERE: self._directory}, _NOWHERE

    def _explained(self, error: OSError, path: bytes) -> MydockerError:
        why = (error.strerror or str(error)).partition(" (")[0]  # without the system call, if it has one
        message = self._message(path, why)
        return StoreError(message, hint=ROOM) if error.errno in FULL else ImageError(message)

    def _message(self, path: bytes, why: str) -> str:
        return header.about(self._what, path, f"cannot be unpacked: {why}")


def _open_directory(at: int, name: bytes, mode: int) -> int:
    """NAME in the directory open as AT, made with MODE if it is not there. FileExistsError if it is something else."""
    try:
        os.mkdir(name, mode, dir_fd=at)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(name, dir_fd=at).st_mode):
            raise
    return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=at)


def _write_all(file: int, contents: Iterator[Piece]) -> None:
    for piece in contents:
        _write(file, (piece,))


def _write(file: int, pieces: Sequence[Piece]) -> None:
    """All of a few PIECES, at once if the file system takes them so."""
    written = os.writev(file, pieces)
    for piece in pieces:
        rest = memoryview(piece)[written:]
        written = max(0, written - len(piece))
        while rest:
            rest = rest[os.write(file, rest) :]


@lru_cache(maxsize=64)  # entries that follow each other have the same ones
def _rights(fields: bytes) -> tuple[int, Owner]:
    """Mode and owner by the 24 bytes that a header has for them."""
    number = header.number
    return number(fields[:8]) & 0o7777, (number(fields[8:16]), number(fields[16:]))
