"""Where what belongs to containers lies if it cannot be in the store, since that is on a read-only file system, or one
to which overlayfs cannot write, such as NFS: on this machine.

    /run/mydocker/<key>/               as root
    $XDG_RUNTIME_DIR/mydocker/<key>/   an ordinary user; /run/user/<uid> where that is not set, as after su(1)
    $TMPDIR/mydocker-<uid>/<key>/      where that is no local directory, or not there; /tmp without $TMPDIR
      containers/ background/ networks/

KEY is a number that the path of the store has, so that each has its own containers, networks and names. Where there is
one of the store already, it stays: its containers are found by commands in whose environment another one comes first.
"""

from __future__ import annotations

import os
from contextlib import suppress

from mydocker import kernel
from mydocker.errors import StoreError, hint_for
from mydocker.image.store import file_system
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def place_for(root: str, key: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Where containers of the store at ROOT, whose KEY that is, can be: a directory that is there, and the one of
    mydocker's in it; ROOT itself for both, if they can be there. Raises StoreError."""
    try:
        found = file_system.inspect(f"{root}/containers")
    except OSError as error:
        raise StoreError(f"cannot read the store {root}: {error.strerror}", hint=hint_for(error)) from None
    if found.holds_containers:
        return root, root
    places = [(base, directory) for base, directory in _places(environ) if _is_local(base)]
    used = [each for each in places if _is_own(f"{each[1]}/{key}")]
    for place in (*used, *places):
        return place
    raise StoreError(
        f"the store {root} is {found.why}, and no local directory was found for its containers",
        hint="set XDG_RUNTIME_DIR or TMPDIR to a directory of a local disk",
    )


def others(state: str, environ: Mapping[str, str]) -> list[str]:
    """The directories of this kind that the caller has on this machine, but for STATE: perhaps of another path to the
    same images."""
    found = []
    for _, directory in _places(environ):
        with suppress(OSError):
            if _is_own(directory):
                found += [f"{directory}/{name}" for name in sorted(os.listdir(directory))]
    return [path for path in found if path != state]


def _places(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Directories that may do, the best first, and what mydocker makes there."""
    runtime = "/run" if os.geteuid() == 0 else environ.get("XDG_RUNTIME_DIR", "") or _runtime_directory()
    temporary = environ.get("TMPDIR", "") or "/tmp"
    yield runtime, f"{runtime}/mydocker"
    yield temporary, f"{temporary}/mydocker-{os.geteuid()}"


def _runtime_directory() -> str:
    """The one of the user that systemd has made, if any (pam_systemd(8))."""
    directory = f"/run/user/{os.geteuid()}"
    return directory if _is_own(directory) else ""


def _is_own(directory: str) -> bool:
    """Whether DIRECTORY is the caller's."""
    try:
        return os.lstat(directory).st_uid == os.geteuid()
    except OSError:
        return False


def _is_local(base: str) -> bool:
    if not base.startswith("/"):
        return False
    try:
        magic, is_read_only = kernel.file_system(base)
    except OSError:
        return False
    return not is_read_only and magic not in file_system.NETWORK and os.access(base, os.W_OK | os.X_OK)
