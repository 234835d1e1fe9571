"""Ports: the keys `ports` and `expose`, which ports of the container are to be reached from the host, and under which
numbers.

The notations are Docker's (docker run --publish) and Compose's ("Services top-level elements", ports), short and long.
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model.parts import Port
from mydocker.specs.nodes.node import Mapping, Node, Sequence

if TYPE_CHECKING:
    from mydocker.specs.nodes.reader import Reader

HIGHEST = 65535
PROTOCOLS = ("tcp", "udp")
MODES = ("host", "ingress")  # of Compose; both publish on this host
KEYS = ("target", "published", "host_ip", "protocol", "name", "app_protocol", "mode")


def read_ports(node: Node, reader: Reader) -> tuple[Port, ...]:
    """The value of the key."""
    return tuple(port for _, port in ports_at(node, reader))


def ports_at(node: Node, reader: Reader) -> list[tuple[Node, Port]]:
    """The ports of the key, each with its node."""
    if not isinstance(node, Sequence):
        reader.refuse(node, "expected a list of ports")
        return []
    found: list[tuple[Node, Port]] = []
    for item in node.items:
        if isinstance(item, Mapping):
            ports = _long(item, reader)
        else:
            ports = reader.value(item, lambda text, scope: parse_port(text)) or ()
        found += ((item, port) for port in ports)
    return found


def parse_port(text: str) -> tuple[Port, ...]:
    """`[[HOST_IP:]PUBLISHED:]TARGET[/PROTOCOL]`; ranges such as 8000-8010 on both sides."""
    rest, _, protocol = text.partition("/")
    rest, _, target = rest.rpartition(":")
    host_ip, _, published = rest.rpartition(":")
    return _ports(target, published, host_ip, protocol.lower() or "tcp")


def _long(node: Mapping, reader: Reader) -> tuple[Port, ...]:
    members = reader.members(node, KEYS)
    if "target" not in members:
        reader.refuse(node, "a port needs its target")
        return ()
    texts = {key: reader.text(value) for key, value in members.items()}
    if texts.get("mode", MODES[0]) not in MODES:
        reader.refuse(members["mode"], f"mode {texts['mode']!r}: expected {' or '.join(MODES)}")
    words = texts["target"], texts.get("published", ""), texts.get("host_ip", ""), texts.get("protocol", "tcp").lower()
    return reader.attempt(node, lambda: _ports(*words)) or ()


def _ports(target: str, published: str, host_ip: str, protocol: str) -> tuple[Port, ...]:
    _check_protocol(protocol)
    host_ip = _host_ip(host_ip)
    inside = _range(target)
    outside = _range(published) if published not in ("", "0") else [None] * len(inside)
    if len(inside) == 1 and len(outside) > 1:  # one of these that is free
        port = Port(target=inside[0], published=outside[0], last_published=outside[-1])
        return (port.replace(host_ip=host_ip, protocol=protocol),)
    if len(inside) != len(outside):
        raise UsageError(f"ports {published} and {target} are not as many")
    return tuple(
        Port(target=each, published=other, host_ip=host_ip, protocol=protocol)
        for each, other in zip(inside, outside, strict=True)
    )


def _host_ip(text: str) -> str:
    """An address in its canonical form; IPv6 with brackets or without."""
    if not text:
        return ""
    from mydocker.specs.values.hosts import parse_ipv4, parse_ipv6

    bare = text.removeprefix("[").removesuffix("]") if text.startswith("[") else text
    if ":" in bare:
        return parse_ipv6(bare)
    try:
        return parse_ipv4(bare)
    except UsageError:
        raise UsageError(f"{text!r} is not an IP address") from None


def _check_protocol(protocol: str) -> None:
    if protocol == "sctp":
        raise UsageError("sctp ports are not supported yet", hint=f"expected {' or '.join(PROTOCOLS)}")
    if protocol not in PROTOCOLS:
        raise UsageError(f"protocol {protocol!r}: expected {', '.join(PROTOCOLS)}")


def _range(text: str) -> list[int]:
    first, dash, last = text.partition("-")
    numbers = [parse_number(first), parse_number(last) if dash else parse_number(first)]
    if numbers[0] > numbers[1]:
        raise UsageError(f"ports {text}: the first is above the last")
    return list(range(numbers[0], numbers[1] + 1))


def elsewhere(port: Port) -> str:
    """The address and number that a port is published as, if not its own number on all addresses, as on the host's
    network."""
    if port.host_ip not in ("", "0.0.0.0", "::"):
        return port.host_ip
    last = port.last_published or port.published
    if port.published is None or last is None or port.published <= port.target <= last:
        return ""
    return str(port.published)


def read_exposed(node: Node, reader: Reader) -> tuple[str, ...]:
    """The value of the key `expose`."""
    if not isinstance(node, Sequence):
        reader.refuse(node, "expected a list of ports")
        return ()
    found = [reader.value(item, lambda text, scope: parse_exposed(text)) or () for item in node.items]
    return tuple(port for ports in found for port in ports)


def parse_exposed(text: str) -> tuple[str, ...]:
    """`PORT[-LAST][/PROTOCOL]`: what `expose` takes; each port as an image names it, such as 80/tcp."""
    numbers, _, protocol = text.partition("/")
    protocol = protocol.lower() or "tcp"
    _check_protocol(protocol)
    return tuple(f"{number}/{protocol}" for number in _range(numbers))


def parse_number(text: str) -> int:
    """The number of a port."""
    number = whole_number(text, HIGHEST)
    if not number:
        raise UsageError(f"{text!r}: expected a port, a number from 1 to {HIGHEST}")
    return number


def format_port(port: Port) -> str:
    """The short form of a port, as `docker run --publish` takes it."""
    address = [f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip] if port.host_ip else []
    range_end = "" if port.last_published is None else f"-{port.last_published}"
    number = "" if port.published is None else f"{port.published}{range_end}"
    published = [number] if address or number else []
    protocol = "" if port.protocol == "tcp" else f"/{port.protocol}"
    return ":".join([*address, *published, str(port.target)]) + protocol
