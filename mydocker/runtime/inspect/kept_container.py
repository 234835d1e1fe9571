"""What is kept of a container after a failure: everything that it wrote, below the store, until it is removed.

    kept/<id>/
      about             JSON: what the container was, and what it changed
      <number>/         the upper directory of one of its overlays, as overlayfs writes it
      root/             with `rootfs: /`, what is in the root itself, which is in memory

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

from mydocker.errors import ImageNotFoundError, LaunchError, MydockerError, StoreError, UsageError, hint_for
from mydocker.image.store import remove_tree
from mydocker.image.store_root import is_held
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.inspect.changes import list_kinds, overlays
from mydocker.runtime.inspect.file import open_directory
from mydocker.runtime.plan.operations import CopyOnWrite
from mydocker.runtime.plan.root import LayeredRoot, MemoryRoot
from mydocker.runtime.volume.copy_tree import copy_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.runtime.plan import LaunchPlan

_ROOM = 1 << 16  # bytes for the file `about`: a container may fill the disk
_LONGEST = 4000  # bytes of what could not be kept: a pipe takes more than that at once
_HEX = frozenset("0123456789abcdef")


class Kept(Record):
    """`layers` maps where an overlay was mounted, "" for the root, to its directory; `created` is seconds since 1970.
    Where the changes are not known, `problem` says why."""

    id: str
    path: str
    title: str
    origin: str  # file:line of its spec
    image: str | None  # the digest of its manifest
    created: float
    changes: tuple[tuple[str, str], ...]  # (kind, path), see changes.py
    layers: dict[str, str]
    problem: str = ""


def directory_of(root: str) -> str:
    """The directory of the kept containers of the store at ROOT."""
    return f"{root}/kept"


def keep(view: ContainerView, *, root: str, title: str, origin: str) -> tuple[str, str]:
    """Keep what the container of VIEW wrote, in the store at ROOT: its id, and what of it could not be kept, if any.
    Raises LaunchError, HostError, OSError if nothing could be."""
    plan = view.plan
    name = plan.container_id[:12]
    directory, staged = directory_of(root), f"{directory_of(root)}/.{name}"
    layers = {overlay.top: str(number) for number, overlay in enumerate(overlays(view))}
    layers |= {"": "root"} if isinstance(plan.root, MemoryRoot) else {}
    description = {
        "title": title,
        "origin": origin,
        "image": plan.image_digest,
        "created": time.time(),
        "layers": layers,
    }
    for path in (f"{plan.run_dir}/scratch/work", _reserve(plan)):  # the container may have left no other room
        remove_tree.remove(path)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    os.mkdir(staged, 0o700)
    held = os.open(staged, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        lost = _write(view, staged, description)
        os.rename(staged, f"{directory}/{name}")
    except BaseException:
        remove_tree.remove(staged)
        raise
    finally:
        os.close(held)
    return name, lost


def _write(view: ContainerView, staged: str, description: dict[str, Any]) -> str:
    """Fill directory STAGED, with the ids of the container, which own what it wrote; what could not be kept."""
    from mydocker import idmap

    reader, writer = os.pipe()

    def write() -> None:
        _describe(view, f"{staged}/about", description)
        os.write(writer, "; ".join(_take_all(view, staged)).encode(errors="backslashreplace")[:_LONGEST])

    try:
        idmap.perform(view.plan.rootless, write)
    finally:
        os.close(writer)
        with open(reader, encoding="utf-8", errors="replace") as lost:
            text = lost.read()
    return text


def _describe(view: ContainerView, path: str, description: dict[str, Any]) -> None:
    """Write file PATH: what the container was, and what it changed, if that can be known and there is room for it."""
    try:
        description = {**description, "changes": list_kinds(view)}
    except (MydockerError, OSError) as error:
        reason = error.message if isinstance(error, MydockerError) else error.strerror
        description = {**description, "changes": [], "problem": f"its changes are not known: {reason}"}
    try:
        _dump(description, path)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _dump(
            {**description, "changes": [], "problem": "its changes are not known: there was no room for the list"}, path
        )


def _dump(description: dict[str, Any], path: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        json.dump(description, file, ensure_ascii=False)


def _take_all(view: ContainerView, staged: str) -> Iterator[str]:
    """Take everything that the container wrote, as far as possible; what could not be kept."""
    if isinstance(view.plan.root, MemoryRoot):
        try:
            _copy(view.root, ".", f"{staged}/root", same_device=True)  # the machine's directories are mounted in there
        except OSError as error:
            yield f"what it wrote to /: {error.strerror}"
    for number, overlay in enumerate(overlays(view)):
        try:
            _take(view, overlay.upper, f"{staged}/{number}")
        except OSError as error:
            yield f"what it wrote to {overlay.top or '/'}: {error.strerror}"


def _take(view: ContainerView, upper: str, target: str) -> None:
    """Move directory UPPER, which is below the scratch directory, to TARGET; copy it, if it is in memory, or belongs to
    ids of this container alone: with its own numbers, a layer goes with any map."""
    on_disk = f"{view.plan.run_dir}/scratch/{upper}"
    if os.path.isdir(on_disk) and not view.plan.own_ids:
        try:
            os.rename(on_disk, target)
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    _copy(view.scratch, upper, target)


def _copy(top: int, path: str, target: str, *, same_device: bool = False) -> None:
    source = open_directory(top, path)
    if source is None:
        raise FileNotFoundError(errno.ENOENT, "it is no longer there")
    if not os.listdir(source):  # nothing to find room for
        os.close(source)
        return
    os.mkdir(target, 0o700)
    copy_tree(source, target, exact=True, same_device=same_device)


def make_room(root: str) -> None:
    """Create the directory in which they are kept in the store at ROOT: later there may be no room. StoreError."""
    check_room(root)
    try:
        os.makedirs(directory_of(root), mode=0o700, exist_ok=True)
    except OSError as error:
        hint = hint_for(error)
        raise StoreError(f"nothing can be kept in {directory_of(root)}: {error.strerror}", hint=hint) from None


def reserve(plan: LaunchPlan) -> None:
    """Before the container of PLAN runs, whose run's directory is there: occupy room for what is written about it.
    Raises OSError if there is none."""
    room = os.open(_reserve(plan), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(room, 0, _ROOM)
    finally:
        os.close(room)


def _reserve(plan: LaunchPlan) -> str:
    return f"{plan.run_dir}/room"


def check_room(root: str) -> None:
    """Raise StoreError if nothing can be kept in the store at ROOT."""
    directory = path = directory_of(root)
    while not os.path.lexists(path):  # it is created for the first that is kept
        path = os.path.dirname(path)
    if not os.path.isdir(path):
        raise StoreError(f"nothing can be kept in {directory}: {path} is not a directory")
    if not os.access(path, os.W_OK | os.X_OK):
        raise StoreError(f"nothing can be kept in {directory}: {path} is not writable")


def listed(root: str) -> list[Kept]:
    """The containers that are kept in the store at ROOT, the oldest first."""
    return sorted(map(_read, _paths(root)), key=lambda kept: kept.created)


def _paths(root: str, beginning: str = "") -> list[str]:
    """The paths of those whose ids begin with BEGINNING."""
    directory = directory_of(root)
    try:
        names = [name for name in os.listdir(directory) if _HEX.issuperset(name) and name.startswith(beginning)]
    except FileNotFoundError:
        return []
    return [f"{directory}/{name}" for name in names]


def find(root: str, beginning: str) -> Kept:
    """The one whose id begins with BEGINNING. ImageNotFoundError if there is none, UsageError if there are several."""
    paths = _paths(root, beginning) if beginning else []
    if not paths:
        raise ImageNotFoundError(f"no container {beginning!r} is kept", hint="'mydocker diff' lists those that are")
    if len(paths) > 1:
        raise UsageError(f"several containers that are kept have an id that begins with {beginning}")
    return _read(paths[0])


def _read(path: str) -> Kept:
    try:
        with open(f"{path}/about", encoding="utf-8", errors="surrogateescape") as file:
            fields = json.load(file)
        fields["changes"] = tuple((str(kind), str(changed)) for kind, changed in fields["changes"])
        fields["layers"] = {top: f"{path}/{name}" for top, name in fields["layers"].items()}
        return Kept(id=os.path.basename(path), path=path, **fields)
    except (OSError, ValueError, TypeError, KeyError) as error:
        hint = "'mydocker prune' removes it"
        raise StoreError(f"cannot read what is kept at {path}: {error}", hint=hint) from None


def size_of(path: str) -> int:
    """The bytes that what is kept at PATH takes on disk, as far as mydocker may read; its trees have any depth."""
    try:
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return 0
    total, pending = 0, [""]
    try:
        while pending:
            inside = pending.pop()
            try:
                directory = open_directory(top, inside)
            except OSError:  # mydocker may not read it
                continue
            if directory is not None:
                total += _size_in(directory, inside, pending)
                os.close(directory)
    finally:
        os.close(top)
    return total


def _size_in(directory: int, inside: str, pending: list[str]) -> int:
    """The bytes on disk of what is in DIRECTORY; directories in it become PENDING."""
    total = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            total += status.st_blocks * 512  # stat(2)
            pending += [f"{inside}/{entry.name}"] if stat.S_ISDIR(status.st_mode) else []
    return total


def remove(path: str) -> None:
    """Remove what is kept at PATH. Raises OSError."""
    remove_tree.remove(path)


def all_paths(root: str) -> list[str]:
    """Every path at which something is kept, damaged and incomplete ones too, but for what is being written now."""
    try:
        paths = sorted(f"{directory_of(root)}/{name}" for name in os.listdir(directory_of(root)))
    except FileNotFoundError:
        return []
    return [path for path in paths if not is_held(path)]


def on_top(plan: LaunchPlan, kept: Kept) -> LaunchPlan:
    """PLAN, of the same spec, on the tree as it was left. Raises LaunchError where that cannot be mounted again."""
    layers = {top: path for top, path in kept.layers.items() if os.path.isdir(path) and os.listdir(path)}
    root = plan.root
    if "" in layers and isinstance(root, LayeredRoot):
        root = root.replace(lowerdirs=_stacked(root.lowerdirs, layers[""]))
    operations = []
    for operation in plan.operations:
        if isinstance(operation, CopyOnWrite) and operation.target in layers:
            stacked = _stacked(operation.lower, layers[operation.target])
            operation = operation.replace(over=(*operation.over, stacked[-1]))
        operations.append(operation)
    return plan.replace(root=root, operations=tuple(operations))


def _stacked(lower: tuple[str, ...], layer: str) -> tuple[str, ...]:
    """LOWER and LAYER over it. Overlayfs refuses a layer inside another one (ELOOP)."""
    for path in lower:
        if os.path.commonpath([path, layer]) == os.path.normpath(path):
            hint = "MYDOCKER_ROOT may name a store elsewhere"
            raise LaunchError(f"what it wrote below {path} cannot be shown again: the store lies there too", hint=hint)
    return (*lower, layer)
