"""The file tree of a container as data: each operation is a value, and `apply` carries it out.

An operation runs in the child, in its own mount namespace, before the root changes. It gets a descriptor
of the new root; `target` is a path in there. The image is untrusted, so no target is ever resolved by path from
outside: openat2(2) with RESOLVE_IN_ROOT yields a descriptor, and trees are attached to
descriptors (CVE-2021-30465, CVE-2019-16884).
"""

from __future__ import annotations

import errno
import os
import stat

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.kernel.beneath import create_file, make_target, open_existing, open_if_present
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from mydocker.idmap import IdMap

MS_NODEV = 4
OPTIONS_LIMIT = 4095  # mount(2) copies one page of options
ROOT = "memory/root"  # in a run's directory: where the new root is mounted
LINKS = "layers"  # in a run's scratch directory: short names for the directories of an overlay
IMAGE = "image"  # in a run's scratch directory: where an image that is a file is mounted
READ_ONLY = kernel.ATTR_RDONLY
HARDENED = kernel.ATTR_NOSUID | kernel.ATTR_NODEV | kernel.ATTR_NOEXEC
# a user namespace gets a new one only where a whole one is visible (mount_namespaces(7))
COVERED = "inside another container, start that one with --security-opt systempaths=unconfined, or be root in there"
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_HARMLESS = frozenset(os.makedev(*number) for number in DEVICES.values())
PROPAGATIONS = {"private": kernel.MS_PRIVATE, "slave": kernel.MS_SLAVE, "shared": kernel.MS_SHARED}


class Operation(Record):
    """One step of building the tree; `target` is absolute inside the new root."""

    target: str

    @property
    def title(self) -> str:
        """What it is, in the message of its failure."""
        return type(self).__name__.lower()

    @property
    def of_host(self) -> bool:
        """Whether what `ahead` does is to be done in the host's network."""
        return False

    @property
    def of_network(self) -> bool:
        """Whether the container must have its interfaces and addresses before it is applied."""
        return False

    def ahead(self) -> Operation:
        """Do what can only be done while this process's mounts are still the host's; the operation that is left to
        apply."""
        return self

    def apply(self, root: int) -> None:
        """Do it; OSError and LaunchError say what the kernel or the image refused."""
        raise NotImplementedError


class Filesystem(Operation):
    """A new file system of a kernel type: proc, sysfs, tmpfs, devpts, mqueue, cgroup2.

    Neither the target nor a parent of it may be a symbolic link (CVE-2023-27561).
    """

    fstype: str
    source: str = ""  # what df(1) and /proc/mounts call it; the type, if empty
    options: tuple[tuple[str, str | None], ...] = ()
    attributes: int = 0

    def apply(self, root: int) -> None:
        try:
            tree = kernel.new_filesystem(
                self.fstype, list(self.options), attributes=self.attributes, source=self.source
            )
        except PermissionError as error:
            raise LaunchError(f"cannot mount a new {self.fstype}: {error.strerror}", hint=COVERED) from None
        attach(tree, make_target(root, self.target, directory=True, follow=False))


class Bind(Operation):
    """Mount what is at `source` on the host at the target too. Only mount flags are added, none is taken."""

    source: str
    attributes: int = kernel.ATTR_NODEV
    recursive: bool = False
    propagation: str = "private"
    follow: bool = True  # whether symlinks of the image on the way to the target are followed, inside
    ids: IdMap | None = None  # which owners appear as which others
    create: bool = False  # whether a directory is created where the host has nothing at the source

    def apply(self, root: int) -> None:
        self.create_source(root)
        tree = self.clone()
        directory = self.settle(tree)
        attach(tree, make_target(root, self.target, directory=directory, follow=self.follow))

    def settle(self, tree: int) -> bool:
        """Give TREE, a copy of the mount at the source, its owners, attributes and propagation; whether it is a
        directory."""
        if self.ids:
            from mydocker.runtime.volume.idmapped import map_ids

            map_ids(tree, self.ids, source=self.source, recursive=self.recursive)
        status = os.fstat(tree)
        attributes = self.attributes & ~kernel.ATTR_NODEV if is_harmless(status) else self.attributes
        kernel.set_attributes(tree, attributes, recursive=self.recursive, propagation=PROPAGATIONS[self.propagation])
        return stat.S_ISDIR(status.st_mode)

    def clone(self) -> int:
        """A detached copy of the mount at the source."""
        try:
            return kernel.clone_tree(self.source, recursive=self.recursive)
        except FileNotFoundError:
            raise LaunchError(f"bind source {self.source} does not exist") from None
        except PermissionError as error:
            raise LaunchError(f"bind source {self.source}: {error.strerror}") from None

    def create_source(self, root: int | None) -> None:
        """Create a directory at the source, with its parents, if `create` is set and nothing is there. Where the image
        has a file at the target, below ROOT, and for a socket, a directory would hide what is missing."""
        if not self.create or os.path.lexists(self.source):
            return
        image_file = open_if_present(root, self.target, follow=True) if root is not None else None
        is_file = image_file is not None and not stat.S_ISDIR(os.fstat(image_file).st_mode)
        if image_file is not None:
            os.close(image_file)
        if is_file or self.source.endswith(".sock"):
            what = f"{self.target} is a file in the image" if is_file else "a socket is made by the program behind it"
            raise LaunchError(f"bind source {self.source} does not exist", hint=f"no directory is created: {what}")
        try:
            os.makedirs(self.source, exist_ok=True)
        except OSError as error:
            message = f"bind source {self.source} does not exist, and cannot be created: {error.strerror}"
            raise LaunchError(message) from None


class HostProgram(Operation):
    """A program of the host at the same path in the container, read-only, if the image has none there."""

    replace_existing: bool = False

    def apply(self, root: int) -> None:
        if self.replace_existing or not _exists(root, self.target):
            Bind(target=self.target, source=self.target, attributes=READ_ONLY | kernel.ATTR_NODEV).apply(root)


class CopyOnWrite(Operation):
    """A directory of the host that the container can write to, and that stays unchanged on the host.

    One overlay; `scratch` is a directory on a file system that only this mount namespace has. What overlayfs refuses as
    a lower directory (EINVAL: some file systems; in a user namespace, any directory with mounts below it) is mounted
    read-only instead, if `or_read_only`. `in_memory`: the scratch gets a tmpfs, since it is below the source.
    """

    source: str
    scratch: str
    options: str = ""
    in_memory: bool = False
    or_read_only: bool = True
    follow: bool = False
    over: tuple[str, ...] = ()  # layers above the source

    @property
    def lower(self) -> tuple[str, ...]:
        """The directories that the container's writes change, the lowest first."""
        return (self.source, *self.over)

    def layers(self) -> tuple[str, ...]:
        """The lower directories to mount, some of which are created in the scratch directory."""
        return self.lower

    def apply(self, root: int) -> None:
        self.make_scratch()
        target = make_target(root, self.target, directory=True, follow=self.follow)
        try:
            self.mount(f"/proc/self/fd/{target}")
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            attributes = READ_ONLY | kernel.ATTR_NODEV
            Bind(target=self.target, source=self.source, attributes=attributes, recursive=True).apply(root)
        finally:
            os.close(target)

    def make_scratch(self) -> None:
        """Make the directories for what is written. LaunchError if the source is no directory."""
        if not os.path.isdir(self.source):
            raise LaunchError(f"volume {self.source} cannot be shown copy-on-write: it is not a directory")
        if self.in_memory:
            os.makedirs(self.scratch)
            mount_memory(self.scratch)
        os.makedirs(f"{self.scratch}/upper")
        os.makedirs(f"{self.scratch}/work")
        copy_ownership(self.source, f"{self.scratch}/upper")

    def mount(self, target: str) -> None:
        """Mount the overlay on TARGET. LaunchError if overlayfs refuses it and nothing else may be mounted; else
        OSError."""
        try:
            mount_overlay(self.layers(), self.scratch, target, self.options)
        except OSError as error:
            if error.errno != errno.EINVAL or self.or_read_only:
                raise
            raise LaunchError(
                f"volume {self.source} cannot be shown copy-on-write: overlayfs refuses it",
                hint="it refuses some file systems, and for ordinary users directories with mounts below them",
            ) from None


class Symlink(Operation):
    """A symbolic link in a directory that an earlier operation mounted."""

    to: str

    def apply(self, root: int) -> None:
        parent, name = os.path.split(self.target)
        directory = open_existing(root, parent, follow=False)
        try:
            os.symlink(self.to, name, dir_fd=directory)
        finally:
            os.close(directory)


class MissingLink(Symlink):
    """A symbolic link in a directory of the image, which is created if missing. A file of the image at the target
    stays, and no link of the image is followed to it."""

    def apply(self, root: int) -> None:
        parent, name = os.path.split(self.target)
        try:
            directory = make_target(root, parent, directory=True, follow=False)
        except LaunchError:  # a link, or a file: the image has its own
            return
        try:
            os.symlink(self.to, name, dir_fd=directory)
        except FileExistsError:
            pass
        finally:
            os.close(directory)


class Directory(Operation):
    """A directory at the target, created with its parents if missing, with mode 0755."""

    def apply(self, root: int) -> None:
        os.close(make_target(root, self.target, directory=True))


class DeclaredVolume(Directory):
    """A directory that an image declares to be a volume. It is left out if it cannot be created: the image may not need
    it."""

    def apply(self, root: int) -> None:
        try:  # noqa: SIM105  # contextlib is not on the warm path
            super().apply(root)
        except (OSError, LaunchError):
            pass


class Mask(Operation):
    """Hide the target: a file becomes /dev/null, a directory empty and read-only; a missing one is skipped.

    `null` must really be the null device: a link planted in its place led to host files (CVE-2025-31133).
    """

    def apply(self, root: int) -> None:
        target = open_if_present(root, self.target)
        if target is None:
            return
        if stat.S_ISDIR(os.fstat(target).st_mode):
            tree = kernel.new_filesystem("tmpfs", [("size", "0")], attributes=READ_ONLY | HARDENED)
        else:
            tree = clone_device("/dev/null", os.makedev(1, 3))
        attach(tree, target)


class ReadOnly(Operation):
    """A path that an earlier operation mounted, made read-only; a missing one is skipped."""

    def apply(self, root: int) -> None:
        target = open_if_present(root, self.target)
        if target is None:
            return
        tree = kernel.clone_tree("", directory=target, recursive=True)
        kernel.set_attributes(tree, READ_ONLY | HARDENED, recursive=True)
        attach(tree, target)


class DeviceNode(Operation):
    """A character device of the host, bound in a directory that an earlier operation mounted: creating one would need a
    capability outside user namespaces."""

    number: tuple[int, int]  # major, minor: the host's node must be this device

    @property
    def title(self) -> str:
        return "device"

    def apply(self, root: int) -> None:
        tree = clone_device(self.target, os.makedev(*self.number))
        attach(tree, create_file(root, self.target))


def is_harmless(status: os.stat_result) -> bool:
    """Whether STATUS is of a device that every container has."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev in _HARMLESS


def clone_device(path: str, number: int) -> int:
    """A detached bind of the character device at PATH, verified to be device NUMBER."""
    tree = kernel.clone_tree(path)
    status = os.fstat(tree)
    if not stat.S_ISCHR(status.st_mode) or status.st_rdev != number:
        os.close(tree)
        raise LaunchError(f"{path} of the host is not the expected device")
    return tree


def mount_memory(path: str) -> None:
    """Mount an empty tmpfs on PATH, a directory of the run."""
    tree = kernel.new_filesystem("tmpfs", [("mode", "755")], attributes=kernel.ATTR_NODEV)
    try:
        attach(tree, os.open(path, os.O_PATH | os.O_CLOEXEC))
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or errno.EIO), path) from None


def copy_ownership(source: str, target: str) -> None:
    """Give TARGET, the root of an upper layer, the mode and owner of SOURCE: overlayfs shows those of the upper."""
    status = os.stat(source)
    os.chmod(target, stat.S_IMODE(status.st_mode))
    try:
        os.chown(target, status.st_uid, status.st_gid)
    except OSError as error:  # an owner that this user namespace has no number for
        if error.errno not in (errno.EINVAL, errno.EPERM):
            raise


def mount_overlay(lower: tuple[str, ...], scratch: str, target: str, extra: str) -> None:
    """Mount an overlay on TARGET, with the directories `upper` and `work` of SCRATCH. LOWER is listed lowest first;
    paths are absolute; EXTRA are more mount options.

    Names are relative to the directory that they have in common, since mount(2) takes a page of options. Where that is
    not enough, as with 50 layers and more, the names are those of links, made in SCRATCH: 500 layers take half a page.
    The current directory is `/` afterwards: nothing here is relative to another one.
    """
    paths = (*lower, f"{scratch}/upper", f"{scratch}/work")
    base = os.path.commonprefix(paths).rpartition("/")[0] or "/"
    options = _overlay_data([path[len(base) :].lstrip("/") or "." for path in paths], extra)
    if len(os.fsencode(options)) > OPTIONS_LIMIT:
        base = f"{scratch}/{LINKS}"
        options = _overlay_data(_link(paths, base), extra)
    os.chdir(base)
    try:
        kernel.mount("overlay", target, "overlay", MS_NODEV, options)
    finally:
        os.chdir("/")  # not back: the caller's directory may be gone, or not accessible


def _overlay_data(names: list[str], extra: str) -> str:
    """The options of an overlay of NAMES: lower directories, lowest first, then the upper one and the one for work."""
    *layers, upper, work = [_escape(name) for name in names]
    return f"lowerdir={':'.join(reversed(layers))},upperdir={upper},workdir={work}{extra}"


def _link(paths: tuple[str, ...], directory: str) -> list[str]:
    """Make directory DIRECTORY, with a symbolic link to each of PATHS; the names of these."""
    os.mkdir(directory)
    for number, path in enumerate(paths):
        os.symlink(path, f"{directory}/{number}")
    return [str(number) for number in range(len(paths))]


def _escape(path: str) -> str:
    """Overlay's own escapes (kernel documentation "overlayfs.rst"): a backslash before `:`, `,` and itself."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def attach(tree: int, target: int) -> None:
    """Mount the detached TREE on TARGET, and close both descriptors. LaunchError if only one is a directory."""
    try:
        kernel.attach(tree, target)
    except OSError:
        directories = [stat.S_ISDIR(os.fstat(descriptor).st_mode) for descriptor in (tree, target)]
        if directories[0] == directories[1]:
            raise
        inside = os.readlink(f"/proc/self/fd/{target}").rpartition(ROOT)[2]
        existing, other = ("a file", "a directory") if directories[0] else ("a directory", "a file")
        raise LaunchError(f"{inside} in the container is {existing}, and {other} cannot be mounted there") from None
    finally:
        os.close(tree)
        os.close(target)


def _exists(root: int, path: str) -> bool:
    descriptor = open_if_present(root, path, follow=True)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True
