"""What relative paths and `~` start from: the caller's current directory and home. Not on the warm path.

The current directory may have been removed. Nothing else may take its place: from `/`, `-v .:/x` would
hand out the whole machine. In the same way an empty or relative $HOME or $XDG_… is not used: the XDG
Base Directory Specification has relative ones ignored.
"""

from __future__ import annotations

import contextlib
import os

from mydocker.errors import HostError, UsageError
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_LINKS = 40  # in one path (path_resolution(7))
NO_HOME = "/nonexistent"  # what Debian sets for users without a home


def gone() -> HostError:
    """The error of a relative path where there is nothing that it could be relative to."""
    return HostError("the current directory no longer exists", hint="change to one that does, or use absolute paths")


def usable(path: str) -> str:
    """PATH as it is. HostError if it is relative to a directory that no longer exists; `-` is a standard stream."""
    if path != "-" and not path.startswith("/") and not current_directory():
        raise gone()
    return path


def stream(path: str) -> int | None:
    """The open descriptor that PATH names (`/dev/stdout`, `/dev/fd/3`, `/proc/self/fd/3`, a link to one); else None.

    Opened by its name, a file would be opened anew: written to from its start, over what the caller has there already,
    and a pipe of another user not at all (proc(5)). What mydocker has opened itself is nothing that a caller could
    mean. Raises UsageError if the caller has no such descriptor open.
    """
    for _ in range(_MOST_LINKS):
        directory, name = os.path.split(os.path.normpath(path))
        if os.path.realpath(directory) == f"/proc/{os.getpid()}/fd":
            return _inherited(name, path)
        if not os.path.islink(path):
            return None
        path = os.path.join(directory, os.readlink(path))
    return None


def _inherited(name: str, path: str) -> int:
    if name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that listed them
            if os.get_inheritable(int(name)):
                return int(name)
    raise UsageError(f"cannot write {path}: no such descriptor is open")


def absolute(path: str) -> str:
    """PATH made absolute, without `.`, `..` and double slashes; symbolic links stay. Raises HostError."""
    return os.path.normpath(os.path.join(current_directory(), usable(path)))


def current_directory() -> str:
    """The current directory; empty if it has been removed (getcwd(2), ENOENT)."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def interpreter_words(module: str, word: str) -> list[str]:
    """The words of a new interpreter that calls `main(WORD)` of MODULE. It does without `site`, which takes longer than
    a container; the standard library comes first, then where this process finds mydocker and what it needs."""
    import sys

    import mydocker

    find = "import sys; sys.path += sys.argv[2:]; from mydocker.bytecode import find_directly; find_directly()"
    packages = os.path.dirname(os.path.dirname(os.path.abspath(mydocker.__file__)))
    # an editable install may put the name of an import hook there, which is no path
    path = [packages, *(os.path.abspath(each) for each in sys.path if os.path.exists(each))]
    return [sys.executable, "-I", "-S", "-c", f"{find}; from {module} import main; main(sys.argv[1])", word, *path]


def own_program() -> str:
    """The absolute path of the command that runs now, for what calls it later: a systemd unit, a job of a cluster."""
    import shutil
    import sys

    path = sys.argv[0]
    return absolute(path) if os.path.isfile(path) and os.access(path, os.X_OK) else shutil.which("mydocker") or path


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


def xdg_or_home(environ: Mapping[str, str], name: str, below: str) -> str:
    """The directory that variable NAME names, as `xdg` says; BELOW the home if it names none."""
    return xdg(environ, name) or os.path.join(home(environ), below)
