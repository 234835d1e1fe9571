"""What a container changed, read from outside of it: as a list, and as the tar of a layer over its image.

Both come from a process with the ids of the container, which own what it wrote.
"""

from __future__ import annotations

import json
import os

from mydocker import idmap
from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.copy.pack import Packer
from mydocker.runtime.inspect.changes import REMOVED, check_known, list_kinds
from mydocker.runtime.inspect.file import open_directory
from mydocker.runtime.plan.operations import CopyOnWrite
from mydocker.runtime.plan.root import LayeredRoot, MemoryRoot

if TYPE_CHECKING:
    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.runtime.plan import LaunchPlan

_WHITEOUT = ".wh."  # OCI image-spec layer.md, "Whiteouts"


def check_scratch(plan: LaunchPlan) -> None:
    """Raise LaunchError if what the container of PLAN wrote can't be read from outside of it."""
    check_known(plan)
    in_memory = isinstance(plan.root, MemoryRoot) or (isinstance(plan.root, LayeredRoot) and plan.root.in_memory)
    if in_memory:
        hint = "'mydocker run --keep' keeps it at the end"
        raise LaunchError("what this container writes is in its memory, which only its own mydocker sees", hint=hint)


def changes(view: ContainerView) -> list[tuple[str, str]]:
    """(kind, path) of each change, see `list_kinds`. Raises LaunchError, HostError, OSError."""
    check_scratch(view.plan)
    file = os.memfd_create("changes", os.MFD_CLOEXEC)

    def write() -> None:
        with open(file, "w", encoding="utf-8", errors="surrogateescape", closefd=False) as out:
            json.dump(list_kinds(view), out, ensure_ascii=False)

    try:
        idmap.perform(view.plan.rootless, write)
        os.lseek(file, 0, os.SEEK_SET)
        with open(file, encoding="utf-8", errors="surrogateescape", closefd=False) as written:
            return [(str(kind), str(path)) for kind, path in json.load(written)]
    finally:
        os.close(file)


def write_layer(view: ContainerView, file: int) -> None:
    """Write the container's changes to descriptor FILE, as the tar of a layer. Raises LaunchError, HostError, OSError.

    What is in volumes is not among them, as with `docker commit`.
    """
    check_scratch(view.plan)
    volumes = tuple(f"{each.target}/" for each in view.plan.operations if isinstance(each, CopyOnWrite))

    def write() -> None:
        kinds = [(kind, path) for kind, path in list_kinds(view) if not f"{path}/".startswith(volumes)]
        with open(file, "wb", closefd=False) as out, Packer(out, whole=True) as packer:
            for kind, path in kinds:
                _add(view, packer, kind, path)

    idmap.perform(view.plan.rootless, write)


def _add(view: ContainerView, packer: Packer, kind: str, path: str) -> None:
    above, name = os.path.split(path)
    if not name:  # the root itself
        return
    if kind == REMOVED:
        packer.add_empty(f"{above}/{_WHITEOUT}{name}".lstrip("/"))
        return
    directory = open_directory(view.scratch, f"upper{above}")
    if directory is None:
        raise LaunchError(f"{above} of the container is no longer there")
    try:
        entry = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            packer.add_entry(entry, path.lstrip("/"))
        finally:
            os.close(entry)
    finally:
        os.close(directory)
