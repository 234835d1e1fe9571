"""The `docker run` line that is equal to a ContainerSpec, and in words what of it Docker has no option for.

The flags are those of the table of fields; here is only how a value is written after its flag.
"""

from __future__ import annotations

import math
import shlex

from mydocker.record import TYPE_CHECKING
from mydocker.spec.container import NAMESPACES, BindMount, ContainerSpec, TmpfsMount, VolumeMount
from mydocker.spec.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from mydocker.spec.container import Mount, Security, User
    from mydocker.spec.port import Port

_FLAGS = {
    row.name: next(flag for flag in row.flags if flag.startswith("--"))
    for row in FIELDS
    if row.flags and row.name not in ("namespaces", "volumes", "security_opt", "read_only")
} | {"read_only": "--read-only", "ports": "--publish"}
_APART = ("origin", "aliases", "image", "entrypoint", "command", "namespaces", "volumes", "security_opt")
_NOT_DOCKERS = {  # attribute: what there is instead
    "rootfs": "a directory in place of an image: docker import makes an image of one",
    "umask": "umask: run the command by a shell that sets it",
    "stdin": "stdin: give the text to docker run -i by a pipe",
    "expand": "expand: docker run replaces no variables of the image",
    "pre_start": "pre_start: a docker run for each command, with docker commit between them",
    "inject": "inject: a volume for each program, read-only",
    "timeout": "timeout: put `timeout` before docker run, and remove the container afterwards",
    "userns_mode": "userns_mode keep-id: podman has it",
    "expect": "expect: nothing of Docker's judges a container",
}


def docker_line(spec: ContainerSpec) -> tuple[str, list[str]]:
    """The line, quoted for a shell, and notes on what it lacks."""
    options, notes = ["--rm"], []
    for name in ContainerSpec.fields:
        value = spec.hosts if name == "extra_hosts" else getattr(spec, name)
        if name == "network_mode" and spec.ports:  # Docker's own network is the one that publishes them
            continue
        if name in _APART or (value == getattr(ContainerSpec, name) and name != "network_mode"):
            continue
        if name in _NOT_DOCKERS or name not in _FLAGS:
            notes.append(_NOT_DOCKERS.get(name, f"{name}: docker run has no option for it"))
        else:
            options += _option(_FLAGS[name], _written(name, value))
    options += _namespaces(spec, notes)
    for mount in spec.volumes:
        options += _mount(mount, notes)
    options += _security(spec.security_opt, notes)
    entrypoint, command = _process(spec)
    image = spec.image.familiar if spec.image else "IMAGE"
    return shlex.join(["docker", "run", *options, *entrypoint, image, *command]), notes


def _written(name: str, value: Any) -> Any:
    """True for a switch, else the words, one for each time that the flag is given."""
    write = _WRITERS.get(name)
    if write:
        return write(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, tuple):
        return [str(item) for item in value]
    return [str(value)]


def _option(flag: str, written: Any) -> list[str]:
    return [flag] if written is True else [word for text in written for word in (flag, text)]


def _pairs(values: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in values.items()]


def _port(port: Port) -> str:
    address = [f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip] if port.host_ip else []
    published = ["" if port.published is None else str(port.published)] if address or port.published else []
    protocol = "" if port.protocol == "tcp" else f"/{port.protocol}"
    return ":".join([*address, *published, str(port.target)]) + protocol


def _user(user: User) -> list[str]:
    return [str(user.user) if user.group is None else f"{user.user}:{user.group}"]


_WRITERS: dict[str, Callable[[Any], list[str]]] = {
    "labels": _pairs,
    "environment": _pairs,
    "sysctls": _pairs,
    "ulimits": lambda limits: [f"{name}={soft}:{hard}" for name, (soft, hard) in limits.items()],
    "user": _user,
    "extra_hosts": lambda hosts: [f"{name}:{address}" for name, address in hosts],
    "ports": lambda ports: [_port(port) for port in ports],
    "devices": lambda devices: [f"{device.source}:{device.target}" for device in devices],
    "cpus": lambda cpus: [f"{cpus:g}"],
    "network_mode": lambda mode: [mode.replace("default", "host")],  # there is no other one yet
    "cpuset": lambda numbers: [",".join(map(str, numbers))],
    "stop_grace_period": lambda seconds: [str(math.ceil(seconds))],  # whole seconds, for Docker
}


def _namespaces(spec: ContainerSpec, notes: list[str]) -> Iterable[str]:
    flags = {"pid": "--pid", "ipc": "--ipc", "uts": "--uts", "cgroup": "--cgroupns"}
    for name in NAMESPACES:
        if name not in spec.namespaces and name in flags:
            yield from (flags[name], "host")
    if "mount" not in spec.namespaces:
        notes.append("namespaces: Docker always makes a mount namespace")


def _mount(mount: Mount, notes: list[str]) -> list[str]:
    match mount:
        case BindMount() | VolumeMount():
            if mount.copy_on_write:
                notes.append(f"volume {mount.target}: copy-on-write (O) is Podman's and ours")
            return _bind(mount) if isinstance(mount, BindMount) else _volume(mount)
        case TmpfsMount():
            return ["--tmpfs", ":".join(filter(None, [mount.target, ",".join(_tmpfs_options(mount))]))]
        case _:
            notes.append(f"{mount.target}: write its content to a file, and mount that read-only")
            return []


def _bind(mount: BindMount) -> list[str]:
    propagation = [] if mount.propagation == BindMount.propagation else [mount.propagation]
    if mount.recursive and ":" not in mount.source + mount.target:
        return _short(mount, mount.source, propagation)
    recursive = [] if mount.recursive else ["bind-recursive=disabled"]
    return _long(mount, "bind", mount.source, [*recursive, *(f"bind-propagation={word}" for word in propagation)])


def _volume(mount: VolumeMount) -> list[str]:
    name = mount.volume
    if mount.subpath or ":" in mount.target or (not name and (mount.read_only or not mount.copy)):
        subpath = [f"volume-subpath={mount.subpath}"] if mount.subpath else []
        return _long(mount, "volume", name, [*subpath, *([] if mount.copy else ["volume-nocopy"])])
    return _short(mount, name, [] if mount.copy else ["nocopy"])


def _short(mount: Mount, source: str | None, options: list[str]) -> list[str]:
    words = [source, mount.target, ",".join([*(["ro"] if mount.read_only else []), *options])]
    return ["--volume", ":".join(filter(None, words))]


def _long(mount: Mount, kind: str, source: str | None, options: list[str]) -> list[str]:
    """The notation that can say all. A word that has a comma is quoted (CSV, RFC 4180)."""
    words = [f"type={kind}", *([f"source={source}"] if source else []), f"target={mount.target}"]
    words += [*(["readonly"] if mount.read_only else []), *options]
    quoted = ['"' + word.replace('"', '""') + '"' if "," in word or '"' in word else word for word in words]
    return ["--mount", ",".join(quoted)]


def _tmpfs_options(mount: TmpfsMount) -> Iterable[str]:
    switches = {"ro": mount.read_only, "exec": mount.executable, "suid": mount.setuid}
    yield from (name for name, given in switches.items() if given)
    numbers = {"size": mount.size, "nr_inodes": mount.inodes, "uid": mount.uid, "gid": mount.gid}
    yield from (f"{name}={number}" for name, number in numbers.items() if number is not None)
    if mount.mode is not None:
        yield f"mode={mount.mode:o}"


def _security(security: Security, notes: list[str]) -> Iterable[str]:
    if security.seccomp is None:
        yield from ("--security-opt", "seccomp=unconfined")
    elif security.seccomp != "default":
        notes.append("security_opt: seccomp=FILE with the profile's own file")
    if security.no_new_privileges:
        yield from ("--security-opt", "no-new-privileges")
    if security.apparmor:
        yield from ("--security-opt", f"apparmor={security.apparmor}")
    for part, value in security.label.as_dict().items() if security.label else ():
        yield from ("--security-opt", f"label={part}:{value}")
    if not security.masked_paths:
        yield from ("--security-opt", "systempaths=unconfined")


def _process(spec: ContainerSpec) -> tuple[list[str], list[str]]:
    """The option --entrypoint, which takes one word, and what follows the image."""
    command = [*(spec.command or ())]
    if spec.entrypoint is None:
        return [], command
    return ["--entrypoint", *(spec.entrypoint[:1] or ("",))], [*spec.entrypoint[1:], *command]
