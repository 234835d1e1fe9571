"""Of what kind each change of a container was: added, changed or removed, as `docker diff` says it."""

from __future__ import annotations

import os
import stat

from mydocker.record import TYPE_CHECKING
from mydocker.runtime.changes import is_whiteout, walk_changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mydocker.runtime.window import View

ADDED, CHANGED, REMOVED = "A", "C", "D"
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def list_kinds(view: View) -> list[tuple[str, str]]:
    """(kind, path) of each change, sorted by path, and of the directories above them. LaunchError as `list_changes`.

    A directory that was removed and made again is changed, and what is missing in it is not listed.
    """
    found: dict[str, str] = {}
    for change in walk_changes(view):
        top = len(change.top)
        found[change.path] = REMOVED if change.gone else _kind(change.lower, change.path[top:])
        above = os.path.dirname(change.path)
        while above != "/" and above not in found:
            found[above] = _kind(change.lower, above[top:]) if len(above) > top else CHANGED
            above = os.path.dirname(above)
    return [(kind, path) for path, kind in sorted(found.items())]


def _kind(lower: Sequence[str], inside: str) -> str:
    """Of what is at INSIDE now, by whether it is in the layers LOWER, the lowest first."""
    for layer in reversed(lower):
        there = _look_up(layer, inside)
        if there is not None:
            return CHANGED if there else ADDED
    return ADDED


def _look_up(layer: str, inside: str) -> bool | None:
    """Whether INSIDE is in LAYER, through no link; None if the layer leaves that to those below."""
    here = os.open(layer, _DIRECTORY)
    try:
        *above, name = inside.strip("/").split("/")
        for part in above:
            found = _entry(here, part)
            if not isinstance(found, os.stat_result):
                return found
            if not stat.S_ISDIR(found.st_mode):
                return False
            below = os.open(part, _DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        last = _entry(here, name)
        return True if isinstance(last, os.stat_result) else last
    finally:
        os.close(here)


def _entry(directory: int, name: str) -> os.stat_result | bool | None:
    """The entry NAME of DIRECTORY; False if that hides it, None if it says nothing of it."""
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False if _is_opaque(directory) else None
    return False if is_whiteout(found) else found


def _is_opaque(directory: int) -> bool:
    for name in _OPAQUE:
        try:
            if os.getxattr(f"/proc/self/fd/{directory}", name) == b"y":
                return True
        except OSError:  # ENODATA; EPERM and ENOTSUP where there are none of this kind
            continue
    return False
