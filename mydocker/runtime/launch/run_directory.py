"""containers/<id>/: what one run keeps on disk while it lives, locked, and removed when it ends.

    memory/                       in the run's own mount namespace a tmpfs, which holds the new /etc/hosts, hostname and
                                  resolv.conf, and root/, where the new root is mounted
    scratch/                      overlay's upper and work directories, unless in memory; or a link to where these are
                                  kept from start to start
    image                         a dangling link: the digest of the image's manifest
    process, name, hostname       dangling links: the number of its first process, its name, if it has one, and its
                                  host name, if that is not its ID
    frozen                        while it is paused: the cgroup that it is frozen by, see freezer.py
    plan                          once its command has begun: what it is made by, for those that look into it
    exec                          from then on: what commands get that are executed in it, see enter/container.py
    cgroups                       the directories of its cgroups, if it has limits
    network0, …, port0, …         dangling links: what it has in networks, see connections.py
    ids                           a dangling link: the map of its user namespace, if that is a free range
    hosts                         if it is in a network: its /etc/hosts, into which other runs write theirs; if its
                                  network is that of another container, a link to the file of that one
    resolv.conf                   the same of its /etc/resolv.conf, which is changed when it joins a network with names
    forwarding                    if that has names: whether its name server asks others (network/name_server)
    name_server                   a dangling link: the process of one that it has got since it runs (upkeep/resolver.py)

The lock is a flock(2) on the directory itself, shared by the run and its cleanup process: a process
that gets it exclusively knows that the run is gone, and removes the directory: the cleanup process of a run that was
killed, or the next run.
"""

from __future__ import annotations

import marshal
import os

from mydocker import kernel
from mydocker.errors import StoreError, hint_for
from mydocker.image.store import remove_tree
from mydocker.kernel import start_time
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.command.privileges import rights_of
from mydocker.runtime.plan import LOCALHOST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from mydocker.runtime.network import Lease
    from mydocker.runtime.plan import LaunchPlan


PLAN, EXEC = "plan", "exec"  # files of the directory
_CHUNK = 1 << 16
_FORMAT = 4  # of marshal: every version of Python that mydocker runs with reads it


class RunDirectory:
    """Context manager: creates `path` and holds its lock; removes it at the end."""

    def __init__(
        self, path: str, *, links: Mapping[str, str | None] = {}, scratch: str = "", shared_blob: str = ""
    ) -> None:
        """LINKS are the targets of those that say what is known before the start: that of the image keeps others from
        removing its layers, see in_use.py; where they do not see it, the lock of SHARED_BLOB does. SCRATCH is a
        directory for what it writes that stays, if there is one."""
        self.path = path
        self.shared_blob = shared_blob
        self.blob_lock: int | None = None
        self.links = links
        self.scratch = scratch
        self.lock = -1

    def __enter__(self) -> RunDirectory:
        try:
            self._create()
            self.blob_lock = hold(self.shared_blob)
        except BaseException as error:
            if self.lock >= 0:
                self.__exit__()
            if not isinstance(error, OSError):
                raise
            raise StoreError(f"cannot create {self.path}: {error.strerror}", hint=hint_for(error)) from None
        return self

    def __exit__(self, *_: object) -> None:
        try:
            remove_tree.remove(self.path)
        finally:
            os.close(self.lock)
            if self.blob_lock is not None:
                os.close(self.blob_lock)

    def _create(self) -> None:
        """Another run's sweep may remove the directory between its creation and its lock: then it is created again."""
        while self.lock < 0:
            try:  # noqa: SIM105  # contextlib is not on the warm path
                os.mkdir(self.path, 0o700)
            except FileExistsError:
                pass
            try:
                lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                continue
            kernel.lock(lock, shared=True)
            if os.fstat(lock).st_nlink:
                self.lock = lock
                os.fchmod(lock, 0o700)  # without the setgid bit of the store: a container's root would inherit it
            else:
                os.close(lock)
        os.mkdir("memory", 0o755, dir_fd=self.lock)
        if self.scratch:
            os.symlink(self.scratch, "scratch", dir_fd=self.lock)
        else:
            os.mkdir("scratch", 0o755, dir_fd=self.lock)
        for name, target in self.links.items():
            if target:
                os.symlink(target, name, dir_fd=self.lock)


def hold(shared_blob: str) -> int | None:
    """Hold the lock of SHARED_BLOB, if that is not empty, until the descriptor is closed. Raises ImageNotFoundError."""
    if not shared_blob:
        return None
    from mydocker.image.store import use_lock

    return use_lock.hold(shared_blob)


def write_etc(plan: LaunchPlan, leases: Sequence[Lease] = (), *, resolver: str = "") -> None:
    """Write the files of /etc that PLAN's container gets, but for hosts where other runs change that. LEASES are those
    of its networks; RESOLVER serves it in place of the host's."""
    _write(plan, "memory/hostname", f"{plan.hostname}\n")
    if plan.joined:
        from mydocker.runtime.network.joined_container import read_etc

        _write(plan, "memory/hosts", read_etc(plan.joined, "hosts") or _hosts(plan))
        _share(plan, "hosts")
        if text := read_etc(plan.joined, "resolv.conf"):
            _write(plan, "memory/resolv.conf", text)
            if text == _host_file(f"{plan.joined}/resolv.conf"):
                _share(plan, "resolv.conf")
            return
    elif not plan.has_names:
        _write_file(plan, "hosts", plan.network_hosts(leases) if leases else _hosts(plan))
    _write_file(plan, "resolv.conf", _resolvers(plan, resolver))


def _share(plan: LaunchPlan, name: str) -> None:
    """Mount the file NAME of the container whose network PLAN's joins, if others write to it, in place of its copy:
    who comes and goes there is known to both, as with Docker. The link is for those that join this one."""
    from mydocker.runtime.plan.operations import attach

    path = os.path.realpath(f"{plan.joined}/{name}")
    try:
        tree = kernel.clone_tree(path)
    except FileNotFoundError:  # it is in no network, or has ended
        return
    attach(tree, os.open(f"{plan.run_dir}/memory/{name}", os.O_PATH | os.O_CLOEXEC))
    os.symlink(path, f"{plan.run_dir}/{name}")


def _write_file(plan: LaunchPlan, name: str, text: str) -> None:
    """Write the file NAME of /etc. That of a container in a network may be changed when it joins others, so it stands
    where these find it; but no start fails because the disk is full."""
    if plan.networks:
        try:
            _write(plan, name, text)
            return
        except OSError:
            path = f"{plan.run_dir}/{name}"
            if os.path.exists(path):
                os.unlink(path)
            os.symlink(f"memory/{name}", path)  # short, so that it fits into its inode
    _write(plan, f"memory/{name}", text)


def _resolvers(plan: LaunchPlan, resolver: str) -> str:
    text, lines = _host_file("/etc/resolv.conf"), plan.resolver_lines
    if (plan.networks or plan.joined) and not plan.has_names:
        from mydocker.runtime.network import resolvers

        text = resolvers.reachable(text, resolver=resolver)
    if lines:
        kept = [f"{line}\n" for line in text.splitlines() if line.split()[:1] not in [[key] for key in lines]]
        text = "".join([lines.pop("search", ""), *kept, *lines.values()])
    if plan.has_names:
        from mydocker.runtime.network import resolvers

        text = resolvers.served(text)
    return text


def record_plan(plan: LaunchPlan, pid: int, program: bytes) -> None:
    """The command has begun: write down PLAN, and the number and the start time of PID, its first process, for other
    processes of mydocker (running_plan.py); and of it what commands need that are executed in the container, with the
    PROGRAM of its filter. Contents of files and of the input may be secret, and nobody needs them.

    As Python's own literals: JSON is not on the warm path. Where there is no room, nothing looks into the container.
    """
    began = start_time(pid)
    operations = tuple(each.replace(content="") if "content" in each.fields else each for each in plan.operations)
    text = f"{pid} {began}\n{plan.replace(operations=operations, stdin=None)!r}\n"
    try:
        _write(plan, EXEC, marshal.dumps(_exec_facts(plan, pid, began, program), _FORMAT), mode=0o600)
        _write(plan, PLAN, text.encode(errors="surrogateescape"), mode=0o600)
    except OSError:
        pass


def _exec_facts(plan: LaunchPlan, pid: int, began: int, program: bytes) -> dict[str, Any]:
    """PLAN as enter/container.py reads it."""
    label = plan.exec_label
    command = {
        "run_dir": plan.run_dir,
        "user": plan.user.user,
        "group": plan.user.group,
        "groups": plan.groups,
        "environment": plan.environment,
        "working_dir": plan.working_dir,
        "umask": plan.umask,
        "ulimits": dict(plan.ulimits),
        "oom_score_adj": plan.oom_score_adj,
        "rights": {**rights_of(plan, program).as_dict(), "stands_by": False},
        "label": label.kind if label else "",
        "is_rootless": plan.rootless is not None,
        "root_owner": plan.own_ids.outside(0, 0) if plan.own_ids else None,
        "without_pid_namespace": plan.has_outer_init,
        "cgroups": tuple((each.path, each.optional) for each in plan.cgroups),
        "stop_signal": plan.stop_signal,
        "grace": plan.grace,
    }
    return {
        "pid": pid,
        "start_time": began,
        "namespaces": plan.separate_namespaces,
        "below_holder": bool(plan.networks and plan.rootless),
        "root": "" if "mount" in plan.namespaces else plan.root.mount(plan.run_dir),
        "plan": command,
    }


def _hosts(plan: LaunchPlan) -> str:
    """/etc/hosts of a container that is in no network. With the host's network, its names resolve as on the host."""
    shared = "net" not in plan.namespaces
    names = (_host_file("/etc/hosts") if shared else "") or LOCALHOST
    more = "".join(f"{address}\t{name}\n" for name, address in plan.extra_hosts)
    host_line = "" if shared and plan.hostname in names.split() else f"127.0.1.1\t{plan.host_names}\n"
    return f"{names.rstrip()}\n{more}{host_line}"


def _write(plan: LaunchPlan, name: str, content: str | bytes, *, mode: int = 0o644) -> None:
    """Make file NAME of the run directory, without the machinery of `open`: these are a start's own files."""
    left = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    file = os.open(f"{plan.run_dir}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)


def _host_file(path: str) -> str:
    content = b""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while part := os.read(file, _CHUNK):
                content += part
        finally:
            os.close(file)
    except OSError:
        return ""
    return content.decode(errors="surrogateescape")


def sweep(containers: str) -> None:
    """Remove the directories of runs that ended without removing theirs, and the networks that only these used."""
    for name in os.listdir(containers):
        networks = reclaim(f"{containers}/{name}", wait=False)
        if networks:
            from mydocker.runtime.network.upkeep.release import take_down_idle

            for directory, interface in networks:
                take_down_idle(directory, interface)


def reclaim(path: str, *, wait: bool = True) -> list[tuple[str, str]]:
    """Remove everything that a killed run left in directory PATH, once no process holds the lock; nothing if one does
    and WAIT is false, nor where an ordinary user has lost the ids that own files in it. The directory and the bridge of
    each network that it used."""
    networks: list[tuple[str, str]] = []
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return networks
    try:
        kernel.lock(lock, wait=wait)
        if not os.fstat(lock).st_nlink:  # another process was faster, and PATH may be the directory of a new run by now
            return networks
        if os.path.exists(f"{path}/cgroups"):
            from mydocker.runtime.cgroup.cgroup import remove_listed

            remove_listed(path)
        if os.path.lexists(f"{path}/network0"):
            from mydocker.runtime.network.upkeep.release import release_listed

            networks = release_listed(path)
        remove_tree.remove(path)
    except (BlockingIOError, PermissionError):
        pass
    finally:
        os.close(lock)
    return networks
