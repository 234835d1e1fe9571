"""The network of another container, for those that join it: `--network container:NAME`, `network_mode: service:NAME`.

A run's directory says by dangling links which container it is of: `process` has the number of its first process, `name`
its name, `hostname` its host name. They count while the directory is locked (run_directory.py).
"""

from __future__ import annotations

import os

from mydocker import idmap
from mydocker.errors import LaunchError, UsageError
from mydocker.image.store_root import is_held
from mydocker.kernel.beneath import UnreadableFileError, open_regular
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.inspect.running import read_link, running

if TYPE_CHECKING:
    from mydocker.idmap import IdMap

_LIMIT = 1 << 20  # characters of a file of another container's


def find(containers: str, text: str) -> str:
    """The run directory of the container that runs, below directory CONTAINERS, and has TEXT as its name, or an ID that
    begins with it. Raises LaunchError if there is none, UsageError if there are several."""
    paths = running(containers)
    found = [path for path in paths if read_link(path, "name") == text]
    # the directory has the first 12 digits of an ID
    found = found or [path for path in paths if text and os.path.basename(path).startswith(text[:12])]
    if not found:
        raise LaunchError(
            f"no container {text} runs",
            hint="a container has a name by --name, and an ID, of which 12 digits are enough",
        )
    if len(found) > 1:
        ids = ", ".join(sorted(os.path.basename(path) for path in found))
        raise UsageError(f"several containers are called {text}", hint=f"use an ID: {ids}")
    return found[0]


def open_network(run_dir: str) -> int:
    """A descriptor of the network namespace of the container with RUN_DIR. Raises LaunchError if it has ended."""
    return open_namespace(run_dir, "net", what="its network")


def open_namespace(run_dir: str, kind: str, *, what: str = "its namespaces") -> int:
    """The same of its namespace KIND, as /proc/PID/ns calls it."""
    try:
        descriptor, _ = _open(run_dir, f"ns/{kind}")
    except (OSError, ValueError):
        raise LaunchError(f"container {os.path.basename(run_dir)} has ended, and {what} with it") from None
    if not is_held(run_dir):
        os.close(descriptor)
        raise LaunchError(f"container {os.path.basename(run_dir)} has ended, and {what} with it")
    return descriptor


def _open(run_dir: str, entry: str, flags: int = os.O_RDONLY) -> tuple[int, int]:
    """A descriptor of ENTRY in /proc/PID of the container with RUN_DIR, such as ns/net, and the process that it is of:
    the first one, or below an init of mydocker's, into which only root may look (prctl(2), PR_SET_DUMPABLE), the
    command. Raises OSError, or ValueError, if it has ended."""
    first = int(read_link(run_dir, "process"))
    try:
        return os.open(f"/proc/{first}/{entry}", flags | os.O_CLOEXEC), first
    except PermissionError:
        with open(f"/proc/{first}/task/{first}/children", encoding="ascii") as children:
            command = int(children.read().split(" ")[0])
        return os.open(f"/proc/{command}/{entry}", flags | os.O_CLOEXEC), command


def hostname_of(run_dir: str) -> str:
    """The host name of the container with RUN_DIR."""
    return read_link(run_dir, "hostname") or os.path.basename(run_dir)


def replace_link(link: str, target: str) -> None:
    """Let LINK of a run directory lead to TARGET. Raises OSError."""
    try:
        os.symlink(target, f"{link}.new")
    except FileExistsError:  # left by a process that was killed
        os.unlink(f"{link}.new")
        os.symlink(target, f"{link}.new")
    os.rename(f"{link}.new", link)


def shares_network(run_dir: str) -> bool:
    """Whether the container with RUN_DIR has the network of the caller, the host's."""
    return shares(run_dir, "net")


def shares(run_dir: str, kind: str) -> bool:
    """Whether its namespace KIND is the caller's."""
    try:
        descriptor, _ = _open(run_dir, f"ns/{kind}")
    except (OSError, ValueError):  # it has ended, which is for whoever opens it to say
        return False
    theirs = os.fstat(descriptor)
    os.close(descriptor)
    return os.path.samestat(theirs, os.stat(f"/proc/self/ns/{kind}"))


def open_users(run_dir: str, ids: IdMap) -> int:
    """A descriptor of the user namespace of an ordinary user's container with RUN_DIR: its network belongs to that, so
    whoever joins the network has to be in it. LaunchError if the ids there are not IDS, or if it has ended."""
    container = os.path.basename(run_dir)
    try:
        descriptor, process = _open(run_dir, "ns/user")
        found = idmap.of_process(process)
    except (OSError, ValueError):
        raise LaunchError(f"container {container} has ended, and its network with it") from None
    if not found.is_same(ids):
        os.close(descriptor)
        raise LaunchError(
            f"container {container} has other user and group IDs, so its network cannot be joined",
            hint="start both with the same --userns",
        )
    return descriptor


def read_etc(run_dir: str, name: str) -> str:
    """File NAME of /etc in the container with RUN_DIR, as its programs see it; empty if it cannot be read."""
    try:
        root, _ = _open(run_dir, "root", os.O_PATH | os.O_DIRECTORY)
    except (OSError, ValueError):
        return ""
    try:
        with open(open_regular(root, f"/etc/{name}"), encoding="utf-8", errors="surrogateescape") as file:
            return file.read(_LIMIT)
    except (OSError, UnreadableFileError):  # what is there is the container's own affair
        return ""
    finally:
        os.close(root)
