"""A container as Docker's commands describe it: a row of `ps`, and the document of `inspect`."""

from __future__ import annotations

import math
import os

from mydocker.errors import MydockerError, printable
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import CREATED, DEAD, EXITED, PAUSED, RESTARTING, Container
from mydocker.services.containers.log_files import timestamp
from mydocker.services.health import HEALTHY, as_of_image
from mydocker.services.listing import rows
from mydocker.specs.model import Device, TmpfsMount, VolumeMount
from mydocker.specs.model.parts import Logging
from mydocker.specs.values.signal import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from mydocker.image.model import ImageConfig
    from mydocker.runtime.network import Lease
    from mydocker.services.containers import ContainerConfig, ContainerState
    from mydocker.specs.model import ContainerSpec, Mount
    from mydocker.specs.model.parts import Port

NEVER = "0001-01-01T00:00:00Z"  # as Go writes a time that is not set
_SHM_SIZE = 64 << 20  # bytes, unless it is set
_OF_IMAGES = (
    *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"),
    "Healthcheck",
)


class Row(dict[str, str]):
    """What `docker ps --format` knows by name, and the labels, of which it knows each: `{{.Label "NAME"}}`."""

    labels: Mapping[str, str] = {}


def row(container: Container, *, trunc: bool = True) -> Row:
    """The fields of a line of `ps`."""
    spec = container.config.spec
    found = Row(
        {
            **rows.brief(container, trunc=trunc),
            "Networks": ",".join(addresses(container)) or spec.network_mode,
            "Size": "",
            "Mounts": printable(",".join(_mounted(mount) for mount in spec.volumes)),
            "LocalVolumes": str(sum(type(mount).__name__ == "VolumeMount" for mount in spec.volumes)),
        }
    )
    found.labels = container.config.labels
    return found


def _mounted(mount: Any) -> str:
    return str(getattr(mount, "source", None) or getattr(mount, "volume", None) or mount.target)


def document(container: Container, image: ImageConfig | None = None, *, volumes: str) -> dict[str, Any]:
    """What `docker inspect` prints of a container of IMAGE, as far as there is such a thing here; the types are
    Docker's. VOLUMES: the directory of named ones."""
    config, state, spec = container.config, container.state, container.config.spec
    command, connected = [*config.command], _connected(container)
    return {
        "Id": config.id,
        "Created": _time(config.created),
        "Path": command[0] if command else "",
        "Args": command[1:],
        "State": _state(state),
        "Image": config.image_digest,
        "LogPath": f"{container.directory}/logs/container.log",
        "Name": f"/{config.title}",
        "RestartCount": state.restarts,
        "Platform": "linux",
        "Mounts": [_mount(mount, volumes) for mount in spec.volumes],
        "Config": _config(config, image),
        "HostConfig": _host_config(config) | _users(container),
        "NetworkSettings": {
            "Ports": _published(container),
            **{key: value for key, value in connected.get("bridge", _endpoint("")).items() if key != "Aliases"},
            "Networks": connected,
        },
    }


def addresses(container: Container) -> dict[str, str]:
    """Those that it has now, by network: it may have been connected to some, or disconnected, since its start."""
    if not container.state.pid:
        return container.state.addresses
    return {lease.network.name: lease.address for lease in _leases(container)}


def _leases(container: Container) -> tuple[Lease, ...]:
    from mydocker.runtime.network.connections import listed

    return listed(f"{_state_directory(container)}/containers/{container.config.short_id}")[0]


def _connected(container: Container) -> dict[str, dict[str, Any]]:
    """How it is connected to each network."""
    if not container.state.pid:
        return {name: _endpoint(address) for name, address in container.state.addresses.items()}
    return {lease.network.name: _of_lease(lease) for lease in _leases(container)}


def _endpoint(address: str, *, mac: str = "", gateway: str = "", prefix: int = 0, address6: str = "") -> dict[str, Any]:
    return {
        "IPAddress": address,
        "IPPrefixLen": prefix,
        "Gateway": gateway,
        "GlobalIPv6Address": address6,
        "MacAddress": mac,
        "Aliases": None,
    }


def _of_lease(lease: Lease) -> dict[str, Any]:
    from mydocker.runtime.network.networks import load

    found = _endpoint(lease.address, mac=lease.mac, address6=lease.address6)
    try:
        network = load(os.path.dirname(lease.directory), lease.network.name)
    except MydockerError:  # it has just been removed, or is damaged
        return found
    gateway = "" if network.internal else network.subnet.gateway
    return {**found, "IPPrefixLen": network.subnet.prefix, "Gateway": gateway, "Aliases": [*lease.aliases] or None}


def _state_directory(container: Container) -> str:
    return os.path.dirname(os.path.dirname(container.directory))


def image_settings(container: Container, image: ImageConfig | None) -> dict[str, Any]:
    """The `config` of an image that runs as CONTAINER of IMAGE does (OCI image-spec config.md)."""
    found = _config(container.config, image)
    return {key: found[key] for key in _OF_IMAGES if found[key]}


def _config(config: ContainerConfig, image: ImageConfig | None) -> dict[str, Any]:
    """With what the image says where the container says nothing."""
    spec = config.spec
    names = {*spec.environment}
    inherited = [each for each in (image.env if image else ()) if each.partition("=")[0] not in names]
    cmd = spec.command if spec.command is not None or spec.entrypoint is not None or not image else image.cmd
    entrypoint = spec.entrypoint if spec.entrypoint is not None or not image else image.entrypoint
    return {
        "Hostname": spec.hostname or config.short_id,
        "Domainname": spec.domainname or "",
        "User": _user(spec.user) or (image.user if image else ""),
        "Tty": spec.tty,
        "OpenStdin": spec.stdin_open,
        "StdinOnce": config.stdin_once,
        "Env": [*(f"{key}={value}" for key, value in spec.environment.items() if value is not None), *inherited],
        "Cmd": [*cmd] if cmd else None,
        "Image": config.image,
        "WorkingDir": spec.working_dir or (image.working_dir if image else ""),
        "Entrypoint": [*entrypoint] if entrypoint else None,
        "Labels": dict(config.labels),
        "ExposedPorts": {port: {} for port in config.ports},
        "Volumes": {path: {} for path in (*(image.volumes if image else ()), *_anonymous(spec.volumes))} or None,
        "StopSignal": name_of(spec.stop_signal) if spec.stop_signal else image.stop_signal if image else "",
        "StopTimeout": math.ceil(spec.stop_grace_period),
        "Healthcheck": as_of_image(spec.healthcheck, image.healthcheck if image else {}) or None,
    }


def _anonymous(mounts: tuple[Mount, ...]) -> list[str]:
    """Where the volumes without a name are."""
    return [mount.target for mount in mounts if isinstance(mount, VolumeMount) and not mount.volume]


def _host_config(config: ContainerConfig) -> dict[str, Any]:
    spec, logging = config.spec, config.spec.logging or Logging()
    options = {"max-size": logging.max_size, "max-file": logging.max_file}
    return {
        "Binds": [_bind(mount) for mount in spec.volumes if _is_bound(mount)] or None,
        "NetworkMode": spec.network_mode,
        "PortBindings": _bindings(spec.ports),
        "PublishAllPorts": spec.publish_all,
        "AutoRemove": config.auto_remove,
        "RestartPolicy": {
            "Name": spec.restart.name if spec.restart else "no",
            "MaximumRetryCount": spec.restart.attempts if spec.restart else 0,
        },
        "CapAdd": [*spec.cap_add] or None,
        "CapDrop": [*spec.cap_drop] or None,
        "Dns": [*spec.dns],
        "DnsOptions": [*spec.dns_opt],
        "DnsSearch": [*spec.dns_search],
        "ExtraHosts": [f"{name}:{address}" for name, address in spec.extra_hosts] or None,
        "Init": spec.init,
        "Privileged": spec.privileged,
        "ReadonlyRootfs": spec.read_only,
        **_limits(spec),
        **_isolation(spec),
        "ShmSize": spec.shm_size or _SHM_SIZE,
        "Sysctls": dict(spec.sysctls),
        "LogConfig": {
            "Type": logging.driver,
            "Config": {name: str(value) for name, value in options.items() if value is not None},
        },
    }


def _limits(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "Memory": spec.mem_limit or 0,
        "MemorySwap": (2 * (spec.mem_limit or 0)) if spec.memswap_limit is None else spec.memswap_limit,
        "MemoryReservation": spec.mem_reservation or 0,
        "NanoCpus": round((spec.cpus or 0) * 1e9),
        "CpuShares": spec.cpu_shares or 0,
        "CpuPeriod": spec.cpu_period or 0,
        "CpuQuota": spec.cpu_quota or 0,
        "CpusetCpus": ",".join(map(str, spec.cpuset or ())),
        "PidsLimit": spec.pids_limit,
        "OomScoreAdj": spec.oom_score_adj or 0,
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in spec.ulimits.items()],
    }


def _isolation(spec: ContainerSpec) -> dict[str, Any]:
    from mydocker.specs.render.run_options import security_options, tmpfs_options

    devices = [each for each in spec.devices if isinstance(each, Device)]
    in_memory = [mount for mount in spec.volumes if isinstance(mount, TmpfsMount)]
    return {
        "PidMode": _mode(spec, "pid"),
        "IpcMode": _mode(spec, "ipc") or "private",
        "UTSMode": _mode(spec, "uts"),
        "CgroupnsMode": _mode(spec, "cgroup") or "private",
        "SecurityOpt": security_options(spec.security_opt) or None,
        "GroupAdd": [str(each) for each in spec.group_add] or None,
        "Devices": [
            {"PathOnHost": each.source, "PathInContainer": each.target, "CgroupPermissions": "rwm"} for each in devices
        ],
        "Tmpfs": {mount.target: ",".join(tmpfs_options(mount)) for mount in in_memory} or None,
        "VolumesFrom": [f"{each.container}{':ro' if each.read_only else ''}" for each in spec.volumes_from] or None,
    }


def _users(container: Container) -> dict[str, Any]:
    """Its user namespace, as Podman says it: a mode, and the map that root has given it, if that is known."""
    spec = container.config.spec
    maps = spec.id_maps
    if not maps and not spec.userns_mode.startswith("auto"):
        return {"UsernsMode": "" if spec.userns_mode == "host" else spec.userns_mode}
    from mydocker.runtime.user_namespace import ranges, words

    found: dict[str, Any] = {"UsernsMode": "private" if maps else spec.userns_mode}
    if os.geteuid() != 0:  # whose map is known by the ids that the user is granted
        return found
    ids = words.chosen(spec) if maps else ranges.recorded(container.directory)
    if ids is None:
        return found
    each = (("UidMap", ids.users), ("GidMap", ids.groups))
    return found | {"IDMappings": {key: [f"{x.inside}:{x.outside}:{x.count}" for x in part] for key, part in each}}


def _mode(spec: ContainerSpec, kind: str) -> str:
    """Whose namespace of KIND the container has; empty for one of its own."""
    return spec.joined_namespaces.get(kind) or ("" if kind in spec.namespaces else "host")


def _bindings(ports: tuple[Port, ...]) -> dict[str, list[dict[str, str]]]:
    """As they were asked for, not as they were chosen."""
    found: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        bound = {"HostIp": port.host_ip, "HostPort": str(port.published or "")}
        found.setdefault(f"{port.target}/{port.protocol}", []).append(bound)
    return found


def _is_bound(mount: Mount) -> bool:
    """A volume without a name is none of what is bound."""
    return _type(mount) == "bind" or (isinstance(mount, VolumeMount) and bool(mount.volume))


def _bind(mount: Any) -> str:
    return f"{_mounted(mount)}:{mount.target}{':ro' if mount.read_only else ''}"


def _state(state: ContainerState) -> dict[str, Any]:
    described: dict[str, Any] = {
        "Status": state.status,
        "Running": state.status not in (CREATED, EXITED, DEAD),
        "Paused": state.status == PAUSED,
        "Restarting": state.status == RESTARTING,
        "OOMKilled": state.oom_killed,
        "Dead": state.status == DEAD,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": _time(state.started),
        "FinishedAt": _time(state.finished),
    }
    described["Health"] = None
    if state.health:
        last = {"ExitCode": state.health_code, "Output": state.health_output}
        described["Health"] = {
            "Status": state.health,
            "FailingStreak": state.failing,
            "Log": [last] if state.health_output or state.health == HEALTHY else [],
        }
    return described


def _time(seconds: float) -> str:
    return timestamp(int(seconds * 1e9)) if seconds else NEVER


def _user(user: Any) -> str:
    if user is None:
        return ""
    return f"{user.user}" if user.group is None else f"{user.user}:{user.group}"


def _type(mount: Any) -> str:
    return {"BindMount": "bind", "VolumeMount": "volume", "TmpfsMount": "tmpfs"}.get(type(mount).__name__, "bind")


def _mount(mount: Any, volumes: str) -> Mapping[str, Any]:
    """VOLUMES is the directory of named volumes."""
    kind = _type(mount)
    described = {
        "Type": kind,
        "Source": getattr(mount, "source", "") or "",
        "Destination": mount.target,
        "Mode": "ro" if mount.read_only else "",
        "RW": not mount.read_only,
        "Propagation": getattr(mount, "propagation", "") or "",
    }
    if kind != "volume":
        return described
    return {**described, "Name": mount.volume or "", "Source": f"{volumes}/{mount.volume}/data" if mount.volume else ""}


def _published(container: Container) -> dict[str, Any]:
    """The ports that are open on the host now; an address that is none stands for all, as in IPv6 too."""
    found: dict[str, Any] = dict.fromkeys(container.config.ports)
    for text in container.state.ports:
        place, _, target = text.rpartition(":")
        host, _, number = place.rpartition(":")
        addresses = [host.strip("[]")] if host else ["0.0.0.0", "::"]
        bound = [{"HostIp": address, "HostPort": number} for address in addresses]
        found[target] = [*(found.get(target) or []), *bound]
    return found
