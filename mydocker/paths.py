"""What relative paths and `~` start from: the caller's current directory and home. Not on the warm path.

A shell may stand in a directory that somebody has removed. Nothing else may take its place: from `/`, `-v .:/x` would
hand out the whole machine. In the same way an empty or relative $HOME or $XDG_… is no place to start from: the XDG
Base Directory Specification has relative ones ignored.
"""

from __future__ import annotations

import os

from mydocker.errors import HostError
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_HOME = "/nonexistent"  # as Debian's users have it who have none


def gone() -> HostError:
    """The error of a relative path where there is nothing that it could be relative to."""
    return HostError("the current directory no longer exists", hint="change to one that does, or use absolute paths")


def usable(path: str) -> str:
    """PATH as it is. HostError if it is relative to a directory that no longer exists; `-` is a standard stream."""
    if path != "-" and not path.startswith("/") and not current_directory():
        raise gone()
    return path


def absolute(path: str) -> str:
    """PATH made absolute, without `.`, `..` and double slashes; symbolic links stay. Raises HostError."""
    return os.path.normpath(os.path.join(current_directory(), usable(path)))


def current_directory() -> str:
    """The current directory; empty if it has been removed (getcwd(2), ENOENT)."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def import_path() -> list[str]:
    """Where a new interpreter, which has the standard library alone, finds mydocker and what it needs."""
    import sys

    import mydocker

    packages = os.path.dirname(os.path.dirname(os.path.abspath(mydocker.__file__)))
    return [packages, *(os.path.abspath(path) for path in sys.path if path)]


def home(environ: Mapping[str, str]) -> str:
    """The caller's home: $HOME, or where that is unset, empty or relative, the one of their passwd entry, if any."""
    found = environ.get("HOME", "")
    if found.startswith("/"):
        return found
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return NO_HOME


def xdg(environ: Mapping[str, str], name: str) -> str:
    """The directory that variable NAME of the XDG Base Directory Specification names; empty if it names none."""
    found = environ.get(name, "")
    return found if found.startswith("/") else ""
