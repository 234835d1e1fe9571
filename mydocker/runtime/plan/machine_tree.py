"""The machine's own tree, copy-on-write, as operations in a MemoryRoot; imported only for `rootfs: /`.

One overlay for each top-level directory, because one for `/` would have its upper directory inside its lower one.
`/run` and `/tmp` are empty, as in a container of an image: what is in them belongs to processes of the machine.

Overlayfs does not show what is mounted below a lower directory. For an ordinary user it even refuses such a directory:
in a user namespace these mounts are locked, and what they hide must stay hidden (mount_namespaces(7)). There the
directory is built again: a directory in memory, an overlay for each entry that has no mount below it, the same again
along the path to each mount, and the mount itself, read-only.
"""

from __future__ import annotations

import contextlib
import os
import stat

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.kernel.mountinfo import mounts
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.plan.operations import READ_ONLY, Bind, CopyOnWrite, Operation, Symlink, copy_ownership
from mydocker.runtime.plan.root import overlay_options

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN_MOUNTS = ("dev", "proc", "sys")  # a container has its own, whatever its root
EMPTY = ("run", "tmp")
COPIED = 1 << 20  # bytes: of a directory that is built again, files up to this size are copied, larger ones bound
ENTRIES = 2000  # of one directory that is built again; one with more is shown read-only


class Part(CopyOnWrite):
    """A directory of the machine; one that is gone since the plan was made is left out."""

    def apply(self, root: int) -> None:
        if os.path.isdir(self.source):
            super().apply(root)


class EmptyPart(CopyOnWrite):
    """An empty directory in the place of the machine's, with its mode and owner."""

    @property
    def lower(self) -> tuple[str, ...]:
        return self.over

    def layers(self) -> tuple[str, ...]:
        empty = f"{self.scratch}/lower"
        os.mkdir(empty)
        return (empty, *self.over)


class RebuiltPart(CopyOnWrite):
    """A directory in memory with the entries of the machine's: subdirectories as mount points, links, and files."""

    @property
    def lower(self) -> tuple[str, ...]:
        return (f"{self.scratch}/lower", *self.over)

    def layers(self) -> tuple[str, ...]:
        copy = f"{self.scratch}/lower"
        os.mkdir(copy)
        copy_ownership(self.source, copy)
        with os.scandir(self.source) as entries:
            for entry in entries:
                try:
                    _copy(entry, f"{copy}/{entry.name}")
                except (FileNotFoundError, PermissionError):  # gone, or not readable: a large file is bound anyway
                    continue
        return (copy, *self.over)


class SubMount(Bind):
    """What is mounted at the source, read-only. A file system that cannot be mounted, such as another user's FUSE or a
    server that does not respond, is left out."""

    attributes: int = READ_ONLY | kernel.ATTR_NODEV
    recursive: bool = True
    follow: bool = False

    def apply(self, root: int) -> None:
        with contextlib.suppress(OSError, LaunchError):
            super().apply(root)


def machine_tree(run_dir: str, *, user_xattrs: bool) -> tuple[Operation, ...]:
    """The operations that show the machine's tree. With `user_xattrs` it is for an ordinary user."""
    return tuple(_Builder(run_dir, user_xattrs=user_xattrs).top())


class _Builder:
    def __init__(self, run_dir: str, *, user_xattrs: bool) -> None:
        self._scratch = f"{run_dir}/scratch"
        self._options = overlay_options(user_xattrs=user_xattrs)
        self._rebuilds = user_xattrs
        self._count = 0
        skipped = tuple(f"/{name}/" for name in (*OWN_MOUNTS, *EMPTY))
        mounted = [mount for mount in mounts() if mount.path != "/" and not f"{mount.path}/".startswith(skipped)]
        self._mounted = {mount.path for mount in mounted}
        self._disks = {
            mount.path for mount in mounted if mount.source.startswith("/dev/") and os.path.isdir(mount.path)
        }
        self._above = {above for path in self._mounted for above in _parents(path)}

    def top(self) -> Iterator[Operation]:
        for entry in sorted(os.scandir("/"), key=lambda entry: entry.name):
            if entry.is_symlink():
                yield Symlink(target=entry.path, to=os.readlink(entry.path))
            elif entry.name in EMPTY and entry.is_dir():
                yield self._overlay(EmptyPart, entry.path)
            elif entry.is_dir() and entry.name not in OWN_MOUNTS:
                yield from self._directory(entry.path)
            elif entry.is_file():
                attributes = READ_ONLY | kernel.ATTR_NODEV
                yield Bind(target=entry.path, source=entry.path, attributes=attributes)
        if not self._rebuilds:
            yield from (self._overlay(Part, path) for path in sorted(self._disks) if path.count("/") > 1)

    def _directory(self, path: str) -> Iterator[Operation]:
        entries = _entries(path) if self._rebuilds and path in self._above else None
        if entries is None:
            yield self._overlay(Part, path)
            return
        yield self._overlay(RebuiltPart, path)
        for name, is_directory in entries:
            below = f"{path}/{name}"
            if not is_directory:
                yield SubMount(target=below, source=below)
            elif below not in self._mounted or (below in self._disks and below not in self._above):
                yield from self._directory(below)
            else:
                yield SubMount(target=below, source=below)

    def _overlay(self, kind: type[CopyOnWrite], path: str) -> CopyOnWrite:
        self._count += 1
        scratch = f"{self._scratch}/{self._count}"
        return kind(target=path, source=path, scratch=scratch, options=self._options)


def _parents(path: str) -> Iterator[str]:
    while (path := os.path.dirname(path)) != "/":
        yield path


def _entries(path: str) -> list[tuple[str, bool]] | None:
    """The subdirectories of PATH, and the files that are too large to be copied: (name, whether it is a directory).
    None if it cannot be read, or has too many."""
    try:
        with os.scandir(path) as entries:
            shown = [(x.name, x.is_dir(follow_symlinks=False)) for x in entries if not x.is_symlink() and _is_shown(x)]
    except OSError:
        return None
    return sorted(shown) if len(shown) <= ENTRIES else None


def _is_shown(entry: os.DirEntry[str]) -> bool:
    if entry.is_dir(follow_symlinks=False):
        return True
    try:
        return entry.is_file(follow_symlinks=False) and not _is_copied(entry)
    except OSError:
        return False


def _is_copied(entry: os.DirEntry[str]) -> bool:
    """Whether it is small enough, and readable: a file that only root may read is bound."""
    return os.stat(entry.path).st_size <= COPIED and os.access(entry.path, os.R_OK)


def _copy(entry: os.DirEntry[str], target: str) -> None:
    if entry.is_symlink():
        os.symlink(os.readlink(entry.path), target)
    elif entry.is_dir(follow_symlinks=False):
        os.mkdir(target)
    elif entry.is_file(follow_symlinks=False):
        _copy_file(entry.path, target)


def _copy_file(source: str, target: str) -> None:
    """Contents, mode and time; an empty file, to be mounted on, in the place of one that is not copied."""
    with open(target, "xb") as file:
        status = os.stat(source)
        if status.st_size <= COPIED and os.access(source, os.R_OK):
            with open(source, "rb") as original:
                file.write(original.read(COPIED))
        os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode) & 0o777)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
