"""What a container changed in its tree, judged as `docker diff` judges it: each entry of an upper directory is
compared with what the layers below it have.

An entry that is only there because it was opened for writing, or changed and changed back, is no change. Nor is what
mydocker itself creates there: mount points, and the working directory.
"""

from __future__ import annotations

import errno
import os
import stat

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.command.users import FILE_LIMIT
from mydocker.runtime.inspect.file import open_directory
from mydocker.runtime.inspect.prepared_files import Prepared, real_path
from mydocker.runtime.plan.operations import CopyOnWrite, Symlink
from mydocker.runtime.plan.root import LayeredRoot, MemoryRoot, image_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.runtime.plan import LaunchPlan

ADDED, CHANGED, REMOVED = "A", "C", "D"
LIMIT = 100_000  # changes; more are not a list that anyone compares
SIZE_LIMIT = 64 << 20  # letters of their paths: each directory of a deep tree repeats those above it
_MARKS = ("trusted.overlay.", "user.overlay.")  # the kernel's overlayfs.rst: what is not the file's own
_OF_HOST = ("security.selinux", "security.ima", "security.evm", "security.SMACK64")  # labels, and sums of the content
_NOBODY = 65534  # the owner that stands for each one without a number in a user namespace (user_namespaces(7))
_BLOCK = 1 << 20
_END = 1 << 63  # beyond any file


class Overlay(Record):
    """One of a container's overlays: `top` is where it is mounted, "" for the root; `upper` is below scratch; `lower`
    are its lower directories, the lowest first."""

    top: str
    upper: str
    lower: tuple[str, ...]


class Change(Record):
    """`path` was added, changed or removed. `for_content`: a directory that is listed for what is in it alone, and if
    it is `prepared`, which means that mydocker created it, only if something is."""

    kind: str
    path: str
    for_content: bool = False
    prepared: bool = False


def list_changes(view: ContainerView) -> list[str]:
    """The paths that changed, sorted; a directory only if it is an empty new one, or changed itself.

    Raises LaunchError where they cannot be known, and OSError.
    """
    return sorted(change.path for change in walk_changes(view) if not change.for_content)


def list_kinds(view: ContainerView) -> list[tuple[str, str]]:
    """(kind, path) of each change and of the directories above it, sorted by path. Raises as `list_changes` does."""
    changes = [*walk_changes(view)]
    listed = {change.path: change.kind for change in changes if not change.prepared}
    prepared = {change.path for change in changes if change.prepared}
    for path in [*listed]:
        above = os.path.dirname(path)
        while above != "/" and above not in listed:
            listed[above] = ADDED if above in prepared else CHANGED
            above = os.path.dirname(above)
    return [(kind, path) for path, kind in sorted(listed.items())]


def walk_changes(view: ContainerView) -> Iterator[Change]:
    """All changes, in no order. Raises LaunchError where they cannot be known, or are too many, and OSError."""
    count = size = 0
    for change in _walk(view):
        count, size = count + 1, size + len(change.path)
        if count > LIMIT:
            raise LaunchError(f"the container changed more than {LIMIT} files")
        if size > SIZE_LIMIT:
            raise LaunchError(
                f"the names of what the container changed are longer than {SIZE_LIMIT >> 20} MiB together"
            )
        yield change


def _walk(view: ContainerView) -> Iterator[Change]:
    prepared: Prepared | None = None
    if isinstance(view.plan.root, MemoryRoot):
        prepared = Prepared(view.plan, os.path.realpath)
        yield from _new_at_the_top(view, prepared)
    for overlay in overlays(view):
        comparison = _Comparison(view, overlay)
        try:
            prepared = prepared or Prepared(view.plan, comparison.real_path)  # the root is the first
            comparison.prepared = prepared
            yield from comparison.walk()
        finally:
            comparison.close()


def overlays(view: ContainerView) -> Iterator[Overlay]:
    """Those in which the container can write. Raises LaunchError if there is none for the root."""
    plan = view.plan
    if isinstance(plan.root, LayeredRoot):
        yield Overlay(top="", upper="upper", lower=plan.root.lowerdirs)
    else:
        check_known(plan)
    for operation in plan.operations:
        if isinstance(operation, CopyOnWrite):
            below = os.path.relpath(operation.scratch, f"{plan.run_dir}/scratch")
            yield Overlay(top=operation.target, upper=f"{below}/upper", lower=operation.lower)


def check_known(plan: LaunchPlan) -> None:
    """Raise LaunchError if the changes of a container of PLAN cannot be known."""
    if not isinstance(plan.root, LayeredRoot | MemoryRoot):
        raise LaunchError("changes are known only where the root is copy-on-write")


class _Comparison:
    """An overlay's upper directory, compared with its layers. Descriptors are opened for one directory at a time, so
    that neither their number nor the length of a path grows with the depth of the tree."""

    prepared: Prepared

    def __init__(self, view: ContainerView, overlay: Overlay) -> None:
        self.view, self.overlay = view, overlay
        self.layers = [_open_layer(view, path) for path in reversed(overlay.lower)]  # the highest first

    def close(self) -> None:
        for descriptor in self.layers:
            os.close(descriptor)

    def walk(self) -> Iterator[Change]:
        """All changes in the overlay, of a directory that is not the container's root also to itself."""
        pending = [_Pending(inside="", numbers=[*range(len(self.layers))], replaced=False)]
        while pending:
            directory = pending.pop()
            inside, numbers = directory.inside, directory.numbers
            upper = open_directory(self.view.scratch, f"{self.overlay.upper}{inside}")
            if upper is None:
                continue
            lower = self._open_lower(inside, numbers)
            try:
                if self._is_other_top(inside, upper, lower):
                    yield Change(kind=CHANGED, path=self.overlay.top or "/")
                replaced = directory.replaced or is_opaque(upper)
                yield from self._directory(inside, upper, lower, pending, replaced=replaced)
            finally:
                lower.close()
                os.close(upper)

    def _is_other_top(self, inside: str, upper: int, lower: _Lower) -> bool:
        """Whether the overlay's own directory changed; one over no layer, or over one that mydocker may not read, is as
        mydocker made it."""
        if inside or not lower.directories:
            return False
        if self.overlay.top:
            return self._differs(os.fstat(upper), upper, ".", lower.find("."))
        root, highest = self.view.plan.root, lower.directories[0][1]
        before = _owned(os.fstat(highest)) if isinstance(root, LayeredRoot) and root.keep_mode else _as_made()
        # the owner may be one whom the container has no number for, see copy_ownership
        is_as_made = _owned(os.fstat(upper)) in (before, _as_made(before[0]))
        return not is_as_made or not _attributes(upper, ".").items() <= _attributes(highest, ".").items()

    def real_path(self, path: str) -> str:
        """PATH without links, as the layers have them."""
        return real_path(path, self._read_link)

    def _read_link(self, path: str) -> str | None:
        above, name = os.path.split(path)
        lower = self._open_lower(above, self._numbers(above))
        try:
            below = lower.find(name)
            is_link = below is not None and stat.S_ISLNK(below.status.st_mode)
            return os.readlink(name, dir_fd=below.directory) if below and is_link else None
        finally:
            lower.close()

    def _numbers(self, path: str) -> list[int]:
        """The numbers of the layers that have directory PATH."""
        if path == "/":
            return [*range(len(self.layers))]
        above, name = os.path.split(path)
        lower = self._open_lower(above, self._numbers(above))
        try:
            below = lower.find(name)
            return below.merged if below else []
        finally:
            lower.close()

    def _open_lower(self, inside: str, numbers: list[int]) -> _Lower:
        opened = [(number, self._open_layer(number, inside)) for number in numbers]
        return _Lower([(number, layer) for number, layer in opened if layer is not None])

    def _open_layer(self, number: int, inside: str) -> int | None:
        """A directory of a layer; None for one of the machine's tree that mydocker, and so overlayfs, may not read."""
        try:
            directory = open_directory(self.layers[number], inside.lstrip("/"))
        except PermissionError:
            if isinstance(self.view.plan.root, MemoryRoot):
                return None
            raise
        if directory is None:
            raise LaunchError(f"{self.overlay.top}{inside} of a layer is no longer there")
        return directory

    def _directory(
        self, inside: str, upper: int, lower: _Lower, pending: list[_Pending], *, replaced: bool
    ) -> Iterator[Change]:
        """The changes in directory INSIDE; those below it become PENDING. If it was `replaced`, which means removed and
        made again, nothing of the layers is left in it."""
        with os.scandir(upper) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            status = os.stat(name, dir_fd=upper, follow_symlinks=False)
            below = lower.find(name)
            path = f"{self.overlay.top}{inside}/{name}"
            if is_whiteout(status):
                if below:
                    yield Change(kind=REMOVED, path=path)
                continue
            is_directory = stat.S_ISDIR(status.st_mode)
            if is_directory:
                numbers = below.merged if below else []
                pending.append(_Pending(inside=f"{inside}/{name}", numbers=numbers, replaced=replaced))
            if below:
                if self._differs(status, upper, name, below) and not self._has_account(path, upper, below):
                    yield Change(kind=CHANGED, path=path)
            else:
                prepared = self.prepared.is_as_made(path, status, upper)
                for_content = is_directory and (prepared or _has_content(upper, name))
                if for_content or not prepared:
                    yield Change(kind=ADDED, path=path, for_content=for_content, prepared=prepared)
        if replaced:
            for name in lower.names() - {*names}:
                yield Change(kind=REMOVED, path=f"{self.overlay.top}{inside}/{name}")

    def _differs(self, status: os.stat_result, upper: int, name: str, below: _Below | None) -> bool:
        """Whether NAME of directory UPPER is other than what is BELOW it. A directory's size and time, and so its
        entries, do not count."""
        if below is None:
            return True
        before = below.status
        attributes = ["st_mode", "st_rdev"]
        for owner in ("st_uid", "st_gid"):
            attributes += [owner] if not (self.view.plan.rootless and getattr(before, owner) == _NOBODY) else []
        attributes += [] if stat.S_ISDIR(status.st_mode) else ["st_size"]
        if any(getattr(status, each) != getattr(before, each) for each in attributes):
            return True
        if not stat.S_ISDIR(status.st_mode) and not _is_same_time(status.st_mtime_ns, before.st_mtime_ns):
            return True
        if stat.S_ISLNK(status.st_mode):
            if os.readlink(name, dir_fd=upper) != os.readlink(name, dir_fd=below.directory):
                return True
        elif stat.S_ISREG(status.st_mode) and not _is_same_content(name, upper, below.directory):
            return True
        return _attributes(upper, name) != _attributes(below.directory, name)

    def _has_account(self, path: str, upper: int, below: _Below) -> bool:
        """Whether account file PATH differs only by the entry that mydocker has added to it."""
        if not self.prepared.has_account(path) or not stat.S_ISREG(below.status.st_mode):
            return False
        name = os.path.basename(path)
        status = os.stat(name, dir_fd=upper, follow_symlinks=False)
        if any(getattr(status, each) != getattr(below.status, each) for each in ("st_mode", "st_uid", "st_gid")):
            return False
        return self.prepared.is_account_added(path, *(_read(directory, name) for directory in (below.directory, upper)))


class _Pending(Record):
    """A directory to be compared: where it is `inside` the overlay, and the numbers of the layers that have it."""

    inside: str
    numbers: list[int]
    replaced: bool


class _Below(Record):
    """What the layers have at a name: its `status`, the `directory` that it is in, and the numbers of the layers that
    it is `merged` from, if it is a directory."""

    status: os.stat_result
    directory: int
    merged: list[int]


class _Lower:
    """A directory as the layers show it, each with its number, the highest first."""

    def __init__(self, directories: list[tuple[int, int]]) -> None:
        self.directories = directories

    def close(self) -> None:
        for _, descriptor in self.directories:
            os.close(descriptor)

    def find(self, name: str) -> _Below | None:
        """What is at NAME in the merged layers; None if nothing is."""
        below: _Below | None = None
        for number, directory in self.directories:
            try:
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            except FileNotFoundError:
                continue
            is_directory = stat.S_ISDIR(status.st_mode)
            if is_whiteout(status) or (below and not is_directory):
                break
            below = below or _Below(status=status, directory=directory, merged=[])
            if not is_directory:
                break
            below.merged.append(number)
            if is_opaque(directory, name):
                break
        return below

    def names(self) -> set[str]:
        """The names of everything in the merged layers."""
        shown, hidden = set[str](), set[str]()
        for _, directory in self.directories:
            with os.scandir(directory) as entries:
                for entry in entries:
                    gone = not entry.is_symlink() and is_whiteout(entry.stat(follow_symlinks=False))
                    (hidden if gone else shown).add(entry.name) if entry.name not in shown | hidden else None
        return shown


def is_whiteout(status: os.stat_result) -> bool:
    """Overlayfs's mark of what is removed (the kernel's overlayfs.rst, "whiteouts and opaque directories")."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(directory: int, name: str = "") -> bool:
    """Whether DIRECTORY, or NAME in it, hides what lower layers have there (overlayfs.rst, as above)."""
    for mark in _MARKS:
        try:
            path = f"/proc/self/fd/{directory}/{name}".rstrip("/")
            if os.getxattr(path, f"{mark}opaque", follow_symlinks=not name) == b"y":
                return True
        except OSError:  # ENODATA; EPERM and ENOTSUP where there are none of this kind
            continue
    return False


def _has_content(directory: int, name: str) -> bool:
    """Whether directory NAME of DIRECTORY has entries that are no whiteouts."""
    opened = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        with os.scandir(opened) as entries:
            return any(not is_whiteout(entry.stat(follow_symlinks=False)) for entry in entries)
    finally:
        os.close(opened)


def _is_same_time(one: int, other: int) -> bool:
    """Whether two times, in nanoseconds, are equal as far as both are known: archives and some tools keep seconds."""
    seconds = 10**9
    return one == other or (one // seconds == other // seconds and 0 in (one % seconds, other % seconds))


def _is_same_content(name: str, upper: int, lower: int) -> bool:
    """Whether NAME is the same in both directories. Holes are not read: a sparse file may be larger than any disk."""
    after, before = _open_file(upper, name), _open_file(lower, name)
    try:
        position = 0
        while (position := min(_next_data(after, position), _next_data(before, position))) < _END:
            block = os.pread(after, _BLOCK, position)
            if block != os.pread(before, _BLOCK, position):
                return False
            position += len(block) or 1
        return True
    finally:
        os.close(after)
        os.close(before)


def _next_data(file: int, position: int) -> int:
    """Where FILE has data from POSITION on (lseek(2), SEEK_DATA); _END if nowhere."""
    try:
        return os.lseek(file, position, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return _END
        raise


def _open_file(directory: int, name: str) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    return os.open(name, flags, dir_fd=directory)


def _read(directory: int, name: str) -> bytes:
    """What is in NAME, of an account file as much as one may have and a line more."""
    with open(_open_file(directory, name), "rb") as file:
        return file.read(2 * FILE_LIMIT)


def _attributes(directory: int, name: str) -> dict[str, bytes]:
    """The extended attributes of NAME in DIRECTORY, but for overlayfs's own and those that the host's policy gives to
    whatever is written where the container's files are."""
    path = f"/proc/self/fd/{directory}/{name}"
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:  # ENOTSUP: this file system has none
        return {}
    return {
        each: os.getxattr(path, each, follow_symlinks=False)
        for each in names
        if not each.startswith((*_MARKS, *_OF_HOST))
    }


def _owned(status: os.stat_result) -> tuple[int, int, int]:
    """Mode and owners of a root directory, but for a group that it has from the setgid directory that the store is in
    (inode(7))."""
    inherits = status.st_mode & stat.S_ISGID
    return status.st_mode & ~stat.S_ISGID, status.st_uid, os.getegid() if inherits else status.st_gid


def _as_made(mode: int = stat.S_IFDIR | 0o755) -> tuple[int, int, int]:
    """The same of one that mydocker has created: with the ids of this process, which may not be root (keep-id)."""
    return mode, os.geteuid(), os.getegid()


def _open_layer(view: ContainerView, path: str) -> int:
    """The lower directory PATH, as overlayfs reads it: without what is mounted below it, where that can be left out.
    One in the scratch directory is opened through that, which may be in memory."""
    scratch = f"{view.plan.run_dir}/scratch/"
    if view.image is not None and path == image_directory(f"{view.plan.run_dir}/scratch"):
        return os.dup(view.image)
    if path.startswith(scratch):
        return kernel.open_inside(view.scratch, path.removeprefix(scratch), os.O_PATH | os.O_DIRECTORY)
    if isinstance(view.plan.root, MemoryRoot) and view.plan.rootless is None:
        try:
            return kernel.clone_tree(path)
        except PermissionError:  # root without CAP_SYS_ADMIN
            pass
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _new_at_the_top(view: ContainerView, prepared: Prepared) -> Iterator[Change]:
    """With `rootfs: /` the root itself is a tmpfs: everything in it that mydocker did not put there is new."""
    pending, mounted = [""], {operation.target for operation in view.plan.operations}
    while pending:
        inside = pending.pop()
        directory = open_directory(view.root, inside, same_mount=True)
        if directory is None:  # something is mounted there
            continue
        try:
            if not inside:
                yield from _changed_top(view, directory)
            for change in _new_in_memory(inside, directory, prepared, pending):
                if change.path not in mounted:
                    yield change
        finally:
            os.close(directory)


def _changed_top(view: ContainerView, root: int) -> Iterator[Change]:
    """The directory ROOT in memory, and the links that mydocker has made in it, if they changed."""
    if _owned(os.fstat(root)) != _as_made() or _attributes(root, "."):
        yield Change(kind=CHANGED, path="/")
    for link in view.plan.operations:
        if isinstance(link, Symlink) and os.path.dirname(link.target) == "/":
            name = os.path.basename(link.target)
            try:
                if os.readlink(name, dir_fd=root) != link.to:
                    yield Change(kind=CHANGED, path=link.target)
            except FileNotFoundError:
                yield Change(kind=REMOVED, path=link.target)
            except OSError:  # EINVAL: no link any more
                yield Change(kind=CHANGED, path=link.target)


def _new_in_memory(inside: str, directory: int, prepared: Prepared, pending: list[str]) -> Iterator[Change]:
    with os.scandir(directory) as entries:
        names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in names:
        path = f"{inside}/{name}"
        pending += [path] if is_directory else []
        if path not in prepared:
            for_content = is_directory and _has_content(directory, name)
            yield Change(kind=ADDED, path=path, for_content=for_content)
        elif is_directory:
            yield Change(kind=ADDED, path=path, for_content=True, prepared=True)
