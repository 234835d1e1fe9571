"""How a network is made: `create` in a spec file, and a network at the top of a Compose file ("Networks top-level
elements").

There are bridges alone: another driver is refused by its name.
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs import values
from mydocker.specs.model.parts import NetworkDefinition
from mydocker.specs.nodes.node import Mapping, Node, Sequence, is_null
from mydocker.specs.nodes.reader import switch
from mydocker.specs.values import network
from mydocker.specs.values.hosts import parse_ipv4, parse_ipv6

if TYPE_CHECKING:
    from typing import Any

    from mydocker.specs.nodes.reader import Reader

DRIVERS = ("bridge", "default")
POOL = ("subnet", "gateway", "ip_range")
RESERVED = "aux_addresses"  # of a pool: addresses that no container gets
KEYS = (*network.SWITCHES, "driver", "driver_opts", "ipam", "labels", "attachable", "enable_ipv4")


def read_definition(node: Node, reader: Reader) -> NetworkDefinition:
    """How a network is made."""
    if not isinstance(node, Mapping):
        reader.refuse(node, "expected a mapping, such as internal: true")
        return NetworkDefinition()
    members = reader.members(node, KEYS)
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
    members = reader.members(node, (*POOL, RESERVED))
    if (reserved := members.pop(RESERVED, None)) is not None:
        reader.warn(reserved, f"{RESERVED} are not kept free: a container without an address of its own may get one")
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
        subnet = ipaddress.ip_network(text, strict=False)
    except ValueError:
        subnet = None
    if subnet is None or "/" not in text:
        raise UsageError(f"{text!r} is not a subnet", hint="expected ADDRESS/BITS, such as 10.5.0.0/24")
    if ipaddress.ip_interface(text).ip != subnet.network_address:  # bits of a host, which Docker refuses, too
        raise UsageError(f"{text!r} is not a subnet", hint=f"it should be {subnet}")
    return str(subnet)


def _contains(subnet: str, other: str) -> bool:
    import ipaddress

    whole, part = ipaddress.ip_network(subnet), ipaddress.ip_network(other)
    return whole.version == part.version and part.subnet_of(whole)  # type: ignore[arg-type]
