"""The processes of a running container, as the host's /proc shows them: nothing in the container is run or trusted.

They are those of its pid namespace, or, where that is the host's, of its mount namespace (namespaces(7)). They
choose their names themselves, as on every machine.
"""

from __future__ import annotations

import os

from mydocker.errors import is_limit_of_host
from mydocker.kernel.process_title import ENTERING, STANDING_BY
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAME_LIMIT = 255
_ENDED = ("Z", "X")  # states of proc_pid_stat(5) in which a process no longer runs


class Process(Record):
    """`names` are what it may be called: its comm (15 bytes), the file that it executes, and its first argument."""

    pid: int
    names: tuple[str, ...]


def pid_of(process: int) -> int | None:
    """The pid of pidfd PROCESS, as this process's /proc counts; None once it has been waited for."""
    with open(f"/proc/self/fdinfo/{process}") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    pid = int(fields.get("Pid", "-1"))
    return pid if pid > 0 else None


def list_processes(process: int, namespaces: Mapping[str, int]) -> list[Process]:
    """All of the container whose first process is PROCESS, a pidfd, and whose own NAMESPACES are these descriptors.

    Without those that have ended, and those of mydocker in it that are not, or not yet, the container's command. Raises
    ProcessLookupError if it has ended, LookupError if nothing distinguishes the container's processes from others.
    """
    kind = next((name for name in ("pid", "mount") if name in namespaces), None)
    if kind is None:
        raise LookupError("without a pid or a mount namespace, nothing distinguishes its processes from others")
    link = {"pid": "ns/pid", "mount": "ns/mnt"}[kind]
    if pid_of(process) is None:
        raise ProcessLookupError
    namespace = os.readlink(f"/proc/self/fd/{namespaces[kind]}")
    return [described for pid in _pids(link, namespace) if (described := _describe(pid))]


def all_pids(process: int, namespaces: Mapping[str, int]) -> list[int]:
    """The numbers of all processes of the container, mydocker's init and those of namespaces inside its own included,
    whatever they are. Raises ProcessLookupError if it has ended."""
    first = pid_of(process)
    if first is None:
        raise ProcessLookupError
    found = {first}
    kind = next((name for name in ("pid", "mount") if name in namespaces), None)
    if kind:
        link = {"pid": "ns/pid", "mount": "ns/mnt"}[kind]
        found |= set(_pids(link, os.readlink(f"/proc/self/fd/{namespaces[kind]}")))
    children: dict[int, list[int]] = {}
    for pid, parent, _ in running():
        children.setdefault(parent, []).append(pid)
    pending = [*found]
    while pending:
        new = [pid for pid in children.get(pending.pop(), ()) if pid not in found]
        found.update(new)
        pending += new
    return sorted(found)


def running() -> Iterator[tuple[int, int, int]]:
    """The number of each process of this machine, that of its parent, and its start time (proc_pid_stat(5))."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:  # it has just ended
                continue
            yield int(name), int(fields[1]), int(fields[19])


def _pids(link: str, target: str) -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.readlink(f"/proc/{name}/{link}") == target:
                    yield int(name)
            except OSError:  # it has ended, or belongs to another user
                continue


def _describe(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="surrogateescape") as file:
            comm, _, rest = file.read().partition("(")[2].rpartition(")")
        if rest.split()[0] in _ENDED or _is_mydocker(pid):
            return None
        executable = os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")
        argument = os.path.basename(_arguments(pid).partition(b"\0")[0].decode(errors="surrogateescape"))
    except OSError as error:
        if is_limit_of_host(error):
            raise
        return None
    return Process(pid=pid, names=tuple(dict.fromkeys(name for name in (comm, executable, argument) if name)))


def _is_mydocker(pid: int) -> bool:
    """Whether it still is, or always will be, a fork of this program: before its execve(2), or as --init."""
    own, other = os.stat("/proc/self/exe"), os.stat(f"/proc/{pid}/exe")
    same_file = (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino)
    return same_file and _arguments(pid) in (_arguments(os.getpid()), STANDING_BY.encode(), ENTERING.encode())


def _arguments(pid: int) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read(1 << 16).rstrip(b"\0")
