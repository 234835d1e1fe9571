"""The mounts that every container has, in order: /proc, /dev, /sys, /etc files, masks, and the volumes between them.

Mounts and options are those of docker run (runc's libcontainer, OCI runtime-spec "Default Filesystems").
"""

from __future__ import annotations

from mydocker.kernel import ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.plan.operations import (
    DEVICES,
    HARDENED,
    READ_ONLY,
    Bind,
    DeviceNode,
    Filesystem,
    Mask,
    Operation,
    ReadOnly,
    Symlink,
)
from mydocker.specs.model import CONNECTED_MODES, JOINING_MODES, Device

if TYPE_CHECKING:
    from mydocker.runtime.cgroup.hierarchy import Cgroup
    from mydocker.runtime.plan.host import Host
    from mydocker.specs.model import ContainerSpec

GENERATED = ("hosts", "hostname", "resolv.conf")  # files of /etc

MASKED = (
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats"),
    *("/sys/firmware", "/sys/devices/virtual/powercap"),
)

READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}

TTY_GROUP = "5"


def standard_mounts(
    spec: ContainerSpec,
    host: Host,
    *,
    run_dir: str,
    late: tuple[Operation, ...] = (),
    cgroups: tuple[Cgroup, ...] = (),
) -> tuple[Operation, ...]:
    """All operations but the root's late and those for host programs; LATE are those that mount what SPEC sets."""
    return (
        *_proc(spec, host),
        *_dev(spec, host),
        *_sys(spec, host, cgroups),
        *_chosen(spec),
        *late,
        *_devices(spec),
        *_etc(spec, run_dir),
        *_masked_paths(spec),
    )


def _masked_paths(spec: ContainerSpec) -> tuple[Operation, ...]:
    """The operations that hide or protect the kernel's own files; none for a privileged container."""
    own = tuple(Mask(target=path) for path in spec.security_opt.mask)
    if spec.privileged or not spec.security_opt.masked_paths:
        return own
    masked, read_only = _still_masked(spec, MASKED), _still_masked(spec, READ_ONLY_PATHS)
    return (*(Mask(target=path) for path in masked), *(ReadOnly(target=path) for path in read_only), *own)


def _still_masked(spec: ContainerSpec, paths: tuple[str, ...]) -> tuple[str, ...]:
    """Those of PATHS that SPEC does not unmask."""
    if not spec.security_opt.unmask:
        return paths
    from fnmatch import fnmatchcase

    patterns = spec.security_opt.unmask
    return tuple(path for path in paths if not any(fnmatchcase(path, each) for each in patterns))


def _proc(spec: ContainerSpec, host: Host) -> tuple[Operation, ...]:
    """A user namespace may mount a new proc only for a pid namespace that it owns (user_namespaces(7))."""
    if host.container_ids and "pid" not in spec.namespaces and "pid" not in spec.joined_namespaces:
        return (Bind(target="/proc", source="/proc", attributes=0, recursive=True, follow=False),)
    return (Filesystem(target="/proc", fstype="proc", attributes=HARDENED),)


def _dev(spec: ContainerSpec, host: Host) -> tuple[Operation, ...]:
    """Only what is bound there opens, as each is a separate mount: a node that the container makes could be a host's
    disk."""
    terminals = [("newinstance", None), ("ptmxmode", "0666"), ("mode", "0620")]
    if host.container_ids is None or host.container_ids.has_group(int(TTY_GROUP)):
        terminals.append(("gid", TTY_GROUP))
    return (
        Filesystem(
            target="/dev",
            fstype="tmpfs",
            options=(("mode", "755"), ("size", "65536k")),
            attributes=ATTR_NOSUID | ATTR_NODEV,
        ),
        *(DeviceNode(target=f"/dev/{name}", number=number) for name, number in DEVICES.items()),
        *(Symlink(target=f"/dev/{name}", to=to) for name, to in LINKS.items()),
        Filesystem(target="/dev/pts", fstype="devpts", options=tuple(terminals), attributes=ATTR_NOSUID | ATTR_NOEXEC),
        *_ipc(spec, host),
    )


def _chosen(spec: ContainerSpec) -> tuple[Operation, ...]:
    """What only some containers have: kernel parameters, all devices of the host."""
    operations: list[Operation] = []
    if spec.sysctls:
        from mydocker.runtime.plan.sysctls import Parameter

        operations += [Parameter(target=f"/proc/sys/{k.replace('.', '/')}", value=v) for k, v in spec.sysctls.items()]
    if spec.privileged:
        from mydocker.runtime.plan.devices import HostDevices

        operations.append(HostDevices(target="/dev"))
    return tuple(operations)


def _devices(spec: ContainerSpec) -> tuple[Operation, ...]:
    if not spec.devices:
        return ()
    from mydocker.runtime.plan.devices import ChosenDevice

    chosen = (device for device in spec.devices if isinstance(device, Device))  # CDI's have become such by now
    return tuple(ChosenDevice(target=device.target, source=device.source) for device in chosen)


def _ipc(spec: ContainerSpec, host: Host) -> tuple[Operation, ...]:
    if "ipc" in spec.joined_namespaces:
        from mydocker.runtime.join.shared_memory import SharedMemory

        return (
            SharedMemory(target="/dev/shm", run_dir=spec.joined_namespaces["ipc"]),
            Filesystem(target="/dev/mqueue", fstype="mqueue", attributes=HARDENED),
        )
    if "ipc" not in spec.namespaces:
        return tuple(Bind(target=path, source=path, attributes=HARDENED, recursive=True) for path in host.shared_ipc)
    shared = (("mode", "1777"), ("size", str(spec.shm_size or "64m")))
    return (
        Filesystem(target="/dev/shm", fstype="tmpfs", source="shm", options=shared, attributes=HARDENED),
        Filesystem(target="/dev/mqueue", fstype="mqueue", attributes=HARDENED),
    )


def _sys(spec: ContainerSpec, host: Host, cgroups: tuple[Cgroup, ...]) -> tuple[Operation, ...]:
    """A user namespace may mount a new sysfs only for a network namespace that it owns (user_namespaces(7)), as is that
    of another container, whose user namespace is shared (joined.py)."""
    locked = HARDENED | (0 if spec.privileged else READ_ONLY)
    sysfs: Operation = Filesystem(target="/sys", fstype="sysfs", attributes=locked)
    is_of_another = spec.network_mode.startswith(JOINING_MODES)
    if "net" not in spec.namespaces and not is_of_another and (host.container_ids or not host.owns_network):
        sysfs = Bind(target="/sys", source="/sys", attributes=locked, recursive=True, follow=False)
    if "cgroup" not in spec.namespaces:
        return (sysfs,)
    if not host.cgroup2:
        return (sysfs, *_cgroup_v1(tuple(cgroup for cgroup in cgroups if cgroup.version == 1 and not cgroup.optional)))
    return (sysfs, Filesystem(target="/sys/fs/cgroup", fstype="cgroup2", attributes=locked))


def _cgroup_v1(cgroups: tuple[Cgroup, ...]) -> tuple[Operation, ...]:
    """The container's own cgroups, in which programs read their limits; nothing if it has none."""
    if not cgroups:
        return ()
    top, locked = "/sys/fs/cgroup", READ_ONLY | HARDENED
    operations: list[Operation] = [
        Filesystem(target=top, fstype="tmpfs", options=(("mode", "755"),), attributes=HARDENED)
    ]
    for cgroup in cgroups:
        together = ",".join(cgroup.controllers)
        flags = tuple((name, None) for name in cgroup.controllers)
        operations.append(Filesystem(target=f"{top}/{together}", fstype="cgroup", options=flags, attributes=locked))
        if len(cgroup.controllers) > 1:
            operations += [Symlink(target=f"{top}/{name}", to=together) for name in cgroup.controllers]
    return (*operations, ReadOnly(target=top))


def _etc(spec: ContainerSpec, run_dir: str) -> tuple[Operation, ...]:
    """In a network, others may change the files of names: so they are not in the memory of its own mounts."""
    taken = {volume.target for volume in spec.volumes}
    paths = {name: f"/etc/{name}" for name in GENERATED}
    attributes = ATTR_NODEV | (READ_ONLY if spec.read_only else 0)
    connected = spec.network_mode in CONNECTED_MODES
    return tuple(
        Bind(
            target=path,
            source=f"{run_dir}/{name}" if connected and name != "hostname" else f"{run_dir}/memory/{name}",
            attributes=attributes,
        )
        for name, path in paths.items()
        if path not in taken
    )
