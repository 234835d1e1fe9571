"""What a container changed in its tree: read from the upper directories of its overlays, where all of it lies.

A change is a file that was written, replaced, created or removed, or a directory that was created. What we ourselves
put there, the places that something is mounted on, is none of it.
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

LIMIT = 100_000  # changes; more are not a list that anyone compares


class Overlay(Record):
    """One of a container's overlays: `top` is where it stands, "" for the root; `upper` is below scratch; `lower` are
    its lower directories, the lowest first."""

    top: str
    upper: str
    lower: tuple[str, ...]


class Change(Record):
    """`path` changed, in an overlay that stands at `top` over `lower`; `gone` if it was removed."""

    path: str
    gone: bool
    top: str
    lower: tuple[str, ...]


def list_changes(view: View) -> list[str]:
    """The paths that changed, sorted. Raises LaunchError where they cannot be known."""
    return sorted(change.path for change in walk_changes(view))


def walk_changes(view: View) -> Iterator[Change]:
    """All changes, in no order. Raises LaunchError where they cannot be known."""
    ours = _ours(view.plan)
    count = 0
    for overlay in overlays(view):
        for path, gone in _walk(view, overlay):
            if path not in ours:
                count += 1
                yield Change(path=path, gone=gone, top=overlay.top, lower=overlay.lower)
            if count > LIMIT:
                raise LaunchError(f"the container changed more than {LIMIT} files")
    if isinstance(view.plan.root, MemoryRoot):
        for path in _new_at_the_top(view, ours):
            yield Change(path=path, gone=False, top="", lower=())


def overlays(view: View) -> Iterator[Overlay]:
    """Those in which the container can write. Raises LaunchError if there is none for the root."""
    plan = view.plan
    if isinstance(plan.root, LayeredRoot):
        yield Overlay(top="", upper="upper", lower=plan.root.lowerdirs)
    elif not isinstance(plan.root, MemoryRoot):
        raise LaunchError("changes are known only where the root is copy-on-write")
    for operation in plan.operations:
        if isinstance(operation, CopyOnWrite):
            below = os.path.relpath(operation.scratch, f"{plan.run_dir}/scratch")
            yield Overlay(top=operation.target, upper=f"{below}/upper", lower=operation.lower)


def _ours(plan: LaunchPlan) -> set[str]:
    """Paths at which we may have created something: mount points, the working directory, and all above them."""
    ours = set()
    targets = [operation.target for operation in plan.operations]
    if isinstance(plan.root, MemoryRoot):  # the machine's resolv.conf may be a link into /run, which is empty inside
        targets += [os.path.realpath(target) for target in targets if target.startswith("/etc/")]
    for path in (*targets, plan.working_dir):
        while path not in ("", "/"):
            ours.add(path)
            path = os.path.dirname(path)
    return ours


def _walk(view: View, overlay: Overlay) -> Iterator[tuple[str, bool]]:
    """Files, whiteouts and new empty directories in the upper directory of OVERLAY: the path in the container, and
    whether it is gone.

    A directory with changes in it is told by these; one without is only there because it is new, or because
    something in it was changed back.
    """
    pending = [""]
    while pending:
        inside = pending.pop()
        directory = open_directory(view.scratch, f"{overlay.upper}{inside}")
        if directory is None:
            continue
        try:
            with os.scandir(directory) as entries:
                listed = [(entry.name, entry.is_dir(follow_symlinks=False), _is_gone(entry)) for entry in entries]
        finally:
            os.close(directory)
        for name, is_directory, gone in listed:
            if is_directory:
                pending.append(f"{inside}/{name}")
            else:
                yield f"{overlay.top}{inside}/{name}", gone
        if not listed and inside and not any(_is_directory(path, inside) for path in overlay.lower):
            yield f"{overlay.top}{inside}", False


def _is_directory(layer: str, inside: str) -> bool:
    """Whether LAYER has a directory at INSIDE; its links lead nowhere: they would, from here, into the host's tree."""
    top = os.open(layer, os.O_PATH | os.O_DIRECTORY)
    try:
        directory = open_directory(top, inside.lstrip("/"))
    finally:
        os.close(top)
    if directory is None:
        return False
    os.close(directory)
    return True


def _is_gone(entry: os.DirEntry[str]) -> bool:
    if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False) or entry.is_symlink():
        return False
    return is_whiteout(entry.stat(follow_symlinks=False))


def is_whiteout(found: os.stat_result) -> bool:
    """Overlayfs's mark of what is removed (the kernel's overlayfs.rst, "whiteouts and opaque directories")."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def _new_at_the_top(view: View, ours: set[str]) -> list[str]:
    """With `rootfs: /` the root itself is a tmpfs: what is in it and was not put there by us is new, all of it."""
    directory = open_directory(view.root, ".")
    assert directory is not None
    try:
        return [f"/{name}" for name in os.listdir(directory) if f"/{name}" not in ours]
    finally:
        os.close(directory)
