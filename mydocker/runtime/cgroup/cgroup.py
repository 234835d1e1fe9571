"""The cgroups of one container: created with their limits, joined by the child, read, and removed at the end.

Only imported for a container that has limits. hierarchy.py decides what is created.
"""

from __future__ import annotations

import errno
import os
import time

from mydocker.errors import HostError
from mydocker.kernel.signals import signal
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mydocker.runtime.cgroup.demand import Setting
    from mydocker.runtime.cgroup.hierarchy import Cgroup
    from mydocker.runtime.command.outcome import Outcome

KILL_TIME = 5.0  # seconds in which the processes of a cgroup that were killed must be gone
LIST = "cgroups"  # a file of the run directory


class Cgroups:
    """Context manager: creates the cgroups PLANNED; RUN_DIR holds their list while they exist."""

    def __init__(self, planned: tuple[Cgroup, ...], *, run_dir: str) -> None:
        self.planned = planned
        self.paths = tuple(cgroup.path for cgroup in planned)
        self.run_dir = run_dir
        self.fds: tuple[int, ...] = ()

    def __enter__(self) -> Cgroups:
        with open(f"{self.run_dir}/{LIST}", "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write("\n".join(self.paths))
        try:
            for cgroup in self.planned:
                try:
                    _make(cgroup)
                    self.fds += (os.open(f"{cgroup.path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC),)
                except (OSError, HostError):
                    if not cgroup.optional:
                        raise
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self.fds:
            os.close(descriptor)
        remove(self.paths)

    def counted(self, outcome: Outcome) -> Outcome:
        """OUTCOME, after the container's end, with what its cgroups counted in place of what mydocker measured."""
        peaks = [_number(cgroup, "memory.peak", "memory.max_usage_in_bytes") for cgroup in self.planned]
        times = [_cpu(cgroup) for cgroup in self.planned]
        kills = max((oom_kills(cgroup.path) for cgroup in self.planned), default=0)
        met_own_limit = any(_has_met_its_limit(cgroup.path) for cgroup in self.planned)
        if kills and not met_own_limit and outcome.was_killed:
            from mydocker.runtime.cgroup.outer_memory import explain_kill

            outcome = outcome.replace(killed_by=explain_kill(kills))
        return outcome.replace(
            oom_killed=bool(kills) and met_own_limit,
            max_rss=next((x for x in peaks if x is not None), outcome.max_rss),
            cpu=next((x for x in times if x is not None), outcome.cpu),
        )


def open_cgroups(made: Iterable[tuple[str, bool]]) -> tuple[int, ...]:
    """The open cgroup.procs of the cgroups MADE for a container, by which processes other than its first one join
    them: directories, and whether they may be missing."""
    there = [path for path, optional in made if not optional or os.path.exists(path)]
    return tuple(os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for path in there)


def join(cgroup_fds: Iterable[int]) -> None:
    """Move this process into the cgroups of CGROUP_FDS, descriptors of their cgroup.procs.

    The kernel checks the rights of the process that opened it (CVE-2021-4197), so this works from inside a user
    namespace.
    """
    for descriptor in cgroup_fds:
        os.write(descriptor, b"0")


def remove(paths: Iterable[str]) -> None:
    """Remove the cgroups at PATHS, and end what is still in them: only a pid namespace ends with its first process."""
    deadline = time.monotonic() + KILL_TIME
    for path in paths:
        while not _removed(path) and time.monotonic() < deadline:
            kill(path)
            time.sleep(0.005)


def remove_listed(run_dir: str) -> None:
    """Remove the cgroups of a run that was killed and left RUN_DIR behind."""
    with open(f"{run_dir}/{LIST}", encoding="utf-8", errors="surrogateescape") as file:
        remove(file.read().split("\n"))


def _make(cgroup: Cgroup) -> None:
    parent = os.path.dirname(cgroup.path)
    try:
        if cgroup.enable:
            _hand_down(parent, cgroup)
        os.mkdir(cgroup.path, 0o755)
        for setting in cgroup.settings:
            _apply(cgroup.path, setting)
    except OSError as error:
        raise _refused(cgroup, error) from None


def _hand_down(parent: str, cgroup: Cgroup) -> None:
    """Switch the controllers on for the children of PARENT, which its processes leave first if need be."""
    deadline = time.monotonic() + KILL_TIME
    while True:
        if cgroup.leave:
            _move(parent, cgroup.leave)
        try:
            _write(f"{parent}/cgroup.subtree_control", " ".join(f"+{name}" for name in cgroup.enable))
            return
        except OSError as error:
            if error.errno != errno.EBUSY or not cgroup.leave or time.monotonic() > deadline:
                raise
        time.sleep(0.005)  # a process has come, of one that was moved


def _move(source: str, target: str) -> None:
    """Move the processes of the cgroup at SOURCE into that at TARGET, which may be there already."""
    try:  # noqa: SIM105  # as everywhere in this room
        os.mkdir(target, 0o755)
    except FileExistsError:
        pass
    for line in read(source, "cgroup.procs").split():
        try:
            if line != "0":  # a process outside this pid namespace, which stays
                _write(f"{target}/cgroup.procs", line)
        except OSError as error:
            if error.errno != errno.ESRCH:  # it has ended
                raise


def _apply(path: str, setting: Setting) -> None:
    if setting.other_file and os.path.exists(f"{path}/{setting.other_file}"):
        _write(f"{path}/{setting.other_file}", setting.other_value)
    elif not (setting.optional and not os.path.exists(f"{path}/{setting.file}")):
        _write(f"{path}/{setting.file}", setting.value)


def _refused(cgroup: Cgroup, error: OSError) -> HostError:
    controllers = ", ".join(cgroup.controllers)
    hint = None
    if error.errno == errno.ENOENT and error.filename and error.filename.endswith(("memsw.limit_in_bytes", "swap.max")):
        hint = "this kernel does not count swap; booting it with swapaccount=1 may help"
    return HostError(f"cannot set limits ({controllers}): {error.strerror}: {error.filename}", hint=hint)


def _write(path: str, text: str) -> None:
    """In one write(2), without creating the file; an error names it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} on writing {text!r}", path) from None
    finally:
        os.close(descriptor)


def _removed(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def kill(path: str) -> None:
    """Kill the processes in the cgroup at PATH."""
    try:
        _write(f"{path}/cgroup.kill", "1")  # Linux 5.14, v2: all at once, whatever they fork meanwhile
        return
    except OSError:
        pass
    for line in read(path, "cgroup.procs").split():
        if line == "0":  # a process outside this pid namespace (cgroups(7)); to kill(2), 0 is the caller's group
            continue
        try:  # noqa: SIM105  # as everywhere in this room
            os.kill(int(line), signal.SIGKILL)
        except ProcessLookupError:
            pass


def read(path: str, name: str) -> str:
    """The text of a file of a cgroup; empty if this kernel has none of that name."""
    try:
        with open(f"{path}/{name}") as file:
            return file.read()
    except OSError:
        return ""


def _number(cgroup: Cgroup, *names: str) -> int | None:
    return next((int(text) for name in names if (text := read(cgroup.path, name).strip()).isdigit()), None)


def _keyed(text: str, key: str) -> int:
    """The value of KEY in a flat keyed file (kernel documentation "Control Group v2", "Format"); 0 if not there."""
    return next((int(line.split()[1]) for line in text.splitlines() if line.split()[:1] == [key]), 0)


def oom_kills(path: str) -> int:
    """How many processes the kernel has killed for the memory limit of the cgroup at PATH."""
    return _keyed(read(path, "memory.events") or read(path, "memory.oom_control"), "oom_kill")


def _has_met_its_limit(path: str) -> bool:
    """Whether the cgroup at PATH was short of memory itself. `oom_kill` counts its processes, whichever cgroup's limit
    they were killed for; `oom` counts times that its own limit was met, in v2."""
    if events := read(path, "memory.events"):
        return _keyed(events, "oom") > 0
    return was_full(path)


def was_full(path: str) -> bool:
    """Whether the cgroup at PATH, of v1, has used what its limit on memory, or on memory and swap, leaves it. New
    kernels do not count that any more (memory.failcnt), and charge several pages at once."""
    for kind in ("memory", "memory.memsw"):
        used, limit = (read(path, f"{kind}.{name}_in_bytes").strip() for name in ("max_usage", "limit"))
        if used.isdigit() and limit.isdigit() and int(used) >= int(limit) * 31 // 32:
            return True
    return False


def _cpu(cgroup: Cgroup) -> float | None:
    """v2 counts in every cgroup; v1 where the controller cpuacct shares the hierarchy."""
    if cgroup.version == 2:
        return _keyed(read(cgroup.path, "cpu.stat"), "usage_usec") / 1e6
    nanoseconds = _number(cgroup, "cpuacct.usage")
    return nanoseconds / 1e9 if nanoseconds is not None else None
