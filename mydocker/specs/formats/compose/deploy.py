"""`deploy` of a Compose service: limits, reservations and the restart policy become keys of a spec file.

What is for clusters alone has no effect with `docker compose` either, and is named by a warning. Where both places set
a limit, the two must agree, as in Compose (compose-go, loader/validate.go, "can't set distinct values").
"""

from __future__ import annotations

from mydocker.errors import MydockerError
from mydocker.nearest import nearest
from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.compose.nodes import entries_of, members_of
from mydocker.specs.nodes.node import Mapping, Node, Scalar, is_null
from mydocker.specs.nodes.reader import unknown_key
from mydocker.specs.values.quantity import parse_cpus, parse_memory, parse_processes

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.specs.nodes.reader import Reader

    Entries = dict[str, Node]

_LIMITS = {"cpus": "cpus", "memory": "mem_limit", "pids": "pids_limit"}  # of deploy.resources.limits
_RESERVATIONS = {"memory": "mem_reservation", "devices": "gpus"}
KEYS = (*_LIMITS.values(), *_RESERVATIONS.values(), "restart")  # of spec files, that it becomes
_PARSERS: dict[str, Callable[[str], Any]] = {
    "cpus": parse_cpus,
    "mem_limit": parse_memory,
    "mem_reservation": parse_memory,
    "pids_limit": parse_processes,
}
_FOR_CLUSTERS = ("labels", "update_config", "rollback_config", "placement", "endpoint_mode")
_RESERVED_IN_CLUSTERS = ("cpus", "pids", "generic_resources")
_RESOURCES = ("limits", "reservations")
_KNOWN = ("resources", "restart_policy", "mode", "replicas", *_FOR_CLUSTERS)


def deployed(node: Node, service: Entries, reader: Reader) -> Entries:
    """The keys of spec files for the `deploy` at NODE. SERVICE holds the other keys of the service."""
    found: Entries = {}
    for key, value in entries_of(node, reader):
        before = len(reader.problems)
        found |= _deployed(key, value, service, reader)
        reader.passes_over(f"deploy.{key.text}", before)
    return {key: value for key, value in found.items() if not is_null(value)}


def _deployed(key: Scalar, value: Node, service: Entries, reader: Reader) -> Entries:
    if key.text == "resources":
        return _resources(value, service, reader)
    if key.text == "restart_policy":
        return {"restart": value}
    if key.text == "mode":
        if not is_null(value) and (mode := reader.text(value)) not in ("replicated", ""):
            reader.warn(value, f"deploy.mode {mode} is for clusters, and has no effect here")
    elif key.text in _FOR_CLUSTERS:
        reader.warn(key, f"deploy.{key.text} is for clusters, and has no effect here")
    elif key.text != "replicas":
        reader.refuse(key, unknown_key(key.text, nearest(key.text, _KNOWN)))
    return {}


def _resources(node: Node, service: Entries, reader: Reader) -> Entries:
    found: Entries = {}
    for key, value in entries_of(node, reader):
        if key.text == "limits":
            found |= _agreed(key.text, members_of(value, _LIMITS, reader), _LIMITS, service, reader)
        elif key.text == "reservations":
            members = members_of(value, (*_RESERVATIONS, *_RESERVED_IN_CLUSTERS), reader)
            for name in _RESERVED_IN_CLUSTERS:
                if name in members:
                    message = f"deploy.resources.reservations.{name} is for clusters, and has no effect here"
                    reader.warn(members.pop(name), message)
            found |= _agreed(key.text, members, _RESERVATIONS, service, reader)
        else:
            reader.refuse(key, unknown_key(key.text, nearest(key.text, _RESOURCES)))
    return found


def _agreed(part: str, members: Entries, names: dict[str, str], service: Entries, reader: Reader) -> Entries:
    """MEMBERS of a PART of resources by the NAMES of their keys in spec files, which SERVICE must not contradict."""
    found: Entries = {}
    for name, node in members.items():
        own_key = names[name]
        if own_key in service and not _agree(own_key, service[own_key], node, reader):
            message = f"{own_key} and deploy.resources.{part}.{name} differ: set one of them, or both to one value"
            reader.refuse(node, message)
        found[own_key] = node
    return found


def _agree(key: str, one: Node, other: Node, reader: Reader) -> bool:
    """Whether two nodes have the same value; invalid values are refused elsewhere."""
    if key not in _PARSERS:
        return False
    quiet = reader.replace(problems=[], file=None)
    try:
        values = [_PARSERS[key](quiet.text(node)) for node in (one, other)]
    except MydockerError:
        return True
    return bool(quiet.problems) or values[0] == values[1]


def replicas_of(node: Node | None) -> Node | None:
    """The number of containers in the `deploy` at NODE, if it has one."""
    entries = node.entries if isinstance(node, Mapping) else ()
    return next((value for key, value in entries if key.text == "replicas" and not is_null(value)), None)
