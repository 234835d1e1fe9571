"""The file system of a store, where it is none of the usual local ones: whether overlayfs can write there, and whether
the locks of one machine are seen by the others. Not on the warm path.

Overlayfs takes a directory for its upper layer only if the file system can rename with RENAME_WHITEOUT and has extended
attributes (fs/overlayfs/super.c, ovl_make_workdir: "upper fs missing required features").
"""

from __future__ import annotations

import os
from contextlib import suppress

from mydocker import kernel
from mydocker.kernel.disk import lock_everywhere, rename_to_whiteout
from mydocker.kernel.mountinfo import mount_of
from mydocker.record import Record

# linux/magic.h, and of BeeGFS, GPFS, Lustre and OrangeFS their own sources. What is not here is tried.
NETWORK = {
    0x6969: "nfs",
    0x517B: "smb",
    0xFF534D42: "cifs",
    0xFE534D42: "smb3",
    0x01021997: "9p",
    0x00C36400: "ceph",
    0x0BD00BD0: "lustre",
    0x47504653: "gpfs",
    0x19830326: "beegfs",
    0x5346414F: "afs",
    0x6B414653: "afs",
    0x73757245: "coda",
    0x20030528: "orangefs",
    0x786F4256: "vboxsf",
}


class FileSystem(Record):
    """What holds a store: `type` as mount(8) calls it; `is_upper`: overlayfs can write there; `unseen`: why other
    machines may not see the locks that are taken here, empty if they do, or if there are no others."""

    type: str
    is_read_only: bool
    is_upper: bool
    unseen: str = ""

    @property
    def holds_containers(self) -> bool:
        """Whether what a container writes can be there."""
        return self.is_upper and not self.is_read_only

    @property
    def why(self) -> str:
        """Why it does not hold containers."""
        return "read-only" if self.is_read_only else f"on {self.type}, where overlayfs cannot write"


def inspect(path: str) -> FileSystem:
    """The file system of PATH, or of the nearest directory above it that is there. Raises OSError."""
    while not os.path.exists(path) and path != "/":
        path = os.path.dirname(path)
    magic, is_read_only = kernel.file_system(path)
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        mount = mount_of(descriptor)
    finally:
        os.close(descriptor)
    name = mount.fstype if mount else NETWORK.get(magic, f"{magic:#x}")
    is_network = magic in NETWORK
    is_upper = magic in kernel.LOCAL_FILE_SYSTEMS or (not is_network and (is_read_only or can_be_upper(path)))
    may_be_shared = is_read_only or not is_upper  # CVMFS is one of FUSE that is read-only
    is_shared = is_network or (magic == kernel.FUSE and may_be_shared)
    unseen = why_unseen(NETWORK.get(magic, name), mount.options if mount else ()) if is_shared else ""
    unseen = unseen or (_why_none(path) if is_shared and not is_read_only else "")
    return FileSystem(type=name, is_read_only=is_read_only, is_upper=is_upper, unseen=unseen)


def can_be_upper(directory: str) -> bool:
    """Whether DIRECTORY has what overlayfs asks of an upper layer, tried on a file that is made for that; also if none
    can be made."""
    place = f"{directory}/.{os.urandom(8).hex()}"
    space = "trusted" if os.geteuid() == 0 else "user"
    try:
        os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError:
        return True
    try:
        os.setxattr(place, f"{space}.overlay.mydocker", b"y")
        rename_to_whiteout(place, f"{place}-")
    except OSError:
        return False
    finally:
        for path in (place, f"{place}-"):
            with suppress(OSError):
                os.unlink(path)
    return True


def _why_none(directory: str) -> str:
    """Why DIRECTORY has no locks; empty if it has. Only a lock that is taken shows it."""
    place = f"{directory}/.{os.urandom(8).hex()}"
    try:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return ""
    try:
        lock_everywhere(descriptor, wait=False)
    except OSError as error:
        return f"it has no locks: {error.strerror}"
    finally:
        os.unlink(place)
        os.close(descriptor)
    return ""


def why_unseen(name: str, options: tuple[str, ...]) -> str:
    """Why locks (fcntl(2)) on file system NAME, mounted with OPTIONS, stay with this kernel; empty if they do not."""
    match name:
        case "nfs":  # nfs(5), "local_lock"; flock alone may be local, which is not what mydocker uses here
            local = {"nolock", "local_lock=all", "local_lock=posix"} & {*options}
            return f"it is mounted with {min(local)}" if local else ""
        case "smb" | "cifs" | "smb3":  # mount.cifs(8)
            return "it is mounted with nobrl" if "nobrl" in options else ""
        case "lustre":  # mount.lustre(8)
            return "" if "flock" in options else "it is not mounted with flock"
        case "ceph" | "gpfs":
            return ""
    return f"{name} keeps locks to this machine"
