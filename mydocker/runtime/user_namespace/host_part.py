"""What is done for a container with a user namespace of its own while a process is still the host's root.

In the container's user namespace nothing but its own files is root's: so the image is mounted, volumes are copied and
filled, and mydocker's own files are written, by a process outside of that. The tree of each mount is attached nowhere,
and reaches the container as a descriptor (open_tree(2)).

The image's files appear with the owners of the container: its layers are idmapped mounts below the overlay, and what
the container writes belongs to its ids on the host (overlayfs.rst; Linux 5.19). Nothing is copied.
"""

from __future__ import annotations

import errno
import os

from mydocker import kernel
from mydocker.errors import LaunchError, hint_for
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.launch.run_directory import write_etc
from mydocker.runtime.plan.machine_tree import EmptyPart, Part
from mydocker.runtime.plan.operations import (
    READ_ONLY,
    Bind,
    CopyOnWrite,
    HostProgram,
    MissingLink,
    Operation,
)
from mydocker.runtime.plan.root import MemoryRoot
from mydocker.runtime.plan.volume_mounts import Fill, InlineFile, Keep, VolumeBind
from mydocker.runtime.user_namespace.outside import scratch_by_numbers
from mydocker.runtime.user_namespace.part import PLACES, Attached, HostPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mydocker.idmap import IdMap
    from mydocker.runtime.network import Lease
    from mydocker.runtime.plan import LaunchPlan


def build(plan: LaunchPlan, *, leases: Sequence[Lease], resolver: str, image: int | None, is_viewed: bool) -> HostPart:
    """In a process of the host's root that has a mount namespace of its own: mount what PLAN says, and write its files.
    The current directory becomes that of PLACES. Raises LaunchError, OSError. The rest is what ChildFds says."""
    assert plan.own_ids is not None
    operations = [operation.ahead() for operation in plan.operations]  # while mounts still propagate
    copies = dict(_copies(operations, plan))
    kernel.set_propagation("/", kernel.MS_REC | kernel.MS_SLAVE)
    path = plan.root.mount(plan.run_dir, image=image, ids=plan.own_ids)
    write_etc(plan, leases, resolver=resolver)
    owner = plan.own_ids.outside(0, 0)
    assert owner is not None
    for name in ("hosts", "hostname", "resolv.conf"):
        for each in (f"{plan.run_dir}/memory/{name}", f"{plan.run_dir}/{name}"):
            if os.path.isfile(each) and not os.path.islink(each):
                os.chown(each, *owner)
    root = kernel.clone_tree(path)
    left = [_prepared(each, plan, root=root, copy=copies.get(each)) for each in operations]
    os.chdir(f"{plan.run_dir}/memory")
    for name in (PLACES, f"{PLACES}/root"):
        os.mkdir(name, 0o755)
        os.chown(name, *owner)
    os.chdir(PLACES)
    locked = [_locked(each, f"mount-{number}") for number, each in enumerate(left) if each is not None]
    scratch = None
    if is_viewed:
        written = os.open(f"{plan.run_dir}/scratch", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        scratch = scratch_by_numbers(written, plan.own_ids)
        os.close(written)
    return HostPart(root=root, scratch=scratch, operations=tuple(locked))


def _copies(operations: list[Operation], plan: LaunchPlan) -> Iterator[tuple[Operation, int]]:
    """The binds among OPERATIONS of what is mounted already, each with a copy of that mount."""
    own = (f"{plan.run_dir}/", "/proc/", "/sys/")
    for operation in operations:
        if isinstance(operation, Bind) and not f"{operation.source}/".startswith(own):
            yield operation, operation.clone()


def _prepared(operation: Operation, plan: LaunchPlan, *, root: int, copy: int | None) -> Operation | None:
    """What is left of OPERATION; None if that is nothing. COPY is the mount that it is a bind of, if that is there
    already."""
    try:
        return _begun(operation, plan, root, copy)
    except OSError as error:
        what = f"{operation.title} {operation.target}"
        raise LaunchError(f"cannot set up {what}: {error.strerror}", hint=hint_for(error)) from None


def _locked(operation: Operation, place: str) -> Operation:
    """OPERATION, with flags of its mount that the container cannot take away; not of one that is to propagate, which
    the copy for the container's namespace would not."""
    if isinstance(operation, Attached) and operation.is_private:
        return operation.placed(place)
    return operation


def _begun(operation: Operation, plan: LaunchPlan, root: int, copy: int | None) -> Operation | None:
    assert plan.own_ids is not None
    match operation:
        case Fill():
            operation.apply(root)
            return None
        case Keep():
            return operation.replace(place=os.path.basename(operation.place))
        case InlineFile():
            return _written(operation, plan.own_ids)
        case MissingLink() if isinstance(plan.root, MemoryRoot):  # in a directory of the machine, which it cannot write
            return None
        case Part() if not os.path.isdir(operation.source):  # it is gone
            return None
        case CopyOnWrite():
            return _copied_on_write(operation, plan)
        case HostProgram():
            bind = Bind(target=operation.target, source=operation.target, attributes=READ_ONLY | kernel.ATTR_NODEV)
            return _bound(bind, bind.clone()).replace(if_missing=not operation.replace_existing)
        case Bind() if operation.source in ("/proc", "/sys"):
            return operation
        case Bind() if any(isinstance(each, Keep) and each.place == operation.source for each in plan.operations):
            return operation.replace(source=os.path.basename(operation.source))
        case Bind():
            if isinstance(operation, VolumeBind):
                _own(operation.source, plan.own_ids)
            return _bound(operation, operation.clone() if copy is None else copy)
    return operation


def _bound(bind: Bind, tree: int) -> Attached:
    """The TREE that BIND shows, as Bind.apply does it."""
    return Attached(
        target=bind.target,
        what=bind.title,
        tree=tree,
        directory=bind.settle(tree),
        follow=bind.follow,
        is_private=bind.propagation == "private",
    )


def _own(volume: str, ids: IdMap) -> None:
    """Give directory VOLUME to root of the container, if it is new: empty, and the host's root's (Podman's
    fixVolumePermissions)."""
    status = os.stat(volume, follow_symlinks=False)
    if (status.st_uid, status.st_gid) == (0, 0) and not os.listdir(volume):
        os.chown(volume, *(ids.outside(0, 0) or (0, 0)), follow_symlinks=False)


def _written(file: InlineFile, ids: IdMap) -> Attached:
    """The mount of FILE, with the owner that its numbers are in the container."""
    owner = ids.outside(file.uid, file.gid)
    if owner is None:
        raise LaunchError(f"{file.target}: there is no owner {file.uid}:{file.gid} in this container")
    bind = file.replace(uid=owner[0], gid=owner[1]).write()
    return _bound(bind, bind.clone())


def _copied_on_write(volume: CopyOnWrite, plan: LaunchPlan) -> Attached:
    """The overlay of VOLUME, or its read-only mount. Its files have the owners that they have on the host, as those of
    other volumes; an empty directory is the container's."""
    ids = plan.own_ids
    assert ids is not None
    volume.make_scratch()
    if isinstance(volume, EmptyPart):
        os.chown(f"{volume.scratch}/upper", *(ids.outside(0, 0) or (0, 0)))
    if isinstance(volume, Part):  # the machine's directories are closed to the container, which mounts there
        for path in _missing(volume.target, plan):
            os.close(os.open(f"{volume.scratch}/upper/{path}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    place = f"{volume.scratch}.mounted"
    os.makedirs(place)
    try:
        volume.mount(place)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        attributes = READ_ONLY | kernel.ATTR_NODEV
        bind = Bind(target=volume.target, source=volume.source, attributes=attributes, recursive=True)
        return _bound(bind, bind.clone())
    tree = kernel.clone_tree(place)
    kernel.umount(place)
    os.rmdir(place)
    return Attached(target=volume.target, what=volume.title, tree=tree, directory=True, follow=volume.follow)


def _missing(directory: str, plan: LaunchPlan) -> Iterator[str]:
    """The names of files that PLAN mounts in DIRECTORY of the machine, and that the machine lacks."""
    for operation in plan.operations:
        above, name = os.path.split(operation.target)
        if isinstance(operation, Bind) and above == directory and not os.path.lexists(operation.target):
            yield name
