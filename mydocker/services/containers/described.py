"""A container as Docker's commands describe it: a row of `ps`, and the document of `inspect`."""

from __future__ import annotations

import shlex
import time

from mydocker.errors import printable
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import CREATED, EXITED, PAUSED, RESTARTING, Container
from mydocker.services.containers.log_files import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from mydocker.services.containers import ContainerConfig, ContainerState

NEVER = "0001-01-01T00:00:00Z"  # as Go writes a time that is not set
_UNITS = ((8760, "year"), (720, "month"), (168, "week"), (24, "day"))  # in hours
_COMMAND = 20  # letters


def row(container: Container, *, trunc: bool = True) -> dict[str, str]:
    """The fields that `docker ps --format` knows."""
    config, state = container.config, container.state
    command = printable(shlex.join(config.command))
    if trunc and len(command) > _COMMAND:
        command = command[: _COMMAND - 1] + "…"
    return {
        "ID": config.short_id if trunc else config.id,
        "Image": config.image,
        "Command": f'"{command}"',
        "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(config.created)),
        "RunningFor": f"{ago(time.time() - config.created)} ago",
        "Status": status(state),
        "State": state.status,
        "Ports": ports(container),
        "Names": config.title,
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(config.labels.items())),
        "Networks": ",".join(state.addresses) or config.spec.network_mode,
        "Size": "",
        "Mounts": ",".join(_mounted(mount) for mount in config.spec.volumes),
        "LocalVolumes": str(sum(type(mount).__name__ == "VolumeMount" for mount in config.spec.volumes)),
    }


def _mounted(mount: Any) -> str:
    return str(getattr(mount, "source", None) or getattr(mount, "volume", None) or mount.target)


def ago(seconds: float) -> str:
    """How long that is, as Docker's commands write it (go-units, HumanDuration)."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if seconds < 60:
        count = int(seconds)
        return "Less than a second" if count < 1 else f"{count} second{'s' * (count > 1)}"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    unit, name = next(each for each in _UNITS if hours >= 2 * each[0])
    return f"{hours // unit} {name}s"


def status(state: ContainerState) -> str:
    """The state in words."""
    if state.status == CREATED:
        return "Created"
    if state.status == EXITED:
        since = f" {ago(time.time() - state.finished)} ago" if state.finished else ""
        return f"Exited ({state.exit_code}){since}"
    if state.status == RESTARTING:
        return f"Restarting ({state.exit_code}) {ago(time.time() - state.finished)} ago"
    health = {"": "", "starting": " (health: starting)"}.get(state.health, f" ({state.health})")
    paused = " (Paused)" if state.status == PAUSED else ""
    return f"Up {ago(time.time() - state.started)}{health}{paused}"


def ports(container: Container) -> str:
    """The published ports, and those that are only exposed."""
    shown, published = [], set()
    for text in container.state.ports:
        place, _, target = text.rpartition(":")
        published.add(target)
        host, _, number = place.rpartition(":")
        shown += [f"{host}:{number}->{target}"] if host else [f"0.0.0.0:{number}->{target}", f"[::]:{number}->{target}"]
    shown += [port for port in container.config.ports if port not in published]
    return ", ".join(shown)


def document(container: Container) -> dict[str, Any]:
    """What `docker inspect` prints of a container, as far as there is such a thing here."""
    config, state, spec = container.config, container.state, container.config.spec
    command = [*config.command]
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
        "Mounts": [_mount(mount) for mount in spec.volumes],
        "Config": {
            "Hostname": spec.hostname or config.short_id,
            "User": _user(spec.user),
            "Tty": spec.tty,
            "OpenStdin": spec.stdin_open,
            "Env": [f"{key}={value}" for key, value in spec.environment.items()],
            "Cmd": [*spec.command] if spec.command is not None else None,
            "Image": config.image,
            "WorkingDir": spec.working_dir or "",
            "Entrypoint": [*spec.entrypoint] if spec.entrypoint is not None else None,
            "Labels": dict(config.labels),
            "ExposedPorts": {port: {} for port in config.ports},
        },
        "HostConfig": _host_config(config),
        "NetworkSettings": {
            "Ports": _published(container),
            "IPAddress": state.addresses.get("bridge", ""),
            "Networks": {name: {"IPAddress": address} for name, address in state.addresses.items()},
        },
    }


def _host_config(config: ContainerConfig) -> dict[str, Any]:
    spec = config.spec
    return {
        "NetworkMode": spec.network_mode,
        "AutoRemove": config.auto_remove,
        "RestartPolicy": {
            "Name": spec.restart.name if spec.restart else "no",
            "MaximumRetryCount": spec.restart.attempts if spec.restart else 0,
        },
        "Privileged": spec.privileged,
        "ReadonlyRootfs": spec.read_only,
        "Memory": spec.mem_limit or 0,
        "LogConfig": {"Type": spec.logging.driver if spec.logging else "json-file"},
    }


def _state(state: ContainerState) -> dict[str, Any]:
    described: dict[str, Any] = {
        "Status": state.status,
        "Running": state.status not in (CREATED, EXITED),
        "Paused": state.status == PAUSED,
        "Restarting": state.status == RESTARTING,
        "OOMKilled": state.oom_killed,
        "Dead": False,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": _time(state.started),
        "FinishedAt": _time(state.finished),
    }
    if state.health:
        described["Health"] = {
            "Status": state.health,
            "FailingStreak": state.failing,
            "Log": [{"Output": state.health_output}] if state.health_output else [],
        }
    return described


def _time(seconds: float) -> str:
    return timestamp(int(seconds * 1e9)) if seconds else NEVER


def _user(user: Any) -> str:
    if user is None:
        return ""
    return f"{user.user}" if user.group is None else f"{user.user}:{user.group}"


def _mount(mount: Any) -> Mapping[str, Any]:
    kind = {"BindMount": "bind", "VolumeMount": "volume", "TmpfsMount": "tmpfs"}.get(type(mount).__name__, "bind")
    described = {"Type": kind, "Destination": mount.target, "RW": not mount.read_only}
    if kind == "volume":
        described["Name"] = mount.volume or ""
    described["Source"] = getattr(mount, "source", "") or ""
    return described


def _published(container: Container) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(container.config.ports)
    for text in container.state.ports:
        place, _, target = text.rpartition(":")
        host, _, number = place.rpartition(":")
        found[target] = [{"HostIp": host.strip("[]") or "0.0.0.0", "HostPort": number}]
    return found
