"""A layer's directory compared with what its archive says, contents of plain files aside (see tar_rebuild.py): what has
changed, what is missing, and what nobody has put there.

The archive's headers are read twice, so that only digests of names are kept: there may be a million, of 4,096 bytes.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping

from mydocker import kernel
from mydocker.image.layer import whiteout
from mydocker.image.layer.whiteout import Mark
from mydocker.image.tar import entries, header, sparse
from mydocker.image.tar.entries import Attributes, Placed
from mydocker.image.tar.tarsplit import key

_KINDS = {
    header.REGULAR: ("a file", stat.S_IFREG),
    header.SPARSE: ("a file", stat.S_IFREG),
    header.HARDLINK: ("a link to anything", 0),  # one to nothing is refused
    header.SYMLINK: ("a symbolic link", stat.S_IFLNK),
    header.CHARACTER: ("a device", stat.S_IFCHR),
    header.BLOCKDEV: ("a device", stat.S_IFBLK),
    header.DIRECTORY: ("a directory", stat.S_IFDIR),
    header.FIFO: ("a FIFO", stat.S_IFIFO),
}
_INSIDE = kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_SYMLINKS
_FILES = (header.REGULAR, header.SPARSE)
_CAPABILITY = "security.capability"


def compare(layer: str, path: str, *, owned: bool, space: str) -> Iterator[str]:
    """What is wrong with the directory LAYER by the skeleton at PATH, a line each; with the owners of its files, if
    they are OWNED by whom the archive says. SPACE is that of overlay's marks, see whiteout.py. Opens no file but
    sparse ones. ImageError if the skeleton is damaged, OSError."""
    plan = _Plan(path)
    root = os.open(layer, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        comparison = _Comparison(root, plan, owned=owned, space=space)
        yield from comparison.changes(path)
        yield from comparison.additions()
    finally:
        os.close(root)


class _Plan:
    """What the archive with the skeleton at PATH leaves on disk, all by the keys of paths."""

    def __init__(self, path: str) -> None:
        self.last: dict[bytes, int] = {}  # the number of the entry that made what is there
        self.linked: set[int] = set()  # such numbers that hard links have, too
        self.hidden: set[bytes] = set()
        self.opaque: set[bytes] = set()
        self._above: set[bytes] = set()  # directories that something is in, whether the archive mentions them or not
        for each in entries.entries(path):
            self._add(each, _mark(each))

    def knows(self, path: bytes) -> bool:
        """Whether there may be something at PATH."""
        known = key(path)
        return known in self.last or known in self._above or known in self.hidden

    def _add(self, each: Placed, mark: Mark | None) -> None:
        if mark is None:
            self.last[key(each.path)] = self._number(each)
            self._add_above(each.path)
        elif mark.hidden is not None:
            self.hidden.add(key(mark.hidden))
            self._add_above(mark.hidden)
        elif mark.opaque is not None:
            self.opaque.add(key(mark.opaque))
            self._add_above(os.path.join(mark.opaque, b"any"))

    def _number(self, each: Placed) -> int:
        if each.target is None:
            return each.made.number
        number = self.last.get(key(each.target), each.made.number)
        self.linked.add(number)
        return number

    def _add_above(self, path: bytes) -> None:
        while (path := os.path.dirname(path)) and (above := key(path)) not in self._above:
            self._above.add(above)


def _mark(each: Placed) -> Mark | None:
    """They are written last, and through no link."""
    name = each.made.entry.name
    return whiteout.mark(header.components(name)) if whiteout.PREFIX in name else None


class _Comparison:
    """Of the directory open at ROOT with a PLAN. OWNED and SPACE as for `compare`."""

    def __init__(self, root: int, plan: _Plan, *, owned: bool, space: str) -> None:
        self._root, self._plan, self._owned, self._space = root, plan, owned, space
        self._linked: dict[int, Attributes] = {}  # of files with several names
        self._inodes: dict[int, int] = {}  # of these, what the first name is

    def changes(self, path: str) -> Iterator[str]:
        """What is not as an entry of the skeleton at PATH has made it."""
        for each in entries.entries(path):
            mark = _mark(each)
            try:
                why = self._change(each) if mark is None else self._unmarked(mark)
            except OSError as error:
                is_gone = error.errno in (errno.ENOENT, errno.ENOTDIR)
                why = "is missing" if is_gone else f"cannot be read: {error.strerror}"
            if why:
                yield f"{os.fsdecode(each.path)!r}: {why}"

    def additions(self) -> Iterator[str]:
        """What no entry has made."""
        yield from self._implied(b"")
        levels = [(b"", iter(self._listed(b"")))]
        while levels:
            directory, children = levels[-1]
            for name, is_directory in children:  # goes on where it was left
                path = os.path.join(directory, name)
                if not self._plan.knows(path):
                    yield f"{os.fsdecode(path)!r}: was not in the archive"
                elif is_directory:
                    yield from self._implied(path)
                    levels.append((path, iter(self._listed(path))))
                    break
            else:
                levels.pop()

    def _implied(self, path: bytes) -> Iterator[str]:
        """What is wrong with a directory that entries are in, and that none is about."""
        if key(path) not in self._plan.last and (why := self._forged(path, {})):
            yield f"{os.fsdecode(path)!r}: {why}"

    def _listed(self, directory: bytes) -> list[tuple[bytes, bool]]:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        opened = kernel.open_inside(self._root, os.fsdecode(directory), flags, resolve=_INSIDE)
        try:
            with os.scandir(opened) as found:
                return [(os.fsencode(each.name), each.is_dir(follow_symlinks=False)) for each in found]
        finally:
            os.close(opened)

    def _unmarked(self, mark: Mark) -> str | None:
        if mark.hidden is not None:
            own = key(mark.hidden) in self._plan.last
            is_there = whiteout.is_hidden(self._root, mark.hidden, space=self._space, own=own)
            return None if is_there else "does not hide that name any more"
        if mark.opaque is not None and not whiteout.is_opaque(self._root, mark.opaque, space=self._space):
            return "does not hide what lower layers have there any more"
        return None

    def _change(self, each: Placed) -> str | None:
        number = self._plan.last[key(each.path)]
        if number == each.made.number:
            wanted = each.made
            if number in self._plan.linked:
                self._linked[number] = wanted
        elif each.target is not None and number in self._linked:
            wanted = self._linked[number]
        else:
            return None  # a later entry counts
        found = os.stat(each.path or b".", dir_fd=self._root, follow_symlinks=False)
        if number in self._plan.linked and self._inodes.setdefault(number, found.st_ino) != found.st_ino:
            return "is not the same file as its other names any more"
        return self._difference(wanted, found, each.path) or self._other_contents(wanted, each)

    def _difference(self, wanted: Attributes, found: os.stat_result, name: bytes) -> str | None:
        entry = wanted.entry
        words, kind = _KINDS[entry.type]
        if kind in (stat.S_IFCHR, stat.S_IFBLK) and stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
            return None  # one that could not be made, see scan.py
        if stat.S_IFMT(found.st_mode) != kind:
            return f"is not {words} any more"
        if kind == stat.S_IFLNK and os.readlink(name, dir_fd=self._root) != entry.link:
            return "points elsewhere"
        if kind in (stat.S_IFCHR, stat.S_IFBLK) and found.st_rdev != os.makedev(*entry.device):
            return "is another device"
        if kind != stat.S_IFLNK and stat.S_IMODE(found.st_mode) != wanted.mode:
            return f"has mode {stat.S_IMODE(found.st_mode):04o} instead of {wanted.mode:04o}"
        if entry.type == header.REGULAR and not entry.size and entry.is_plain and found.st_size:
            return f"has {found.st_size} bytes instead of 0"  # tar_rebuild.py knows only of files that have some
        if self._owned and (found.st_uid, found.st_gid) != wanted.owner:
            return f"belongs to {found.st_uid}:{found.st_gid} instead of {wanted.owner[0]}:{wanted.owner[1]}"
        can_have_all = kind in (stat.S_IFREG, stat.S_IFDIR)  # nothing else can have those of users (xattr(7))
        xattrs = {at: value for at, value in wanted.xattrs.items() if can_have_all or not at.startswith(b"user.")}
        return self._lost(name, xattrs) or self._forged(name, xattrs)

    def _lost(self, name: bytes, wanted: Mapping[bytes, bytes]) -> str | None:
        for attribute, value in wanted.items():
            try:
                found = os.getxattr(self._place(name), attribute, follow_symlinks=False)
            except OSError as error:
                if error.errno != errno.ENODATA:  # the file system has none, or the path is too long here
                    continue
                return f"has lost its attribute {os.fsdecode(attribute)!r}"
            if found != value:
                return f"has another attribute {os.fsdecode(attribute)!r}"
        return None

    def _forged(self, name: bytes, wanted: Mapping[bytes, bytes]) -> str | None:
        """Whether the file has rights, or hides what lower layers have, in spite of the archive."""
        try:
            found = os.listxattr(self._place(name), follow_symlinks=False)
        except OSError:
            return None
        known = key(name)
        may_be_opaque = known in self._plan.opaque or known in self._plan.hidden
        harmless = {f"{self._space}.origin", *([f"{self._space}.opaque"] if may_be_opaque else [])}
        for attribute in sorted(set(found) - harmless - {os.fsdecode(each) for each in wanted}):
            if attribute == _CAPABILITY or attribute.startswith(f"{self._space}."):
                return f"has the attribute {attribute!r}, which was not in the archive"
        return None

    def _place(self, name: bytes) -> bytes:
        return b"/proc/self/fd/%d/%b" % (self._root, name)

    def _other_contents(self, wanted: Attributes, each: Placed) -> str | None:
        """Of a sparse file, which is in the skeleton as it was in the archive."""
        if wanted.entry.type not in _FILES or wanted.entry.is_plain or each.target is not None:
            return None
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        file = kernel.open_inside(self._root, os.fsdecode(each.path), flags, resolve=_INSIDE)
        try:
            return sparse.difference(file, *entries.taken_apart(each.headers), each.literals)
        finally:
            os.close(file)
