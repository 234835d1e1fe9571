"""What a container changed in its tree: read from the upper directories of its overlays, where all of it lies.

A change is a file that was written, replaced, created or removed, or a directory that was created. What we ourselves
put there, the places that something is mounted on, is none of it.
"""

from __future__ import annotations

import os

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.look import open_directory
from mydocker.runtime.operations import CopyOnWrite
from mydocker.runtime.rootfs import LayeredRoot, MemoryRoot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.runtime.plan import LaunchPlan
    from mydocker.runtime.window import View

LIMIT = 100_000  # changes; more are not a list that anyone compares


def list_changes(view: View) -> list[str]:
    """The paths that changed, sorted. Raises LaunchError where they cannot be known."""
    plan = view.plan
    ours = _ours(plan)
    found: list[str] = []
    for top, upper, lower in _layers(view):
        for path in _walk(view, upper, top, lower):
            if path not in ours:
                found.append(path)
            if len(found) > LIMIT:
                raise LaunchError(f"the container changed more than {LIMIT} files")
    if isinstance(plan.root, MemoryRoot):
        found += _new_at_the_top(view, ours)
    return sorted(found)


def _layers(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Of each overlay: where it stands, its upper directory below scratch, and its lower directories."""
    plan = view.plan
    if isinstance(plan.root, LayeredRoot):
        yield "", "upper", plan.root.lowerdirs
    elif not isinstance(plan.root, MemoryRoot):
        raise LaunchError("changes are known only where the root is copy-on-write")
    for operation in plan.operations:
        if isinstance(operation, CopyOnWrite):
            below = os.path.relpath(operation.scratch, f"{plan.run_dir}/scratch")
            yield operation.target, f"{below}/upper", (operation.source,)


def _ours(plan: LaunchPlan) -> set[str]:
    """Paths at which we may have created something: mount points, the working directory, and all above them."""
    ours = set()
    for path in (*(operation.target for operation in plan.operations), plan.working_dir):
        while path not in ("", "/"):
            ours.add(path)
            path = os.path.dirname(path)
    return ours


def _walk(view: View, upper: str, top: str, lower: tuple[str, ...]) -> Iterator[str]:
    """Files, whiteouts and new empty directories below UPPER, as paths in the container that begin with TOP.

    A directory with changes in it is told by these; one without is only there because it is new, or because
    something in it was changed back.
    """
    pending = [""]
    while pending:
        inside = pending.pop()
        directory = open_directory(view.scratch, f"{upper}{inside}")
        if directory is None:
            continue
        try:
            with os.scandir(directory) as entries:
                listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        finally:
            os.close(directory)
        for name, is_directory in listed:
            if is_directory:
                pending.append(f"{inside}/{name}")
            else:
                yield f"{top}{inside}/{name}"
        if not listed and inside and not any(os.path.isdir(f"{path}{inside}") for path in lower):
            yield f"{top}{inside}"


def _new_at_the_top(view: View, ours: set[str]) -> list[str]:
    """With `rootfs: /` the root itself is a tmpfs: what is in it and was not put there by us is new, all of it."""
    directory = open_directory(view.root, ".")
    assert directory is not None
    try:
        return [f"/{name}" for name in os.listdir(directory) if f"/{name}" not in ours]
    finally:
        os.close(directory)
