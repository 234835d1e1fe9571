"""The files that a batch needs, packed for a ConfigMap: what is read when the specs are loaded, and what they mount.

Relative paths keep their meaning: the files lie to each other, and to the current directory, as they do here. Paths of
the system's directories, such as /etc/hosts, are those of the runner's image.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.model import BindMount, FileMount

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mydocker.services.case import Case

LIMIT = 1 << 20  # bytes of all values of a ConfigMap (Kubernetes, "ConfigMaps", "Motivation")
_MODULES = (".py", ".pyc", ".so")  # of Python, which may be imported meanwhile
_SHOWN = 3  # of the largest files
_SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "run", "sbin", "sys", "usr", "var/run")
_SYSTEM_DIRECTORIES = tuple(f"/{name}/" for name in _SYSTEM)


class PackedFile(Record):
    """`path` is relative to the root of all, without `..`; `mode` has the permissions."""

    path: str
    content: bytes
    mode: int = 0o644


class PackedFiles(Record):
    """`directory` is the current directory, relative to the root; `.` if it is the root."""

    files: tuple[PackedFile, ...]
    directory: str = "."


@contextmanager
def recorded_reads() -> Iterator[list[str]]:
    """The absolute paths of the files that are opened for reading meanwhile.

    Whatever the formats of spec files lead to is among them: base files, `.env`, drop-ins of Quadlets, profiles. An
    audit hook (PEP 578) cannot be removed again; this one does nothing any more.
    """
    found: dict[str, None] = {}
    recording = [True]

    def note(event: str, arguments: tuple[object, ...]) -> None:
        path = arguments[0] if recording and event == "open" else None
        if isinstance(path, str) and not path.endswith(_MODULES):
            found[os.path.abspath(path)] = None

    sys.addaudithook(note)
    paths: list[str] = []
    try:
        yield paths
    finally:
        recording.clear()
        paths += found


def mounted_paths(cases: Iterable[Case]) -> list[str]:
    """The absolute paths of what the containers of CASES have of this machine's files. Raises UsageError for an image
    that a part would have to build."""
    found: list[str] = []
    for case in cases:
        container = case.spec.container
        if case.spec.build:
            hint = "push it to a registry that the cluster reaches, and name it with the key image"
            raise UsageError(f"{case.address}: its image is built, which no part on Kubernetes can do", hint=hint)
        for mount in container.volumes:
            if isinstance(mount, BindMount):
                found.append(mount.source)
            elif isinstance(mount, FileMount) and mount.reference and mount.reference[0] == "file":
                found.append(mount.reference[1])
        if container.rootfs:
            found.append(container.rootfs)
        if container.image and container.image.location:
            found.append(os.path.abspath(container.image.location.path))
    return found


def pack(paths: Iterable[str], *, directory: str, named: Iterable[str] = ()) -> PackedFiles:
    """The files at PATHS, and below those that are directories, next to the current DIRECTORY; all paths are absolute.
    NAMED: the spec files. Raises UsageError if they cannot be read, or do not fit in a ConfigMap."""
    try:
        found = sorted({file for path in belonging(paths, directory, named) for file in _files(path)})
        _check_size(found)
        root = os.path.commonpath([directory, *(os.path.dirname(file) for file in found)])
        files = [_packed(file, root) for file in found]
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}") from None
    current = os.path.relpath(directory, root)
    if current != "." and not any(file.path.startswith(f"{current}/") for file in files):
        files.append(PackedFile(path=f"{current}/.mydocker", content=b""))  # so that the directory is there
    return PackedFiles(files=tuple(files), directory=current)


def belonging(paths: Iterable[str], directory: str, named: Iterable[str]) -> list[str]:
    """Those of PATHS that are of the batch, and not the system's or the user's; see `pack`."""
    bases = {f"{each.rstrip('/')}/" for each in (directory, *map(os.path.dirname, named))}
    return [path for path in paths if _belongs(path, bases)]


def _belongs(path: str, bases: Iterable[str]) -> bool:
    """Whether PATH is of the batch: not if it is the system's, or in a hidden directory that no path named, where users
    have their secrets and configurations."""
    below = [f"/{path[len(base) :]}" for base in bases if f"{path}/".startswith(base)]
    if not below:
        return path != "/" and not f"{path}/".startswith(_SYSTEM_DIRECTORIES) and "/." not in os.path.dirname(path)
    return any("/." not in os.path.dirname(rest) for rest in below)


def _files(path: str) -> Iterator[str]:
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UsageError(f"{path} is no regular file, so it cannot be in a ConfigMap")
        yield path
        return
    for folder, folders, names in os.walk(path):
        if not folders and not names:
            raise UsageError(f"{folder} is an empty directory, which cannot be in a ConfigMap")
        for name in (name for name in folders if os.path.islink(os.path.join(folder, name))):
            raise UsageError(f"{folder}/{name} is a link to a directory, which cannot be in a ConfigMap")
        for name in names:
            yield from _files(os.path.join(folder, name))


def _check_size(files: Sequence[str]) -> None:
    sizes = {file: os.path.getsize(file) for file in files}
    if sum(sizes.values()) <= LIMIT:
        return
    largest = sorted(files, key=lambda file: -sizes[file])[:_SHOWN]
    listed = ", ".join(f"{file} ({sizes[file] / LIMIT:.1f} MiB)" for file in largest)
    raise UsageError(
        f"the files of these specs have {sum(sizes.values()) / LIMIT:.1f} MiB, and a ConfigMap holds 1 MiB; the "
        f"largest are {listed}",
        hint="put them into the image of the runner, and name their directory there: --runner-dir /specs",
    )


def _packed(file: str, root: str) -> PackedFile:
    path = os.path.relpath(file, root)
    try:
        path.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{path!r}: its name is not UTF-8, so it cannot be in a ConfigMap") from None
    with open(file, "rb") as opened:
        return PackedFile(
            path=path, content=opened.read(), mode=stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o777
        )
