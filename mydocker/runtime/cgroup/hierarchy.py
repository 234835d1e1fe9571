"""The place of a process in the host's cgroup hierarchies, and where a cgroup for a container can be created.

cgroup v2 is one hierarchy with all controllers; cgroup v1 is one for each, or for a few together; hybrid hosts have
both (cgroups(7)). Reads /proc and /sys/fs/cgroup, changes nothing.
"""

from __future__ import annotations

import os

from mydocker.errors import HostError, UnenforceableLimitError
from mydocker.kernel.mountinfo import mounts
from mydocker.record import Record
from mydocker.runtime.cgroup.demand import Demand, Setting

HOLDING = frozenset(("freezer", "pids", "name=systemd", "perf_event", "net_cls"))  # of v1, where a child needs nothing
SCOPE = "systemd-run --scope -p Delegate=yes -- mydocker …"
USER_SCOPE = "systemd-run --user --scope -p Delegate=yes -- mydocker …"
_DELEGATED = ("user.delegate", "trusted.delegate")  # attributes that systemd sets ("Control Group APIs and Delegation")


class Hierarchy(Record):
    """One hierarchy: `mount` is where the host mounts it, `current` the directory of a process's cgroup in there."""

    version: int
    controllers: tuple[str, ...]  # of v2: those of the highest cgroup mounted there
    mount: str
    current: str


class Cgroup(Record):
    """A cgroup to be made for one container: a directory, what its parent must hand down first (v2), its limits.

    One without limits only holds the container's processes together. It is `optional`: the container starts without it
    where the host refuses. `leave` is a cgroup for the processes of its parent, which could hand nothing down with them
    in it.
    """

    path: str
    version: int
    controllers: tuple[str, ...]  # of its hierarchy (v1), or those that the limits require (v2)
    enable: tuple[str, ...] = ()  # controllers to be switched on in the parent's cgroup.subtree_control
    leave: str = ""
    settings: tuple[Setting, ...] = ()
    optional: bool = False


def choose(demanded: tuple[Demand, ...], *, name: str, rootless: bool) -> tuple[Cgroup, ...]:
    """The cgroups, all called NAME, that apply the limits DEMANDED. Raises HostError naming what the host lacks."""
    hierarchies = find_hierarchies()
    by_hierarchy: dict[Hierarchy, list[Demand]] = {}
    for demand in demanded:
        having = [x for x in hierarchies if demand.name(x.version) in x.controllers]
        if not having:
            raise _missing(demand, hierarchies)
        by_hierarchy.setdefault(having[0], []).append(demand)
    return tuple(
        (_v2 if hierarchy.version == 2 else _v1)(hierarchy, demands, name, rootless)
        for hierarchy, demands in by_hierarchy.items()
    )


def hold(*, name: str) -> tuple[Cgroup, ...]:
    """A cgroup without limits, called NAME, for a container without a pid namespace: none where none can be created.

    A daemon cannot leave it by setsid(2) or by a second fork, even where the outer init that would adopt it is killed.
    """
    for hierarchy in sorted(find_hierarchies(), key=lambda each: (each.version != 2, each.controllers)):
        if hierarchy.version == 1 and not HOLDING.intersection(hierarchy.controllers):
            continue
        if os.access(hierarchy.current, os.W_OK) and os.access(f"{hierarchy.current}/cgroup.procs", os.W_OK):
            return (
                Cgroup(path=f"{hierarchy.current}/{name}", version=hierarchy.version, controllers=(), optional=True),
            )
    return ()


def find_hierarchies(process: int | str = "self") -> tuple[Hierarchy, ...]:
    """The hierarchies that are mounted, as /proc/self/mountinfo and the file `cgroup` of PROCESS list them (cgroups(7),
    proc(5)). Raises OSError if that has ended."""
    memberships = _memberships(process)
    hierarchies = []
    for mounted in mounts():
        if mounted.fstype == "cgroup2" and "" in memberships:
            version, controllers, path = 2, _words(f"{mounted.path}/cgroup.controllers"), memberships[""]
        elif mounted.fstype == "cgroup" and (names := [name for name in mounted.options if name in memberships]):
            version, controllers, path = 1, tuple(sorted(names)), memberships[names[0]]
        else:
            continue
        current = _below(mounted.path, mounted.root, path)
        hierarchies.append(Hierarchy(version=version, controllers=controllers, mount=mounted.path, current=current))
    return tuple(hierarchies)


def _memberships(process: int | str) -> dict[str, str]:
    """Controller, or the empty string for v2, to the path of the cgroup of PROCESS in that hierarchy."""
    paths = {}
    with open(f"/proc/{process}/cgroup", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def _below(mount: str, top: str, path: str) -> str:
    """The directory of cgroup PATH, if cgroup TOP is mounted at MOUNT; in a container, TOP may be its own cgroup."""
    if path.startswith("/.."):  # outside of this cgroup namespace (cgroup_namespaces(7))
        return mount
    if top == "/":
        return os.path.normpath(mount + path)
    return mount + path[len(top) :] if f"{path}/".startswith(f"{top}/") else mount


def _words(path: str) -> tuple[str, ...]:
    try:
        with open(path) as file:
            return tuple(file.read().split())
    except OSError:
        return ()


def _v1(hierarchy: Hierarchy, demanded: list[Demand], name: str, rootless: bool) -> Cgroup:
    """A child of this process's cgroup. A new cpuset is empty, and takes no process before its memory nodes are set."""
    if not os.access(hierarchy.current, os.W_OK):
        raise _closed(hierarchy, demanded, rootless)
    settings = tuple(setting for demand in demanded for setting in demand.v1)
    if "cpuset" in hierarchy.controllers:
        _check_processors(demanded, f"{hierarchy.current}/cpuset.effective_cpus")
        nodes = " ".join(_words(f"{hierarchy.current}/cpuset.effective_mems"))
        settings = (Setting(file="cpuset.mems", value=nodes), *settings)
    return Cgroup(path=f"{hierarchy.current}/{name}", version=1, controllers=hierarchy.controllers, settings=settings)


def _v2(hierarchy: Hierarchy, demanded: list[Demand], name: str, rootless: bool) -> Cgroup:
    """A child of this process's cgroup, or of the nearest above it that can hand down the controllers.

    A cgroup with processes in it, such as this one, cannot, unless it is the root ("no internal process constraint").
    One that systemd has delegated is for whoever runs in it to divide: its processes move into a child, and the
    container stays within the unit, with the unit's own limits and its end.
    """
    needed = {demand.controller for demand in demanded}
    parent = hierarchy.current
    while parent.startswith(hierarchy.mount) and _may_move_into(parent):
        missing = needed - set(_words(f"{parent}/cgroup.subtree_control"))
        is_occupied = bool(missing) and _is_occupied(parent)
        leaves = is_occupied and parent == hierarchy.current and _is_delegated(parent)
        may_enable = missing <= set(_words(f"{parent}/cgroup.controllers")) and (leaves or not is_occupied)
        if not missing or (may_enable and os.access(f"{parent}/cgroup.subtree_control", os.W_OK)):
            _check_processors(demanded, f"{parent}/cpuset.cpus.effective")
            return Cgroup(
                path=f"{parent}/{name}",
                version=2,
                controllers=tuple(sorted(needed)),
                enable=tuple(sorted(missing)),
                leave=f"{parent}/mydocker" if leaves else "",
                settings=tuple(setting for demand in demanded for setting in demand.v2),
            )
        parent = os.path.dirname(parent)
    raise _closed(hierarchy, demanded, rootless)


def _may_move_into(parent: str) -> bool:
    """Moving a process takes write access to cgroup.procs of the common ancestor too ("Delegation Containment")."""
    return os.access(parent, os.W_OK) and os.access(f"{parent}/cgroup.procs", os.W_OK)


def _is_occupied(path: str) -> bool:
    """Whether the kernel will refuse to enable controllers there; the true root has no cgroup.type, and may."""
    return os.path.exists(f"{path}/cgroup.type") and bool(_words(f"{path}/cgroup.procs"))


def _is_delegated(path: str) -> bool:
    """Whether systemd leaves the cgroup at PATH to its processes (`Delegate=`). The systemd of a user marks none."""
    for name in _DELEGATED:
        try:
            if os.getxattr(path, name) == b"1":
                return True
        except OSError:  # this kernel has no such attributes, or only root may read them
            continue
    return False


def _check_processors(demanded: list[Demand], effective: str) -> None:
    """Refuse processors that the parent lacks: v2 would silently leave them out."""
    requested = [setting.value for demand in demanded for setting in demand.v1 if setting.file == "cpuset.cpus"]
    if not requested:
        return
    from mydocker.specs.values.quantity import parse_cpuset

    present = " ".join(_words(effective))
    lacking = set(parse_cpuset(requested[0]) or ()) - set(parse_cpuset(present) or ())
    if lacking:
        shown = ",".join(map(str, sorted(lacking)))
        raise HostError(f"this machine has no processor {shown} for a container: there are {present}")


def _missing(demand: Demand, hierarchies: tuple[Hierarchy, ...]) -> UnenforceableLimitError:
    message = f"cannot limit {demand.limit}: this host has no cgroup controller {demand.controller!r}"
    if not hierarchies:
        return UnenforceableLimitError(
            f"{message}, because no cgroups are mounted", hint="mount -t cgroup2 none /sys/fs/cgroup"
        )
    return UnenforceableLimitError(
        message, hint="it may be switched off on the kernel's command line: see /proc/cgroups"
    )


def _closed(hierarchy: Hierarchy, demanded: list[Demand], rootless: bool) -> UnenforceableLimitError:
    """The error where no cgroup can be created: the reason, and what helps."""
    limits = " and ".join(demand.limit for demand in demanded)
    message = f"cannot limit {limits}: "
    if os.statvfs(hierarchy.mount).f_flag & os.ST_RDONLY:
        return UnenforceableLimitError(
            f"{message}{hierarchy.mount} is read-only",
            hint="inside another container, set the limits on that container, or start it with --privileged",
        )
    if hierarchy.version == 1:
        return UnenforceableLimitError(
            f"{message}on cgroup v1 only root can create cgroups", hint="run as root, or boot with cgroup v2"
        )
    controllers = ", ".join(sorted({demand.controller for demand in demanded}))
    return UnenforceableLimitError(
        f"{message}the cgroup {hierarchy.current} cannot hand down the controllers {controllers} to a new one",
        hint=f"run it in a delegated cgroup: {USER_SCOPE if rootless else SCOPE}",
    )
