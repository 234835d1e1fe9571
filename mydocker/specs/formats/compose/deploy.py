"""`deploy` and `scale` of a Compose service: limits become keys of a spec file, and the rest is for clusters.

Where both places set a limit, the two must agree, as in Compose (compose-go, loader/validate.go, "can't set
distinct values").
"""

from __future__ import annotations

from mydocker.errors import MydockerError
from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.compose.nodes import entries_of, members_of
from mydocker.specs.model.unsupported import nearest
from mydocker.specs.nodes.node import Mapping, Node, is_null
from mydocker.specs.nodes.reader import unknown_key
from mydocker.specs.values.quantity import parse_cpus, parse_memory, parse_processes

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.specs.nodes.reader import Reader

    Entries = dict[str, Node]

_LIMITS = {"cpus": "cpus", "memory": "mem_limit", "pids": "pids_limit"}  # of deploy.resources.limits
_PARSERS: dict[str, Callable[[str], Any]] = {
    "cpus": parse_cpus,
    "mem_limit": parse_memory,
    "pids_limit": parse_processes,
}
# without effect, as with `docker compose up`
_FOR_CLUSTERS = ("labels", "update_config", "rollback_config", "placement", "endpoint_mode")
_RESERVED = ("cpus", "memory", "pids")
_RESOURCES = ("limits", "reservations")


def deployed(node: Node, service: Entries, reader: Reader) -> Entries:
    """The limits and the restart policy of the `deploy` at NODE, by keys of spec files. SERVICE holds the other keys of
    the service."""
    found: Entries = {}
    for key, value in entries_of(node, reader):
        if key.text == "resources":
            found |= _limits(value, service, reader)
        elif key.text == "restart_policy":
            found["restart"] = value
        elif key.text == "mode" and not is_null(value) and reader.text(value) not in ("replicated", ""):
            reader.refuse(value, "deploy.mode: only replicated is supported")
        elif key.text not in ("mode", "replicas", *_FOR_CLUSTERS):
            known = ("resources", "restart_policy", "mode", "replicas", *_FOR_CLUSTERS)
            reader.refuse(key, unknown_key(key.text, nearest(key.text, known)))
    return found


def _limits(node: Node, service: Entries, reader: Reader) -> Entries:
    found: Entries = {}
    for key, value in entries_of(node, reader):
        if key.text == "limits":
            for name, limit in members_of(value, _LIMITS, reader).items():
                own_key = _LIMITS[name]
                if own_key in service and not _agree(own_key, service[own_key], limit, reader):
                    message = (
                        f"{own_key} and deploy.resources.limits.{name} differ: set one of them, or both to one value"
                    )
                    reader.refuse(limit, message)
                found[own_key] = limit
        elif key.text == "reservations":
            for name in members_of(value, _RESERVED, reader, unsupported=("devices", "generic_resources")):
                if reader.file is not None:
                    message = f"deploy.resources.reservations.{name} has no effect: nothing is reserved"
                    reader.file.warnings.append(key.problem(message))
        else:
            reader.refuse(key, unknown_key(key.text, nearest(key.text, _RESOURCES)))
    return found


def _agree(key: str, one: Node, other: Node, reader: Reader) -> bool:
    """Whether two nodes have the same value; invalid values are refused elsewhere."""
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
