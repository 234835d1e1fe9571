"""Writing an image of the store as a file that is a file system: its tree as a container sees it, and its config.

The program that writes it reads the overlay of the layers, so whiteouts are applied; and it runs with the ids that own
the layers, so the owners are the image's. The same image gives the same bytes from the same program.
"""

from __future__ import annotations

import os
from functools import partial

from mydocker import idmap, kernel, programs
from mydocker.errors import HostError, ImageError, StoreError
from mydocker.image.files import file_system
from mydocker.image.store import Store, catalog, flock
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.launch.child import leave_propagation
from mydocker.runtime.plan.operations import mount_memory
from mydocker.runtime.plan.root import LayeredRoot

if TYPE_CHECKING:
    from mydocker.image.model import StoredImage
    from mydocker.image.store.catalog import NamedImage

PROGRAMS = {"squashfs": "mksquashfs", "erofs": "mkfs.erofs"}
_ONE_OWNER = "all files in it belong to root, as in this store: see ids in 'mydocker doctor'"
_SHOWN = 5  # lines of a program's complaint
_NO_UUID = "00000000-0000-0000-0000-000000000000"
_LATEST = "4102444800"  # the year 2100, in seconds


def create(store: Store, image: NamedImage, path: str, *, kind: str) -> list[str]:
    """Write IMAGE of STORE to PATH, an absolute path where nothing is, as a file system of KIND. What to know about it,
    in words. Raises HostError, ImageError, OSError."""
    program = programs.find(PROGRAMS[kind])
    name = str(image.tags[0]) if image.tags else ""
    store.prepare_containers()
    with flock.shared(store.layers):
        documents = catalog.documents(store, image)
        stored = catalog.of_manifest(store, image.entries[0].reference, image.ref.manifest)
        if stored is None:
            raise StoreError(f"image {image.ref.config}: layers are missing", hint="see 'mydocker fsck'")
        if not stored.lowerdirs:
            raise ImageError(f"image {stored.reference.familiar} has no layers, so there is nothing to save")
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        idmap.perform(store.ids, partial(_write, store, stored, program, path, kind))
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        file_system.append(descriptor, config=documents.config, name=name, manifest=image.ref.manifest)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return [_ONE_OWNER] if store.ids and store.ids.is_single else []


def _write(store: Store, image: StoredImage, program: str, path: str, kind: str) -> None:
    """In a process with the ids of the layers: mount them, where nobody else sees it, and call PROGRAM."""
    idmap.unshare(kernel.CLONE_NEWNS)
    leave_propagation()
    place = store.containers  # of this store's directories one that has no layers in it
    mount_memory(place)
    for name in ("scratch", "memory"):
        os.mkdir(f"{place}/{name}")
    root = LayeredRoot(lowerdirs=image.lowerdirs, user_xattrs=store.ids is not None).mount(place)
    os.utime(root, (0, 0))  # it is of no layer
    lines: list[bytes] = []
    environment = {"PATH": programs.PATH, "LC_ALL": "C"}
    arguments, more = _ARGUMENTS[kind](root, path)
    status = programs.follow(
        os.path.basename(program), *arguments, environment=environment | more, path=programs.PATH, output=lines.append
    )
    if status:
        said = programs.printable(b"\n".join(lines[-_SHOWN:])) or "it printed nothing"
        raise HostError(f"{os.path.basename(program)} failed with status {status}: {said}")


def _squashfs(root: str, path: str) -> tuple[list[str], dict[str, str]]:
    """mksquashfs(1). A file that cannot be read is an error; the files keep their times. lz4 makes the file a third
    larger than zstd does, and is written and read twice as fast."""
    fixed = ["-mkfs-time", "0", "-noappend", "-no-recovery", "-no-progress", "-quiet", "-exit-on-error"]
    return [root, path, "-comp", "lz4", *fixed], {}


def _erofs(root: str, path: str) -> tuple[list[str], dict[str, str]]:
    """mkfs.erofs(1). It takes its own time from SOURCE_DATE_EPOCH, and later files get that time, too."""
    return ["-zlz4hc", f"-U{_NO_UUID}", "--preserve-mtime", "--quiet", path, root], {"SOURCE_DATE_EPOCH": _LATEST}


_ARGUMENTS = {"squashfs": _squashfs, "erofs": _erofs}
