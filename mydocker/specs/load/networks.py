"""The key `networks` of a container: names, or a mapping of names to what the container has in each network.

The members are Compose's ("Services top-level elements", networks). `create` says how the network is made where there
is none of its name; its members are those of a network at the top of a Compose file ("Networks top-level elements").
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs import values
from mydocker.specs.model.parts import NetworkAttachment, NetworkDefinition
from mydocker.specs.nodes.node import Mapping, Node, Sequence, is_null, text_at
from mydocker.specs.nodes.reader import switch
from mydocker.specs.values import network
from mydocker.specs.values.hosts import parse_ipv4, parse_ipv6

if TYPE_CHECKING:
    from typing import Any

    from mydocker.specs.fields import Field
    from mydocker.specs.nodes.reader import Reader

DRIVERS = ("bridge", "default")
NOT_SUPPORTED = ("driver_opts", "link_local_ips")  # other members of Compose, of a container's entry
POOL = ("subnet", "gateway", "ip_range")
_KEYS = (*network.SWITCHES, "driver", "driver_opts", "ipam", "labels", "attachable", "enable_ipv4")


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


def read_definition(node: Node, reader: Reader) -> NetworkDefinition:
    """How a network is made."""
    if not isinstance(node, Mapping):
        reader.refuse(node, "expected a mapping, such as internal: true")
        return NetworkDefinition()
    members = reader.members(node, _KEYS)
    found: dict[str, Any] = {
        name: reader.value(members[key], switch) or False for key, name in network.SWITCHES.items() if key in members
    }
    if "driver" in members:
        reader.value(members["driver"], _driver)
    if "attachable" in members:  # to containers that no file describes, as every network is
        reader.value(members["attachable"], switch)
    if "enable_ipv4" in members and reader.value(members["enable_ipv4"], switch) is False:
        reader.refuse(members["enable_ipv4"], "a network without IPv4 is not supported")
    if "ipam" in members:
        found |= _ipam(members["ipam"], reader)
    for key, name in (("labels", "labels"), ("driver_opts", "options")):
        if key in members:
            found[name] = _pairs(members[key], reader)
    return NetworkDefinition(**found)


def _driver(text: str, scope: values.Scope) -> str:
    if text not in DRIVERS:
        raise UsageError(f"network driver {text!r} is not supported: expected bridge")
    return text


def _pairs(node: Node, reader: Reader) -> dict[str, str]:
    """A mapping, or a list of NAME=VALUE."""
    if isinstance(node, Mapping):
        return {key.text: "" if is_null(value) else reader.text(value) for key, value in node.entries}
    if not isinstance(node, Sequence):
        reader.refuse(node, "expected a mapping, or a list of NAME=VALUE")
        return {}
    texts = [reader.text(item).partition("=") for item in node.items]
    return {name: value for name, _, value in texts}


def _ipam(node: Node, reader: Reader) -> dict[str, str]:
    """One subnet of IPv4, and one of IPv6."""
    if not isinstance(node, Mapping):
        reader.refuse(node, "expected a mapping with config")
        return {}
    members = reader.members(node, ("driver", "config", "options"))
    if "driver" in members and reader.text(members["driver"]) != "default":
        reader.refuse(members["driver"], f"ipam driver {reader.text(members['driver'])!r} is not supported")
    if "options" in members:
        reader.refuse(members["options"], "options of ipam are not supported")
    config = members.get("config")
    if config is None:
        return {}
    if not isinstance(config, Sequence):
        reader.refuse(config, "expected a list of subnets")
        return {}
    found: dict[str, str] = {}
    for item in config.items:
        for name, text in _pool(item, reader).items():
            if name in found:
                reader.refuse(item, "more than one subnet of a kind is not supported")
                break
            found[name] = text
    return found


def _pool(node: Node, reader: Reader) -> dict[str, str]:
    if not isinstance(node, Mapping):
        reader.refuse(node, "expected a mapping with subnet")
        return {}
    members = reader.members(node, POOL, unsupported=("aux_addresses",))
    texts = {key: reader.text(value) for key, value in members.items()}
    if not texts.get("subnet"):
        reader.refuse(node, "a pool of addresses needs its subnet")
        return {}
    suffix = "6" if ":" in texts["subnet"] else ""
    if suffix and "ip_range" in texts:
        reader.refuse(members["ip_range"], "ip_range of an IPv6 subnet is not supported")
    pool = reader.attempt(node, lambda: _checked_pool(texts)) or {}
    return {f"{key}{suffix}": text for key, text in pool.items()}


def _checked_pool(texts: dict[str, str]) -> dict[str, str]:
    """The canonical form of a pool, whose gateway and range are in its subnet."""
    subnet = parse_subnet(texts["subnet"])
    found = {"subnet": subnet}
    if texts.get("gateway"):
        found["gateway"] = (parse_ipv6 if ":" in subnet else parse_ipv4)(texts["gateway"])
        if not _contains(subnet, found["gateway"]):
            raise UsageError(f"the gateway {found['gateway']} is not in the subnet {subnet}")
    if texts.get("ip_range"):
        found["ip_range"] = parse_subnet(texts["ip_range"])
        if not _contains(subnet, found["ip_range"]):
            raise UsageError(f"the ip_range {found['ip_range']} is not in the subnet {subnet}")
    return found


def parse_subnet(text: str) -> str:
    """ADDRESS/PREFIX in its canonical form."""
    import ipaddress

    try:
        subnet = ipaddress.ip_network(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a subnet", hint="expected ADDRESS/BITS, such as 10.5.0.0/24") from None
    if "/" not in text:
        raise UsageError(f"{text!r} is not a subnet", hint="expected ADDRESS/BITS, such as 10.5.0.0/24")
    return str(subnet)


def _contains(subnet: str, other: str) -> bool:
    import ipaddress

    whole, part = ipaddress.ip_network(subnet), ipaddress.ip_network(other)
    return whole.version == part.version and part.subnet_of(whole)  # type: ignore[arg-type]


_PARSERS = {
    "ipv4_address": network.address,
    "ipv6_address": network.address6,
    "mac_address": network.mac_address,
    "interface_name": network.interface,
    "priority": network.priority,
    "gw_priority": network.priority,
}
