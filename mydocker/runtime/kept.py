"""What is kept of a container after a failure: all that it wrote, below the store, until somebody removes it.

    kept/<id>/
      about             JSON: what the container was, and what it changed
      <number>/         the upper directory of one of its overlays, as overlayfs writes it

Staged under a name that begins with a dot, locked (flock(2)), and renamed when it is complete. It needs no image: what
had changed is written down. A shell on top of it needs the image that the container had.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time

from mydocker.errors import ImageNotFoundError, LaunchError, StoreError, UsageError, hint_for
from mydocker.image import tree
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.changes import list_kinds, overlays
from mydocker.runtime.copy_tree import copy_tree
from mydocker.runtime.look import open_directory
from mydocker.runtime.operations import CopyOnWrite
from mydocker.runtime.rootfs import LayeredRoot

if TYPE_CHECKING:
    from typing import Any

    from mydocker.runtime.plan import LaunchPlan
    from mydocker.runtime.window import View

_HEX = frozenset("0123456789abcdef")


class Kept(Record):
    """`layers` maps where an overlay stood, "" for the root, to its directory; `created` is seconds since 1970."""

    id: str
    path: str
    title: str
    origin: str  # file:line of its spec
    image: str | None  # the digest of its manifest
    created: float
    changes: tuple[tuple[str, str], ...]  # (kind, path), see changes.py
    layers: dict[str, str]


def place_of(root: str) -> str:
    """Where in the store at ROOT they are."""
    return f"{root}/kept"


def keep(view: View, *, root: str, title: str, origin: str) -> str:
    """Keep what the container of VIEW wrote, in the store at ROOT; its id. Raises LaunchError, HostError, OSError."""
    plan = view.plan
    name = plan.container_id[:12]
    place, staged = place_of(root), f"{place_of(root)}/.{name}"
    os.makedirs(place, mode=0o700, exist_ok=True)
    layers = {overlay.top: str(number) for number, overlay in enumerate(overlays(view))}
    about = {"title": title, "origin": origin, "image": plan.image_digest, "created": time.time(), "layers": layers}
    os.mkdir(staged, 0o700)
    held = os.open(staged, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        _write(view, staged, about)
        os.rename(staged, f"{place}/{name}")
    except BaseException:
        tree.remove(staged)
        raise
    finally:
        os.close(held)
    return name


def _write(view: View, staged: str, about: dict[str, Any]) -> None:
    """As an ordinary user, with the container's ids: they own what it wrote."""

    def write() -> None:
        with open(f"{staged}/about", "w", encoding="utf-8", errors="surrogateescape") as file:
            json.dump({**about, "changes": list_kinds(view)}, file, ensure_ascii=False)
        for number, overlay in enumerate(overlays(view)):
            _take(view, overlay.upper, f"{staged}/{number}")

    if view.plan.rootless is None:
        write()
        return
    from mydocker import idmap

    idmap.perform(view.plan.rootless, write)


def _take(view: View, upper: str, target: str) -> None:
    """Move directory UPPER, which is below the scratch directory, to TARGET; copy it, if it is in memory."""
    on_disk = f"{view.plan.run_dir}/scratch/{upper}"
    if os.path.isdir(on_disk):
        try:
            os.rename(on_disk, target)
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    source = open_directory(view.scratch, upper)
    if source is None:
        raise LaunchError("what the container wrote is no longer there")
    os.mkdir(target, 0o700)
    copy_tree(source, target, exact=True)


def check_room(root: str) -> None:
    """Make the directory in which they are kept in the store at ROOT. Raises StoreError."""
    place = place_of(root)
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(f"nothing can be kept in {place}: {error.strerror}", hint=hint_for(error)) from None
    if not os.access(place, os.W_OK | os.X_OK):
        raise StoreError(f"nothing can be kept in {place}: it is not writable")


def listed(root: str) -> list[Kept]:
    """All that are kept in the store at ROOT, the oldest first."""
    place = place_of(root)
    try:
        names = [name for name in os.listdir(place) if _HEX.issuperset(name)]
    except FileNotFoundError:
        return []
    return sorted((_read(f"{place}/{name}") for name in names), key=lambda kept: kept.created)


def find(root: str, beginning: str) -> Kept:
    """The one whose id begins with BEGINNING. ImageNotFoundError if there is none, UsageError if there are several."""
    found = [kept for kept in listed(root) if beginning and kept.id.startswith(beginning)]
    if not found:
        raise ImageNotFoundError(f"no container {beginning!r} is kept", hint="'mydocker diff' lists those that are")
    if len(found) > 1:
        raise UsageError(f"several containers that are kept have an id that begins with {beginning}")
    return found[0]


def _read(path: str) -> Kept:
    try:
        with open(f"{path}/about", encoding="utf-8", errors="surrogateescape") as file:
            about = json.load(file)
        about["changes"] = tuple((str(kind), str(changed)) for kind, changed in about["changes"])
        about["layers"] = {top: f"{path}/{name}" for top, name in about["layers"].items()}
        return Kept(id=os.path.basename(path), path=path, **about)
    except (OSError, ValueError, TypeError, KeyError) as error:
        hint = "'mydocker prune' removes it"
        raise StoreError(f"cannot read what is kept at {path}: {error}", hint=hint) from None


def size_of(path: str) -> int:
    """The bytes that what is kept at PATH takes on disk, as far as we may look; its trees have any depth."""
    total, pending = 0, [] if os.path.islink(path) else [path]
    while pending:
        try:
            with os.scandir(pending.pop()) as found:
                for entry in found:
                    status = entry.stat(follow_symlinks=False)
                    total += status.st_blocks * 512  # stat(2)
                    pending += [entry.path] if stat.S_ISDIR(status.st_mode) else []
        except OSError:  # it is closed to us, or has a name that is too long to be asked for
            continue
    return total


def remove(path: str) -> None:
    """Remove what is kept at PATH. Raises OSError."""
    tree.remove(path)


def all_paths(root: str) -> list[str]:
    """Every path at which something is kept, damaged and incomplete ones too, but for what is being written now."""
    try:
        paths = sorted(f"{place_of(root)}/{name}" for name in os.listdir(place_of(root)))
    except FileNotFoundError:
        return []
    return [path for path in paths if not _is_locked(path)]


def _is_locked(path: str) -> bool:
    try:
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except NotADirectoryError:  # nothing of ours
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(held)


def on_top(plan: LaunchPlan, kept: Kept) -> LaunchPlan:
    """PLAN, of the same spec, on the tree as it was left. Raises LaunchError where that cannot be shown again."""
    layers = {top: path for top, path in kept.layers.items() if os.listdir(path)}
    root = plan.root
    if "" in layers and isinstance(root, LayeredRoot):
        root = root.replace(lowerdirs=_stacked(root.lowerdirs, layers[""]))
    operations = []
    for operation in plan.operations:
        if isinstance(operation, CopyOnWrite) and operation.target in layers:
            operation = operation.replace(over=_stacked((operation.source,), layers[operation.target])[1:])
        operations.append(operation)
    return plan.replace(root=root, operations=tuple(operations))


def _stacked(lower: tuple[str, ...], layer: str) -> tuple[str, ...]:
    """LOWER and LAYER over it. Overlayfs takes no layer that lies within another one (ELOOP)."""
    for path in lower:
        if os.path.commonpath([path, layer]) == os.path.normpath(path):
            hint = "MYDOCKER_ROOT may name a store elsewhere"
            raise LaunchError(f"what it wrote below {path} cannot be shown again: the store lies there too", hint=hint)
    return (*lower, layer)
