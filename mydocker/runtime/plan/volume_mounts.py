"""The mounts that a spec adds (binds, volumes, tmpfs) become operations; imported only where there are any.

They come in two parts. `early` ones run while only the image's tree is mounted, before anything else is mounted in it:
a volume must be filled from the image, not from another mount. `late` ones mount, parents first.
"""

from __future__ import annotations

import os
import stat

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.kernel.beneath import make_directory, make_target, open_if_present
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.plan.operations import (
    DEVICES,
    READ_ONLY,
    Bind,
    CopyOnWrite,
    Directory,
    Operation,
    attach,
    mount_memory,
)
from mydocker.runtime.plan.root import overlay_options
from mydocker.runtime.volume.fill import fill
from mydocker.specs.model import BindMount, FileMount, FilesystemMount, Mount, TmpfsMount, VolumeMount

if TYPE_CHECKING:
    from mydocker.idmap import IdMap
    from mydocker.runtime.plan.host import Host
    from mydocker.specs.model import ContainerSpec


INLINE_FILE = READ_ONLY | kernel.ATTR_NODEV | kernel.ATTR_NOSUID  # of inline files; one may be a script to execute


class MountPlan(Record):
    """The operations of both parts; `volumes` are the directories of the named volumes; `targets` is all of them."""

    early: tuple[Operation, ...]
    late: tuple[Operation, ...]
    volumes: tuple[str, ...]
    targets: tuple[str, ...]

    def seal(self, tree: tuple[Operation, ...], *, working_dir: str) -> tuple[Operation, ...]:
        """Make the root read-only, and everything that TREE's operations mount in it, but none of these mounts."""
        parts = [
            part.target
            for part in tree
            if isinstance(part, CopyOnWrite) and not any(f"{part.target}/".startswith(f"{x}/") for x in self.targets)
        ]
        return (Directory(target=working_dir), *(Seal(target=target) for target in ("/", *parts)))


class Keep(Operation):
    """The image's directory at the target, created if missing, bound to `place`, a new directory of the run.

    That is a volume without a name: filled with the image's files, as Docker has it, and gone with the container's
    writable layer, of which it is a part.
    """

    place: str

    def apply(self, root: int) -> None:
        os.mkdir(self.place, 0o700)
        directory = make_directory(root, self.target)
        try:
            tree = kernel.clone_tree("", directory=directory)
        finally:
            os.close(directory)
        attach(tree, os.open(self.place, os.O_PATH | os.O_CLOEXEC))


class Fill(Operation):
    """What the image has in the directory at the target is copied into the volume at `path`, if that is empty."""

    path: str

    def apply(self, root: int) -> None:
        source = open_if_present(root, self.target, follow=True)
        if source is None:
            return
        try:
            if stat.S_ISDIR(os.fstat(source).st_mode):
                fill(source, self.path)
        finally:
            os.close(source)


class VolumeBind(Bind):
    """Directory `source` of a volume, or what is at `subpath` in it; a link that a container left there cannot lead
    out."""

    subpath: str = ""

    def clone(self) -> int:
        top = os.open(self.source, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            shown = kernel.open_inside(top, self.subpath or ".", os.O_PATH)
        except FileNotFoundError:
            raise LaunchError(f"the volume has no {self.subpath!r} to be mounted at {self.target}") from None
        finally:
            os.close(top)
        try:
            return kernel.clone_tree("", directory=shown)
        finally:
            os.close(shown)


class Tmpfs(Operation):
    """An empty tmpfs. Without a mode among its options it has that of the image's directory, as with runc."""

    options: tuple[tuple[str, str], ...] = ()
    attributes: int = 0

    def apply(self, root: int) -> None:
        options: list[tuple[str, str | None]] = [*self.options]
        target = open_if_present(root, self.target, follow=True)
        if target is None:
            target = make_target(root, self.target, directory=True)
        elif "mode" not in dict(self.options):
            options.append(("mode", f"{stat.S_IMODE(os.fstat(target).st_mode):o}"))
        attach(kernel.new_filesystem("tmpfs", options, attributes=self.attributes), target)


class InlineFile(Operation):
    """A file of this content, read-only. It is in memory, at `place`, a new directory of the run."""

    content: str
    place: str
    mode: int
    uid: int
    gid: int
    secret: bool = False  # whether nothing may print the content

    def apply(self, root: int) -> None:
        self.write().apply(root)

    def write(self) -> Bind:
        """Write it at its place; what shows it at the target. LaunchError if it cannot have its owner."""
        path = f"{self.place}/file"
        os.mkdir(self.place, 0o700)
        mount_memory(self.place)
        with open(path, "wb") as file:
            file.write(os.fsencode(self.content))
        try:
            os.chown(path, self.uid, self.gid)
        except OSError:
            raise LaunchError(f"{self.target}: there is no owner {self.uid}:{self.gid} in this container") from None
        os.chmod(path, self.mode)
        return Bind(target=self.target, source=path, attributes=INLINE_FILE)


class Seal(Operation):
    """The mount at the target becomes read-only; what is mounted below it stays as it is."""

    def apply(self, root: int) -> None:
        top = open_if_present(root, self.target, follow=True)
        if top is None:  # a part of the machine's tree that is gone
            return
        try:
            kernel.set_attributes(top, kernel.ATTR_RDONLY)
        finally:
            os.close(top)


def plan_mounts(spec: ContainerSpec, declared: tuple[str, ...], *, host: Host, run_dir: str, volumes: str) -> MountPlan:
    """The mounts of SPEC, and with a read-only root the volumes that the image has DECLARED: those stay writable.

    Otherwise a declared volume is what the image's directory is anyway: writable, with its files, and gone in the end.
    VOLUMES is the directory of the named ones.
    """
    mounts = [*spec.volumes, *_declared(spec, declared)] if spec.read_only else [*spec.volumes]
    early: list[Operation] = []
    late: list[Operation] = []
    paths: list[str] = []
    for number, mount in enumerate(sorted(mounts, key=lambda mount: mount.target.count("/"))):
        _check_target(mount)
        match mount:
            case BindMount():
                late += _binds(mount, host, run_dir=run_dir, number=number, devices=spec.privileged)
                late += _opened(mount, spec)
            case TmpfsMount():
                late.append(_tmpfs(mount))
            case FilesystemMount():
                late.append(_filesystem(mount))
            case FileMount():
                late.append(_file(mount, at=f"{run_dir}/file-{number}"))
            case VolumeMount(volume=None):
                directory = f"{run_dir}/volume-{number}"
                early.append(Keep(target=mount.target, place=directory))
                late.append(Bind(target=mount.target, source=directory, attributes=_attributes(mount)))
            case VolumeMount():
                path = _place(mount, volumes)
                paths.append(path)
                if mount.copy and not mount.subpath and spec.rootfs != "/":  # the machine's own tree is no image
                    early.append(Fill(target=mount.target, path=path))
                late.append(_named(mount, host, path=path, run_dir=run_dir, number=number))
    return MountPlan(
        early=tuple(early),
        late=tuple(late),
        volumes=tuple(dict.fromkeys(paths)),
        targets=tuple(mount.target for mount in mounts),
    )


def _declared(spec: ContainerSpec, declared: tuple[str, ...]) -> list[Mount]:
    targets = {mount.target for mount in spec.volumes}
    return [VolumeMount(target=target) for target in declared if target not in targets]


def _check_target(mount: Mount) -> None:
    if mount.target == "/":
        raise LaunchError("the container's root cannot be a volume's target")
    if mount.target == "/proc" or mount.target.startswith("/proc/"):
        raise LaunchError(f"volume target {mount.target}: nothing can be mounted in /proc (CVE-2019-16884)")


def _attributes(mount: Mount) -> int:
    return kernel.ATTR_NODEV | (kernel.ATTR_RDONLY if mount.read_only else 0)


def _binds(mount: BindMount, host: Host, *, run_dir: str, number: int, devices: bool) -> list[Operation]:
    """Of the host's /dev, with DEVICES all open that mydocker itself may open; else those that every container has.

    Elsewhere nothing opens: what a container makes in a directory of the host could be a disk.
    """
    if mount.copy_on_write:
        return [_copy_on_write(mount, host, source=mount.source, run_dir=run_dir, number=number)]
    attributes = _attributes(mount)
    if devices and f"{mount.source}/".startswith("/dev/"):
        return [_bind(mount, attributes & ~kernel.ATTR_NODEV, host)]
    shown = {"/dev": mount.target, "/": f"{mount.target}/dev"}.get(mount.source)
    if shown is None:
        return [_bind(mount, attributes, host)]
    if devices:
        opened = [Bind(target=shown, source="/dev", attributes=attributes & ~kernel.ATTR_NODEV, recursive=True)]
    else:
        opened = [Bind(target=f"{shown}/{name}", source=f"/dev/{name}", follow=False) for name in DEVICES]
    return [_bind(mount, attributes, host), *opened]


def _opened(mount: BindMount, spec: ContainerSpec) -> list[Operation]:
    """The devices of a directory of the host's /dev that the rules of SPEC open."""
    if not spec.device_cgroup_rules or spec.privileged or not f"{mount.source}/".startswith("/dev/"):
        return []
    from mydocker.runtime.plan.devices import MatchingDevices

    return [MatchingDevices(target=mount.target, source=mount.source, rules=spec.device_cgroup_rules)]


def _owners(mount: BindMount | VolumeMount, host: Host) -> IdMap | None:
    """The map of an idmapped mount. Without one of its own, it is that of the container's user namespace, and most of
    root's containers have that of the host. LaunchError for an ordinary user, to whom the kernel grants none."""
    if mount.idmap is None:
        return None
    if host.ids is not None:
        what = f"volume {mount.target}: idmap"
        raise LaunchError(f"{what} is for root", hint="an ordinary user's ids are mapped already; leave it out")
    if not mount.idmap:
        return host.own_ids
    from mydocker.specs.values.userns import mount_mapping

    return mount_mapping(mount.idmap)


def _bind(mount: BindMount, attributes: int, host: Host) -> Operation:
    bind, propagation = Bind, mount.propagation.removeprefix("r")
    if propagation != "private":
        from mydocker.runtime.plan.propagation import Propagating

        bind = Propagating
    return bind(
        target=mount.target,
        source=mount.source,
        attributes=attributes,
        recursive=mount.recursive,
        propagation=propagation,
        ids=_owners(mount, host),
        create=mount.create,
    )


def _place(mount: VolumeMount, volumes: str) -> str:
    """The directory of a named volume, below VOLUMES. Raises LaunchError for an external one that is not there."""
    path = f"{volumes}/{mount.volume}"
    if mount.external and not os.path.isdir(path):
        hint = f"mydocker volume create {mount.volume}"
        raise LaunchError(f"the external volume {mount.volume} does not exist", hint=hint)
    return path


def _filesystem(mount: FilesystemMount) -> Operation:
    from mydocker.runtime.volume.filesystem import MountedFilesystem

    return MountedFilesystem(
        target=mount.target,
        fstype=mount.fstype,
        device=mount.device,
        options=mount.options,
        attributes=_attributes(mount),
    )


def _file(mount: FileMount, *, at: str) -> Operation:
    fields = {name: getattr(mount, name) for name in ("target", "content", "mode", "uid", "gid", "secret")}
    return InlineFile(place=at, **fields)


def _named(mount: VolumeMount, host: Host, *, path: str, run_dir: str, number: int) -> Operation:
    source = f"{path}/data"
    if mount.copy_on_write:
        return _copy_on_write(mount, host, source=source, run_dir=run_dir, number=number)
    return VolumeBind(
        target=mount.target,
        source=source,
        attributes=_attributes(mount),
        subpath=mount.subpath,
        ids=_owners(mount, host),
    )


def _copy_on_write(mount: Mount, host: Host, *, source: str, run_dir: str, number: int) -> Operation:
    return CopyOnWrite(
        target=mount.target,
        source=source,
        scratch=f"{run_dir}/scratch/volume-{number}",
        options=overlay_options(user_xattrs=host.rootless),
        in_memory=f"{run_dir}/".startswith(f"{source.rstrip('/')}/"),
        or_read_only=False,
        follow=True,
    )


_ACCESS_TIMES = {"": 0, "noatime": kernel.ATTR_NOATIME, "strictatime": kernel.ATTR_STRICTATIME}


def _tmpfs(mount: TmpfsMount) -> Operation:
    attributes = _attributes(mount) | _ACCESS_TIMES[mount.access_times]
    attributes |= 0 if mount.executable else kernel.ATTR_NOEXEC
    attributes |= 0 if mount.setuid else kernel.ATTR_NOSUID
    numbers = {"size": mount.size, "nr_inodes": mount.inodes, "uid": mount.uid, "gid": mount.gid}
    options = [(name, str(value)) for name, value in numbers.items() if value is not None]
    if mount.mode is not None:
        options.append(("mode", f"{mount.mode:o}"))
    return Tmpfs(target=mount.target, options=tuple(options), attributes=attributes)
