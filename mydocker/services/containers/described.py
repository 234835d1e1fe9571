"""A container as Docker's commands describe it: a row of `ps`, and the document of `inspect`."""

from __future__ import annotations

import os

from mydocker.errors import printable
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import CREATED, DEAD, EXITED, PAUSED, RESTARTING, Container
from mydocker.services.containers.log_files import timestamp
from mydocker.services.health import HEALTHY, as_of_image
from mydocker.services.listing import rows
from mydocker.specs.model import VolumeMount
from mydocker.specs.model.parts import Logging
from mydocker.specs.values.signal import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from mydocker.image.model import ImageConfig
    from mydocker.services.containers import ContainerConfig, ContainerState
    from mydocker.specs.model import Mount
    from mydocker.specs.model.parts import Port

NEVER = "0001-01-01T00:00:00Z"  # as Go writes a time that is not set
_SHM_SIZE = 64 << 20  # bytes, unless it is set
_OF_IMAGES = (
    *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"),
    "Healthcheck",
)


def row(container: Container, *, trunc: bool = True) -> dict[str, str]:
    """The fields that `docker ps --format` knows."""
    spec = container.config.spec
    return rows.brief(container, trunc=trunc) | {
        "Networks": ",".join(addresses(container)) or spec.network_mode,
        "Size": "",
        "Mounts": printable(",".join(_mounted(mount) for mount in spec.volumes)),
        "LocalVolumes": str(sum(type(mount).__name__ == "VolumeMount" for mount in spec.volumes)),
    }


def _mounted(mount: Any) -> str:
    return str(getattr(mount, "source", None) or getattr(mount, "volume", None) or mount.target)


def document(container: Container, image: ImageConfig | None = None, *, volumes: str) -> dict[str, Any]:
    """What `docker inspect` prints of a container of IMAGE, as far as there is such a thing here; the types are
    Docker's. VOLUMES: the directory of named ones."""
    config, state, spec = container.config, container.state, container.config.spec
    command, connected = [*config.command], addresses(container)
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
        "HostConfig": _host_config(config),
        "NetworkSettings": {
            "Ports": _published(container),
            "IPAddress": connected.get("bridge", ""),
            "Networks": {name: {"IPAddress": address} for name, address in connected.items()},
        },
    }


def addresses(container: Container) -> dict[str, str]:
    """Those that it has now, by network: it may have been connected to some, or disconnected, since its start."""
    if not container.state.pid:
        return container.state.addresses
    from mydocker.runtime.network.connections import listed

    leases, _ = listed(f"{_state_directory(container)}/containers/{container.config.short_id}")
    return {lease.network.name: lease.address for lease in leases}


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
        "Env": [*inherited, *(f"{key}={value}" for key, value in spec.environment.items())],
        "Cmd": [*cmd] if cmd else None,
        "Image": config.image,
        "WorkingDir": spec.working_dir or (image.working_dir if image else ""),
        "Entrypoint": [*entrypoint] if entrypoint else None,
        "Labels": dict(config.labels),
        "ExposedPorts": {port: {} for port in config.ports},
        "Volumes": {path: {} for path in (*(image.volumes if image else ()), *_anonymous(spec.volumes))} or None,
        "StopSignal": name_of(spec.stop_signal) if spec.stop_signal else image.stop_signal if image else "",
        "Healthcheck": as_of_image(spec.healthcheck, image.healthcheck if image else {}) or None,
    }


def _anonymous(mounts: tuple[Mount, ...]) -> list[str]:
    """Where the volumes without a name are."""
    return [mount.target for mount in mounts if isinstance(mount, VolumeMount) and not mount.volume]


def _host_config(config: ContainerConfig) -> dict[str, Any]:
    spec, logging = config.spec, config.spec.logging or Logging()
    options = {"max-size": logging.max_size, "max-file": logging.max_file}
    return {
        "Binds": [_bind(mount) for mount in spec.volumes if _type(mount) in ("bind", "volume")] or None,
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
        "Memory": spec.mem_limit or 0,
        "MemorySwap": spec.memswap_limit or 0,
        "NanoCpus": round((spec.cpus or 0) * 1e9),
        "CpusetCpus": ",".join(map(str, spec.cpuset or ())),
        "PidsLimit": spec.pids_limit,
        "OomScoreAdj": spec.oom_score_adj or 0,
        "ShmSize": spec.shm_size or _SHM_SIZE,
        "Sysctls": dict(spec.sysctls),
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in spec.ulimits.items()],
        "LogConfig": {
            "Type": logging.driver,
            "Config": {name: str(value) for name, value in options.items() if value is not None},
        },
    }


def _bindings(ports: tuple[Port, ...]) -> dict[str, list[dict[str, str]]]:
    """As they were asked for, not as they were chosen."""
    found: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        bound = {"HostIp": port.host_ip, "HostPort": str(port.published or "")}
        found.setdefault(f"{port.target}/{port.protocol}", []).append(bound)
    return found


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
