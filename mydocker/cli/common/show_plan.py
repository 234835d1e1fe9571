"""What --dry-run prints: a launch plan as one JSON document.

Keys are stable: new ones may come, none changes its meaning. Sizes are bytes, times seconds, modes octal texts. The
contents of configs and secrets and the text of `stdin` are never printed: `bytes` is their length.
"""

from __future__ import annotations

import os
import re

from mydocker import kernel
from mydocker.json_output import dump
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.values.capability import names

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.runtime.plan import LaunchPlan
    from mydocker.specs.model.parts import Port

_INSIDE = ("containers", "networks_dir", "own_ids")  # where mydocker has its own files, and what `id_map` says
_KEYS = {
    "rootless": "id_map",
    "auto_ids": "id_range",
    "groups": "group_add",
    "grace": "stop_grace_period",
    "no_network": "network_reason",
    "joined": "joined_container",
    "address": "ipv4_address",
    "address6": "ipv6_address",
    "mac": "mac_address",
    "gateway_priority": "gw_priority",
}
_NAMES = {
    "InlineFile": "file",
    "VolumeBind": "volume",
    "DeviceNode": "device",
    "ChosenDevice": "host_devices",
    "Parameter": "sysctl",
}
_ATTRIBUTES = {
    kernel.ATTR_RDONLY: "ro",
    kernel.ATTR_NOSUID: "nosuid",
    kernel.ATTR_NODEV: "nodev",
    kernel.ATTR_NOEXEC: "noexec",
    kernel.ATTR_NOATIME: "noatime",
    kernel.ATTR_STRICTATIME: "strictatime",
}


def show(plan: LaunchPlan) -> None:
    """Print PLAN on stdout."""
    fields = {name: value for name, value in plan.as_dict().items() if name not in _INSIDE}
    fields["rootless"] = plan.ids
    shown = {_KEYS.get(name, name): _field(name, value) for name, value in fields.items()}
    print(dump({**shown, "network": plan.network}, indent=2))


def _field(name: str, value: Any) -> Any:
    if value is None:
        return None
    return _WRITERS[name](value) if name in _WRITERS else _data(value)


def _data(value: Any) -> Any:
    """VALUE as JSON has it; a record is a mapping, and `kind` names its type where there are several."""
    if isinstance(value, Record):
        fields = {name: _field(name, field) for name, field in value.as_dict().items()}
        kinds = [each.__name__ for each in type(value).__mro__]
        kind = {"kind": _kind(type(value).__name__)} if {"Operation", "Root"} & {*kinds} else {}
        return kind | {_KEYS.get(name, name): field for name, field in fields.items()}
    if isinstance(value, dict):
        return {str(key): _data(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    if isinstance(value, (tuple, list)):
        return [_data(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_data(item) for item in value)
    return value if isinstance(value, (str, int, float)) else str(value)


def _kind(name: str) -> str:
    """`copy_on_write` of CopyOnWrite."""
    return _NAMES.get(name) or re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _length(content: str | bytes) -> dict[str, int]:
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
    return {"bytes": len(raw)}


def _octal(mode: int) -> str:
    return f"{mode:04o}"


def _attributes(flags: int) -> list[str]:
    known = [name for flag, name in _ATTRIBUTES.items() if flags & flag]
    rest = flags & ~sum(_ATTRIBUTES)
    return [*known, *([hex(rest)] if rest else [])]


def _filter(syscalls: Any) -> dict[str, Any]:
    """The system call filter: the profile itself is a file of the user's, or Docker's."""
    return {
        "profile": "default" if syscalls.profile is None else "custom",
        "capabilities": names(syscalls.capabilities),
    }


def _options(options: Any) -> Any:
    """Mount options: pairs of a name and a value, or a text."""
    return options.strip(",") if isinstance(options, str) else dict(options)


def _extra_hosts(hosts: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"name": name, "address": address} for name, address in hosts]


def _ports(ports: tuple[Port, ...]) -> list[dict[str, Any]]:
    """Without `port`, any number that is free; with `last_port`, the first free one up to that."""
    return [
        {
            "host_ip": port.host_ip or None,
            "port": port.published or None,
            "last_port": port.last_published,
            "target": port.target,
            "protocol": port.protocol,
        }
        for port in ports
    ]


_WRITERS: dict[str, Callable[[Any], Any]] = {
    "rootless": lambda ids: {kind: [_data(extent) for extent in extents] for kind, extents in ids.as_dict().items()},
    "capabilities": names,
    "seccomp": _filter,
    "umask": _octal,
    "mode": _octal,
    "stdin": _length,
    "content": _length,
    "attributes": _attributes,
    "options": _options,
    "number": lambda number: {"major": number[0], "minor": number[1]},
    "extra_hosts": _extra_hosts,
    "ports": _ports,
    "no_network": lambda reason: reason or None,
    "joined": lambda directory: os.path.basename(directory) or None,
    **dict.fromkeys(("address", "address6", "mac", "interface"), lambda chosen: chosen or None),
    "ulimits": lambda limits: {name: {"soft": soft, "hard": hard} for name, (soft, hard) in limits.items()},
}
