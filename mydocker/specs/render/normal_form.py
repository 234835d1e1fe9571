"""A ContainerSpec as plain data, in our normal form: variables replaced, defaults left out, long forms.

What comes out is for a YAML or JSON writer: text, numbers, true and false, lists and mappings. Read again, it gives
the same ContainerSpec.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.model.container import NAMESPACES, BindMount, ContainerSpec, FileMount, TmpfsMount, VolumeMount
from mydocker.specs.nodes.node import AsWritten
from mydocker.specs.render.normal_expect import expect_data
from mydocker.specs.table.fields import FIELDS
from mydocker.specs.values.port import Port

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.reference import Reference
    from mydocker.specs.model.container import Mount, Security, User
    from mydocker.specs.model.dependencies import Dependency
    from mydocker.specs.model.healthcheck import Healthcheck

_HOUR, _MINUTE = 3600, 60
_SIZES = tuple((1024**power, letter) for power, letter in ((4, "t"), (3, "g"), (2, "m"), (1, "k")))


def normal_form(spec: ContainerSpec) -> dict[str, Any]:
    """The document of SPEC, its keys in the order of the table of fields."""
    found: dict[str, Any] = {**_process(spec), **_mounts(spec), **_isolation(spec)}
    for row in FIELDS:
        value = getattr(spec, row.name)
        if row.name in _APART or row.key != row.name or value == row.default:
            continue
        found[row.key] = _WRITERS[row.name](value) if row.name in _WRITERS else _plain(value)
    return {row.key: found[row.key] for row in FIELDS if row.key in found}


_APART = ("entrypoint", "command", "volumes", "namespaces", "network_mode")


def _plain(value: Any) -> Any:
    return [str(item) for item in value] if isinstance(value, tuple) else value


def _process(spec: ContainerSpec) -> dict[str, Any]:
    found = {} if spec.entrypoint is None else {"entrypoint": [*spec.entrypoint]}
    # an entrypoint without a command drops the image's, so that the empty one need not be said
    if spec.command is not None and (spec.command or spec.entrypoint is None):
        found["command"] = [*spec.command]
    return found


def _isolation(spec: ContainerSpec) -> dict[str, Any]:
    usual = tuple(name for name in NAMESPACES if name != "net" or spec.network_mode == "none")
    if spec.namespaces != usual:
        return {"namespaces": [*spec.namespaces]}
    return {} if spec.network_mode == ContainerSpec.network_mode else {"network_mode": spec.network_mode}


def _mounts(spec: ContainerSpec) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for mount in spec.volumes:
        key, data = mount_data(mount)
        found.setdefault(key, []).append(data)
    return found


def mount_data(mount: Mount) -> tuple[str, Any]:
    """The key that a mount belongs under, and its entry there: the long form, where that can say all of it."""
    data: dict[str, Any] = {"target": mount.target} | ({"read_only": True} if mount.read_only else {})
    if isinstance(mount, FileMount):
        return _file(mount)
    if isinstance(mount, BindMount):
        if mount.copy_on_write:
            return "volumes", f"{mount.source}:{mount.target}:O"
        own = {} if mount.propagation == "rprivate" else {"propagation": mount.propagation}
        own |= {} if mount.recursive else {"recursive": "disabled"}
        return "volumes", {"type": "bind", "source": mount.source, **data, **({"bind": own} if own else {})}
    if isinstance(mount, VolumeMount):
        return _volume(mount, data)
    assert isinstance(mount, TmpfsMount)
    return _tmpfs(mount, data)


def _file(mount: FileMount) -> tuple[str, Any]:
    said = {name: getattr(mount, name) for name in ("uid", "gid") if getattr(mount, name)}
    mode = {} if mount.mode == FileMount.mode else {"mode": f"{mount.mode:04o}"}
    source, text = mount.reference or ("content", mount.content)
    written = AsWritten(text) if mount.reference and source == "content" else text
    return "secrets" if mount.secret else "configs", {"target": mount.target, source: written, **said, **mode}


def _volume(mount: VolumeMount, data: dict[str, Any]) -> tuple[str, Any]:
    if mount.copy_on_write:
        return "volumes", f"{mount.volume}:{mount.target}:O{'' if mount.copy else ',nocopy'}"
    own: dict[str, Any] = {} if mount.copy else {"nocopy": True}
    own |= {"subpath": mount.subpath} if mount.subpath else {}
    source = {"source": mount.volume} if mount.volume else {}
    return "volumes", {"type": "volume", **source, **data, **({"volume": own} if own else {})}


def _tmpfs(mount: TmpfsMount, data: dict[str, Any]) -> tuple[str, Any]:
    """The long form knows only size and mode."""
    options = [] if mount.size is None else [f"size={mount.size}"]
    options += [] if mount.mode is None else [f"mode={mount.mode:04o}"]
    if (mount.inodes, mount.uid, mount.gid, mount.executable, mount.setuid) == (None, None, None, False, False):
        own = dict(option.split("=") for option in options)
        return "volumes", {"type": "tmpfs", **data, **({"tmpfs": own} if own else {})}
    for name, value in (("nr_inodes", mount.inodes), ("uid", mount.uid), ("gid", mount.gid)):
        options += [] if value is None else [f"{name}={value}"]
    switches = (("ro", mount.read_only), ("exec", mount.executable), ("suid", mount.setuid))
    options += [name for name, is_on in switches if is_on]
    return "tmpfs", f"{mount.target}:{','.join(options)}"


def duration(seconds: float) -> str:
    """`1m30s`: the notation of the keys that are durations."""
    hours, rest = divmod(seconds, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    if rest != int(rest):
        return f"{seconds:.9f}".rstrip("0") + "s"
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{int(number)}{unit}" for number, unit in parts if number) or "0s"


def size(count: int) -> str | int:
    """`64m`, or a number of bytes."""
    for unit, letter in _SIZES:
        if count > 0 and count % unit == 0:
            return f"{count // unit}{letter}"
    return count


def _image(image: Reference) -> str:
    if image.location is None:
        return image.familiar
    where = image.location
    return f"{where.transport}:{where.path}" + (f":{where.selector}" if where.selector else "")


def _user(user: User) -> str:
    return str(user.user) if user.group is None else f"{user.user}:{user.group}"


def _signal(number: int) -> str:
    import signal

    return signal.Signals(number).name if number in {*signal.Signals} and number < 32 else f"SIGRTMIN+{number - 34}"


def _security(security: Security) -> list[str]:
    options = []
    if security.seccomp != "default":
        profile = security.seccomp
        options.append(f"seccomp={'unconfined' if profile is None else getattr(profile, 'origin', profile)}")
    if security.no_new_privileges:
        options.append("no-new-privileges")
    if security.apparmor:
        options.append(f"apparmor={security.apparmor}")
    if security.label:
        options += [f"label={part}:{value}" for part, value in security.label.as_dict().items()]
    return options if security.masked_paths else [*options, "systempaths=unconfined"]


def _dependencies(found: tuple[Dependency, ...]) -> dict[str, Any]:
    return {each.name: {"condition": each.condition} | ({} if each.required else {"required": False}) for each in found}


def _healthcheck(check: Healthcheck) -> dict[str, Any]:
    said = {name: value for name, value in check.as_dict().items() if value not in (None, (), "")}
    return {
        name: [*value] if name == "test" else value if name == "retries" else duration(value)
        for name, value in said.items()
    }


def _ports(ports: tuple[Port, ...]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in port.as_dict().items() if value != getattr(Port, name, None)} for port in ports
    ]


_WRITERS: dict[str, Callable[[Any], Any]] = {
    "image": _image,
    "platform": str,
    "labels": dict,
    "environment": dict,
    "user": _user,
    "umask": lambda mask: f"{mask:04o}",
    "timeout": duration,
    "stop_signal": _signal,
    "stop_grace_period": duration,
    "devices": lambda devices: [device.as_dict() for device in devices],
    "extra_hosts": lambda hosts: [f"{name}={address}" for name, address in hosts],
    "aliases": lambda aliases: [*aliases.own],
    "ports": _ports,
    "shm_size": size,
    "sysctls": dict,
    "ulimits": lambda limits: {name: {"soft": soft, "hard": hard} for name, (soft, hard) in limits.items()},
    "security_opt": _security,
    "mem_limit": size,
    "memswap_limit": size,
    "cpus": lambda cpus: f"{cpus:.9f}".rstrip("0").rstrip("."),
    "cpuset": lambda numbers: ",".join(map(str, numbers)),
    "depends_on": _dependencies,
    "pre_start": lambda commands: [[*words] for words in commands],
    "healthcheck": _healthcheck,
    "restart": lambda count: "on-failure" if count < 0 else f"on-failure:{count}",
    "expect": expect_data,
    "matrix": lambda variables: {name: [value] for name, value in variables.items()},
}
