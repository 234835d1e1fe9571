"""The key `networks` of a container: names, or a mapping of names to what the container has in each network.

The members are Compose's ("Services top-level elements", networks). `create` says how the network is made where there
is none of its name; its members are those of a network at the top of a Compose file ("Networks top-level elements").
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs import values
from mydocker.specs.model.parts import NetworkAttachment
from mydocker.specs.nodes.node import Mapping, Node, Sequence, is_null, text_at
from mydocker.specs.values import network
from mydocker.specs.values.network_definition import read_definition

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.specs.fields import Field
    from mydocker.specs.nodes.reader import Reader
    from mydocker.specs.values import Scope

NOT_SUPPORTED = ("driver_opts", "link_local_ips")  # other members of Compose, of a container's entry


def read_networks(node: Node, field: Field, reader: Reader) -> tuple[Any, ...]:
    """The value of the key: a word or an attachment each."""
    if isinstance(node, Sequence):
        return tuple(reader.value(item, values.network_word) for item in node.items)
    if not isinstance(node, Mapping):
        reader.refuse(node, "expected a list of networks, or a mapping of their names")
        return ()
    found = []
    for key, value in node.entries:
        if name := reader.value(text_at(key, key.text), values.network_word):
            found.append(_attachment(name, value, reader))
    return tuple(found)


def _attachment(name: str, node: Node, reader: Reader) -> NetworkAttachment:
    if is_null(node):
        return NetworkAttachment(name=name)
    if not isinstance(node, Mapping):
        reader.refuse(node, "expected a mapping, such as aliases: [NAME]")
        return NetworkAttachment(name=name)
    members = reader.members(node, (*network.KEYS, "create"), unsupported=NOT_SUPPORTED)
    found: dict[str, Any] = {}
    for key, value in members.items():
        if key == "create":
            found["definition"] = read_definition(value, reader)
        elif key == "aliases":
            found["aliases"] = _aliases(value, reader)
        else:
            found[network.KEYS[key]] = reader.value(value, _PARSERS[key])
    return NetworkAttachment(name=name, **found)


def _aliases(node: Node, reader: Reader) -> tuple[str, ...]:
    if not isinstance(node, Sequence):
        reader.refuse(node, "expected a list of names")
        return ()
    return tuple(dict.fromkeys(reader.value(item, network.alias) for item in node.items))


def _unless_empty(parse: Callable[[str, Scope], str]) -> Callable[[str, Scope], str]:
    """PARSE for a value that may come from a variable that is not set: then it is as if it were not there."""
    return lambda text, scope: parse(text, scope) if text else ""


_PARSERS = {
    "ipv4_address": _unless_empty(network.address),
    "ipv6_address": _unless_empty(network.address6),
    "mac_address": _unless_empty(network.mac_address),
    "interface_name": _unless_empty(network.interface),
    "priority": network.priority,
    "gw_priority": network.priority,
}
