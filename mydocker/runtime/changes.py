"""What a container changed in its tree, judged as `docker diff` judges it: each entry of an upper directory is
compared with what the layers below it have.

An entry that is only there because it was opened for writing, or changed and changed back, is no change. Nor is what
mydocker itself puts there: the places that something is mounted on, and the working directory.
"""

from __future__ import annotations

import os
import stat

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.look import open_directory
from mydocker.runtime.operations import CopyOnWrite
from mydocker.runtime.rootfs import LayeredRoot, MemoryRoot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.runtime.plan import LaunchPlan
    from mydocker.runtime.window import View

ADDED, CHANGED, REMOVED = "A", "C", "D"
LIMIT = 100_000  # changes; more are not a list that anyone compares
_MARKS = ("trusted.overlay.", "user.overlay.")  # the kernel's overlayfs.rst: what is not the file's own
_NOBODY = 65534  # what an owner is called that a user namespace has no number for (user_namespaces(7))
_BLOCK = 1 << 20


class Overlay(Record):
    """One of a container's overlays: `top` is where it stands, "" for the root; `upper` is below scratch; `lower` are
    its lower directories, the lowest first."""

    top: str
    upper: str
    lower: tuple[str, ...]


class Change(Record):
    """`path` was added, changed or removed. `for_content`: a directory that is listed for what is in it alone."""

    kind: str
    path: str
    for_content: bool = False


def list_changes(view: View) -> list[str]:
    """The paths that changed, sorted; a directory only if it is an empty new one, or changed itself.

    Raises LaunchError where they cannot be known, and OSError.
    """
    return sorted(change.path for change in walk_changes(view) if not change.for_content)


def list_kinds(view: View) -> list[tuple[str, str]]:
    """(kind, path) of each change and of the directories above it, sorted by path. Raises as `list_changes` does."""
    listed = {change.path: change.kind for change in walk_changes(view)}
    for path in [*listed]:
        above = os.path.dirname(path)
        while above != "/" and above not in listed:
            listed[above] = CHANGED
            above = os.path.dirname(above)
    return [(kind, path) for path, kind in sorted(listed.items())]


def walk_changes(view: View) -> Iterator[Change]:
    """All changes, in no order. Raises LaunchError where they cannot be known, and OSError."""
    ours = _ours(view.plan)
    count = 0
    for overlay in overlays(view):
        comparison = _Comparison(view, overlay, ours)
        try:
            for change in comparison.walk():
                count += 1
                if count > LIMIT:
                    raise LaunchError(f"the container changed more than {LIMIT} files")
                yield change
        finally:
            comparison.close()
    if isinstance(view.plan.root, MemoryRoot):
        for path in _new_at_the_top(view, ours):
            yield Change(kind=ADDED, path=path)


def overlays(view: View) -> Iterator[Overlay]:
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
    """Raise LaunchError if nobody can know what a container of PLAN changes."""
    if not isinstance(plan.root, LayeredRoot | MemoryRoot):
        raise LaunchError("changes are known only where the root is copy-on-write")


def _ours(plan: LaunchPlan) -> set[str]:
    """Paths at which mydocker may have created something: mount points, the working directory, and all above them."""
    ours = set()
    targets = [operation.target for operation in plan.operations]
    if isinstance(plan.root, MemoryRoot):  # the machine's resolv.conf may be a link into /run, which is empty inside
        targets += [os.path.realpath(target) for target in targets if target.startswith("/etc/")]
    for path in (*targets, plan.working_dir):
        while path not in ("", "/"):
            ours.add(path)
            path = os.path.dirname(path)
    return ours


class _Comparison:
    """An overlay's upper directory beside its layers. Descriptors are opened for one directory at a time, so that
    neither their number nor the length of a path grows with the depth of the tree."""

    def __init__(self, view: View, overlay: Overlay, ours: set[str]) -> None:
        self.view, self.overlay, self.ours = view, overlay, ours
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        self.layers = [os.open(path, flags) for path in reversed(overlay.lower)]  # the highest first

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
            opened = [(number, self._open_layer(number, inside)) for number in numbers]
            lower = _Lower([(number, layer) for number, layer in opened if layer is not None])
            try:
                if self._is_other_top(inside, upper, lower):
                    yield Change(kind=CHANGED, path=self.overlay.top)
                replaced = directory.replaced or is_opaque(upper)
                yield from self._directory(inside, upper, lower, pending, replaced=replaced)
            finally:
                lower.close()
                os.close(upper)

    def _is_other_top(self, inside: str, upper: int, lower: _Lower) -> bool:
        """Whether the overlay's own directory changed; one of nothing, or of what we may not see, is as we made it."""
        if not self.overlay.top or inside or not lower.directories:
            return False
        return self._differs(os.fstat(upper), upper, ".", lower.find("."))

    def _open_layer(self, number: int, inside: str) -> int | None:
        """A directory of a layer; None for one of the machine's tree that is closed to us, and to overlayfs too."""
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
                if self._differs(status, upper, name, below):
                    yield Change(kind=CHANGED, path=path)
            elif path not in self.ours:
                has_content = is_directory and _has_content(upper, name)
                yield Change(kind=ADDED, path=path, for_content=has_content)
        if replaced:
            for name in lower.names() - {*names}:
                yield Change(kind=REMOVED, path=f"{self.overlay.top}{inside}/{name}")

    def _differs(self, status: os.stat_result, upper: int, name: str, below: _Below | None) -> bool:
        """Whether NAME of directory UPPER is other than what is BELOW it. Size and time of a directory, and so what is
        in it, are none of its own."""
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
        """What is at NAME; None if nothing is to be seen there."""
        found: _Below | None = None
        for number, directory in self.directories:
            try:
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            except FileNotFoundError:
                continue
            is_directory = stat.S_ISDIR(status.st_mode)
            if is_whiteout(status) or (found and not is_directory):
                break
            found = found or _Below(status=status, directory=directory, merged=[])
            if not is_directory:
                break
            found.merged.append(number)
            if is_opaque(directory, name):
                break
        return found

    def names(self) -> set[str]:
        """All that is to be seen in it."""
        shown, hidden = set[str](), set[str]()
        for _, directory in self.directories:
            with os.scandir(directory) as entries:
                for entry in entries:
                    gone = not entry.is_symlink() and is_whiteout(entry.stat(follow_symlinks=False))
                    (hidden if gone else shown).add(entry.name) if entry.name not in shown | hidden else None
        return shown


def is_whiteout(found: os.stat_result) -> bool:
    """Overlayfs's mark of what is removed (the kernel's overlayfs.rst, "whiteouts and opaque directories")."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


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
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    after, before = os.open(name, flags, dir_fd=upper), os.open(name, flags, dir_fd=lower)
    try:
        while block := os.read(after, _BLOCK):
            if block != os.read(before, _BLOCK):
                return False
        return not os.read(before, 1)
    finally:
        os.close(after)
        os.close(before)


def _attributes(directory: int, name: str) -> dict[str, bytes]:
    """The extended attributes of NAME in DIRECTORY, but for overlayfs's own."""
    path = f"/proc/self/fd/{directory}/{name}"
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:  # ENOTSUP: this file system has none
        return {}
    return {each: os.getxattr(path, each, follow_symlinks=False) for each in names if not each.startswith(_MARKS)}


def _new_at_the_top(view: View, ours: set[str]) -> list[str]:
    """With `rootfs: /` the root itself is a tmpfs: all that is in it and was not put there by mydocker is new."""
    directory = open_directory(view.root, ".")
    assert directory is not None
    try:
        return [f"/{name}" for name in os.listdir(directory) if f"/{name}" not in ours]
    finally:
        os.close(directory)
