"""A running container as a command enters it: what its run directory says of it, and its namespaces, opened.

The file `exec` of the run directory has just what such a command needs, as plain data that is read without an import:
the whole plan, with all the classes that it is made of, takes longer to read than a process to start.
"""

from __future__ import annotations

import marshal
import os

from mydocker.errors import HostError, LaunchError
from mydocker.image.store_root import is_held
from mydocker.kernel import start_time
from mydocker.kernel.processes import has_ended
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.command.privileges import Rights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mydocker.image.store_root import StoreRoot
    from mydocker.runtime.command import Stack

FACTS = "exec"  # a file of the run directory; launch/run_directory.py writes it
_NS_GET_PARENT = 0xB702  # ioctl_ns(2)
_ID_LENGTHS, _HEX = (12, 64), frozenset("0123456789abcdef")
_OTHER_VERSION = "another version of mydocker has started the container: restart it"


class NotRunningError(LaunchError):
    """A container that does not run, or not yet, or no longer."""

    exit_code = 1  # docker's, of commands on a container that does not run


class ExecPlan(Record):
    """A command in a running container: first what that container's own has, then what a caller sets. Times are in
    seconds; `environment` lacks only HOME."""

    run_dir: str
    user: str | int
    group: str | int | None
    groups: tuple[str | int, ...]
    environment: Mapping[str, str]
    working_dir: str
    umask: int
    ulimits: Mapping[str, tuple[int, int]]
    oom_score_adj: int | None
    rights: Rights
    label: str  # the kind of label that the container's command has, for people; empty: none
    is_rootless: bool
    root_owner: tuple[int, int] | None  # the host's user and group that its root is, if it has ids that root gave it
    without_pid_namespace: bool
    cgroups: tuple[tuple[str, bool], ...]  # the directories of its cgroups, and whether they may be missing
    stop_signal: int
    grace: float
    argv: tuple[str, ...] = ()
    stdin_open: bool = False
    tty: bool = False
    timeout: float | None = None
    attach: tuple[str, ...] = ("stdin", "stdout", "stderr")
    stdin: str | None = None


class Container(Record):
    """What is open of a running container: a pidfd of its first process, a descriptor by name of each namespace that it
    does not share with the host, and, without a mount namespace, its root."""

    process: int
    namespaces: Mapping[str, int]
    root: int
    plan: ExecPlan


class _Facts(Record):
    pid: int
    start_time: int  # in ticks since the boot
    namespaces: tuple[str, ...]
    below_holder: bool
    root: str  # the directory that is its root, without a mount namespace
    plan: ExecPlan


def running_named(store: StoreRoot, text: str) -> str | None:
    """The run directory of the one container called TEXT, if it runs and is not paused; None if that takes a look at
    all containers (services/containers/look.py)."""
    name = text.removeprefix("/")  # as docker inspect writes names
    may_be_id = len(name) in _ID_LENGTHS and _HEX.issuperset(name)
    if not name or "/" in name or name.startswith(".") or may_be_id:
        return None
    try:
        own = os.readlink(f"{store.names}/{name}")[:12]
        others = [each for each in os.listdir(store.containers) if each != own]
    except OSError:
        return None
    if any(_is_foreground(store, each, name) for each in others):  # such a name need not be reserved
        return None
    run_dir = f"{store.containers}/{own}"
    return run_dir if is_held(run_dir) and not os.path.exists(f"{run_dir}/frozen") else None


def _is_foreground(store: StoreRoot, short_id: str, name: str) -> bool:
    """Whether the container with SHORT_ID has been started as NAME in the foreground, whose name never changes."""
    try:
        return os.readlink(f"{store.containers}/{short_id}/name") == name and not os.path.exists(
            f"{store.background}/{short_id}"
        )
    except OSError:
        return False


def open_container(run_dir: str, opened: Stack) -> Container:
    """The container that runs with run directory RUN_DIR; OPENED owns its descriptors. Raises NotRunningError, and
    HostError where this user may not look into it."""
    found = _read(run_dir) if is_held(run_dir) else None
    if found is None:
        raise not_running(run_dir)
    try:
        process, namespaces = open_namespaces(
            found.pid,
            found.start_time,
            found.namespaces,
            without_pid_namespace=found.plan.without_pid_namespace,
            below_holder=found.below_holder,
            keep=opened.close_later,
        )
        root = -1
        if "mount" not in namespaces:
            root = opened.close_later(os.open(found.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    except (FileNotFoundError, ProcessLookupError):
        raise not_running(run_dir) from None
    except PermissionError as error:
        raise forbidden(error) from None
    return Container(process=process, namespaces=namespaces, root=root, plan=found.plan)


def not_running(run_dir: str) -> NotRunningError:
    return NotRunningError(f"container {os.path.basename(run_dir)} is not running")


def forbidden(error: PermissionError) -> HostError:
    hint = "mydocker must be root, or the user whose container it is"
    return HostError(f"this user may not look into the container: {error.strerror}", hint=hint)


def _read(run_dir: str) -> _Facts | None:
    """What RUN_DIR says; None if it says nothing, or not yet. Raises LaunchError if that cannot be read."""
    path = f"{run_dir}/{FACTS}"
    try:
        with open(path, "rb", buffering=0) as file:
            raw = file.read()
    except FileNotFoundError:
        if os.path.exists(f"{run_dir}/plan"):
            raise LaunchError(f"{path} is missing", hint=_OTHER_VERSION) from None
        return None
    except OSError as error:
        raise LaunchError(f"cannot read {path}: {error.strerror}") from None
    try:
        fields = marshal.loads(raw)
    except (EOFError, ValueError, TypeError):  # it is being written
        return None
    try:
        plan = fields["plan"]
        plan = ExecPlan(**{**plan, "rights": Rights(**plan["rights"])})
        return _Facts(**{**fields, "plan": plan})
    except (TypeError, KeyError) as error:
        raise LaunchError(f"cannot read {path}: {error}", hint=_OTHER_VERSION) from None


def open_namespaces(
    pid: int,
    began: int,
    kinds: tuple[str, ...],
    *,
    without_pid_namespace: bool,
    below_holder: bool,
    keep: Callable[[int], int],
) -> tuple[int, dict[str, int]]:
    """A pidfd of process PID, which BEGAN at that time, the first one of a container; and its namespaces of KINDS, by
    name. They are of that container, whatever process has the number by now. KEEP closes them later. BELOW_HOLDER: it
    is in the networks of an ordinary user.

    Raises ProcessLookupError or FileNotFoundError if it has ended.
    """
    process = keep(os.pidfd_open(pid))
    if start_time(pid) != began:
        raise ProcessLookupError
    leader, number = (process, pid) if not without_pid_namespace else _open_child(pid, keep)
    try:
        namespaces = {kind: _open_namespace(number, kind, keep) for kind in kinds}
    except PermissionError:  # an init of mydocker's, into which only root may look
        leader, number = _open_child(pid, keep)
        namespaces = {kind: _open_namespace(number, kind, keep) for kind in kinds}
    if "user" in namespaces:
        namespaces["user"] = _topmost(namespaces["user"], keep, below_holder=below_holder)
    if has_ended(process) or has_ended(leader):
        raise ProcessLookupError
    return process, namespaces


def _open_child(parent: int, keep: Callable[[int], int]) -> tuple[int, int]:
    """The first child of process PARENT, mydocker's init: the command. A pidfd, and its number."""
    from mydocker.runtime.inspect.processes import running

    children = sorted((began, pid) for pid, above, began in running() if above == parent)
    if not children:
        raise ProcessLookupError
    _, pid = children[0]
    return keep(os.pidfd_open(pid)), pid


def _open_namespace(pid: int, kind: str, keep: Callable[[int], int]) -> int:
    link = f"/proc/{pid}/ns/{'mnt' if kind == 'mount' else kind}"
    return keep(os.open(link, os.O_RDONLY | os.O_CLOEXEC))


def _topmost(namespace: int, keep: Callable[[int], int], *, below_holder: bool) -> int:
    """The user namespace above NAMESPACE, or itself, that is directly below this process's own, or below that of the
    holder of an ordinary user's networks, which is."""
    import fcntl

    own = os.stat("/proc/self/ns/user")
    chain = [namespace]
    while True:
        try:
            above = keep(fcntl.ioctl(chain[-1], _NS_GET_PARENT))
        except PermissionError:  # this process is in none of those above it
            raise PermissionError(1, "it belongs to another user namespace") from None
        if os.path.samestat(os.fstat(above), own):
            break
        chain.append(above)
    if below_holder and len(chain) < 2:
        raise ProcessLookupError
    return chain[-2] if below_holder else chain[-1]
