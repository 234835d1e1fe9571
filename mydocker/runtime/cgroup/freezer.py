"""Pausing a container: its processes are frozen by a cgroup, v2's cgroup.freeze or v1's controller freezer.

A container whose own cgroup cannot freeze gets another one for that, made when it is paused below the one that it is
in, so that it stays within the unit of systemd that runs it. Its processes are moved there, and back; the file `frozen`
of the run directory names it while it is paused. Whoever ends a container that is paused thaws it first: v1 keeps what
is frozen alive, whatever kills it (kernel documentation, "freezer-subsystem").
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from mydocker.errors import HostError, LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.cgroup.cgroup import read, remove
from mydocker.runtime.cgroup.hierarchy import Hierarchy, find_hierarchies

if TYPE_CHECKING:
    from mydocker.runtime.plan import LaunchPlan

FROZEN = "frozen"  # a file of the run directory
_FREEZE_TIME = 10.0  # seconds until all processes must be frozen
_STATES = {2: ("cgroup.freeze", "1", "0"), 1: ("freezer.state", "FROZEN", "THAWED")}


def is_frozen(run_dir: str) -> bool:
    """Whether the container with RUN_DIR is paused."""
    return os.path.exists(f"{run_dir}/{FROZEN}")


def freeze(plan: LaunchPlan, pids: Callable[[], Iterable[int]]) -> None:
    """Pause the container of PLAN, whose processes PIDS finds. LaunchError if it is paused, HostError if this host
    cannot."""
    if is_frozen(plan.run_dir):
        raise LaunchError(f"container {os.path.basename(plan.run_dir)} is already paused")
    path, version, is_own = _place(plan, pids)
    try:
        if not is_own:
            os.mkdir(path, 0o755)
        with open(f"{plan.run_dir}/{FROZEN}", "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{version} {'own' if is_own else 'made'} {path}")
        if not is_own:
            _move(path, pids)
        _set(path, version, frozen=True)
        _await(path, version)
    except OSError as error:
        thaw(plan.run_dir)
        raise HostError(f"the container cannot be paused: {error.strerror}: {error.filename}") from None
    except HostError:
        thaw(plan.run_dir)
        raise


def thaw(run_dir: str) -> bool:
    """Let the container with RUN_DIR go on; whether it was paused."""
    try:
        with open(f"{run_dir}/{FROZEN}", encoding="utf-8", errors="surrogateescape") as file:
            version, kind, path = file.read().split(" ", 2)
    except (FileNotFoundError, ValueError):
        return False
    try:
        _set(path, int(version), frozen=False)
        if kind == "made":
            _move_back(path)
            os.rmdir(path)
    except OSError:  # the container has ended, or a new process is in it: its end removes it
        pass
    os.unlink(f"{run_dir}/{FROZEN}")
    return True


def end(run_dir: str) -> None:
    """The container with RUN_DIR is being ended: thaw it, so that it can be, and leave no cgroup behind."""
    try:
        with open(f"{run_dir}/{FROZEN}", encoding="utf-8", errors="surrogateescape") as file:
            kind, path = file.read().split(" ", 2)[1:]
    except (OSError, ValueError):
        return
    thaw(run_dir)
    if kind == "made":
        remove((path,))


def _place(plan: LaunchPlan, pids: Callable[[], Iterable[int]]) -> tuple[str, int, bool]:
    """The cgroup that freezes the container of PLAN, the version, and whether it is the container's already."""
    for cgroup in plan.cgroups:
        if os.path.exists(f"{cgroup.path}/{_STATES[cgroup.version][0]}"):
            return cgroup.path, cgroup.version, True
    for hierarchy in sorted(_hierarchies(pids), key=lambda each: -each.version):
        can_freeze = hierarchy.version == 2 or "freezer" in hierarchy.controllers
        if can_freeze and os.access(hierarchy.current, os.W_OK):
            return f"{hierarchy.current}/mydocker-{plan.container_id[:12]}-pause", hierarchy.version, False
    hint = "as an ordinary user, start it in a scope of systemd: systemd-run --user --scope -p Delegate=yes"
    raise HostError("no cgroup of this host may be used to pause the container", hint=hint)


def _hierarchies(pids: Callable[[], Iterable[int]]) -> tuple[Hierarchy, ...]:
    """Those with the cgroups that the processes of the container are in."""
    for pid in pids():
        try:
            return find_hierarchies(pid)
        except OSError:  # it has just ended
            continue
    return find_hierarchies()


def _move(path: str, pids: Callable[[], Iterable[int]]) -> None:
    """Move all processes: what they fork meanwhile is moved with the next round."""
    moved: set[int] = set()
    while new := set(pids()) - moved:
        for pid in new:
            try:
                _write(f"{path}/cgroup.procs", str(pid))
            except ProcessLookupError:
                continue
        moved |= new


def _move_back(path: str) -> None:
    """To where the processes came from, the cgroup above."""
    while words := read(path, "cgroup.procs").split():
        for pid in words:
            try:
                _write(f"{os.path.dirname(path)}/cgroup.procs", pid)
            except ProcessLookupError:
                continue


def _set(path: str, version: int, *, frozen: bool) -> None:
    name, on, off = _STATES[version]
    _write(f"{path}/{name}", on if frozen else off)


def _await(path: str, version: int) -> None:
    deadline = time.monotonic() + _FREEZE_TIME
    while not _is_complete(path, version):
        if time.monotonic() > deadline:
            raise HostError("the container cannot be paused: a process of it waits in the kernel")
        if version == 1:
            _set(path, version, frozen=True)  # once is not enough, where processes fork (runc does the same)
        time.sleep(0.005)


def _is_complete(path: str, version: int) -> bool:
    if version == 1:
        return read(path, "freezer.state").strip() == "FROZEN"
    return "frozen 1" in read(path, "cgroup.events").splitlines()


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(descriptor)
