"""Networks: the words of `--network`, of the options that concern one network, and of the key `networks`.

The notations are those of Docker's client (opts.NetworkOpt): NAME, or name=NAME,alias=ALIAS,ip=ADDRESS and so on.
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.nearest import did_you_mean
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs import values
from mydocker.specs.model.parts import LOOPBACK, NetworkAttachment, NetworkDefinition
from mydocker.specs.values.hosts import host, parse_ipv4, parse_ipv6

if TYPE_CHECKING:
    from typing import Any

    from mydocker.specs.values import Scope

KEYS = {  # of an entry of `networks`, by Compose's names
    "aliases": "aliases",
    "ipv4_address": "address",
    "ipv6_address": "address6",
    "mac_address": "mac",
    "interface_name": "interface",
    "priority": "priority",
    "gw_priority": "gateway_priority",
}
SWITCHES = {"external": "external", "internal": "internal", "enable_ipv6": "ipv6"}  # of how it is made
INTERFACE_LIMIT = 15  # bytes, IFNAMSIZ of the kernel without its NUL
PRIORITY_LIMIT = 2**31 - 1
_MAC_BYTES = 6
_IFNAME = "com.docker.network.endpoint.ifname"  # the only one of Docker's options that is supported


def parse_network(text: str, scope: Scope) -> NetworkAttachment:
    """The long form: KEY=VALUE joined by commas, `name` among them."""
    found: dict[str, Any] = {}
    for field in text.split(","):
        key, equals, value = (part.strip() for part in field.partition("="))
        if not equals or not key:
            raise UsageError(f"{field!r}: expected KEY=VALUE")
        if key.lower() not in _FIELDS:
            if key.lower() == "link-local-ip":
                raise UsageError("link-local-ip is not supported yet")
            raise UsageError(f"unknown key {key!r}" + did_you_mean(key.lower(), _FIELDS))
        name, parse = _FIELDS[key.lower()]
        parsed = parse(value, scope)
        found[name] = (*found.get(name, ()), parsed) if name == "aliases" else parsed
    if "name" not in found:
        raise UsageError("a network needs its name: name=NAME")
    return NetworkAttachment(**found)


def _name(text: str, scope: Scope) -> str:
    if not text:
        raise UsageError("a network needs its name: name=NAME")
    return values.network_word(text, scope)


def alias(text: str, scope: Scope) -> str:
    return host(text, LOOPBACK)[0]


def address(text: str, scope: Scope) -> str:
    return parse_ipv4(text)


def address6(text: str, scope: Scope) -> str:
    return parse_ipv6(text)


def mac_address(text: str, scope: Scope) -> str:
    """Six bytes in the notations of Go's net.ParseMAC, which Docker uses; an address of many is refused."""
    digits = text.replace(":", "").replace("-", "").replace(".", "").lower()
    width = 4 if "." in text else 2
    separator = "." if "." in text else "-" if "-" in text else ":"
    parts = text.split(separator)
    is_hex = len(digits) == 2 * _MAC_BYTES and set(digits) <= set("0123456789abcdef")
    if not is_hex or any(len(part) != width for part in parts):
        raise UsageError(f"{text!r} is not a MAC address", hint="expected six bytes, such as 02:42:ac:11:00:02")
    if int(digits[:2], 16) & 1:
        raise UsageError(f"{text!r} is a multicast address")
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def interface(text: str, scope: Scope) -> str:
    """The kernel's rules (dev_valid_name), without what `%` would mean to it."""
    bad = any(letter.isspace() or not letter.isprintable() or letter in "/:%" for letter in text)
    if not 0 < len(text.encode(errors="surrogateescape")) <= INTERFACE_LIMIT or bad or text in (".", "..", "lo"):
        raise UsageError(f"{text!r} is not the name of an interface")
    return text


def priority(text: str, scope: Scope) -> int:
    number = whole_number(text.removeprefix("-"), PRIORITY_LIMIT)
    if number is None:
        raise UsageError(f"{text!r}: expected a number")
    return -number if text.startswith("-") else number


def _driver_option(text: str, scope: Scope) -> str:
    key, _, value = text.partition("=")
    if key != _IFNAME:
        raise UsageError(f"driver-opt {key} is not supported")
    return interface(value, scope)


def format_attachment(attachment: NetworkAttachment) -> dict[str, Any]:
    """The entry of `networks` in a file: Compose's keys, and `create` for how the network is made."""
    found: dict[str, Any] = {}
    for key, name in KEYS.items():
        value = getattr(attachment, name)
        if value != getattr(NetworkAttachment, name):
            found[key] = [*value] if isinstance(value, tuple) else value
    if attachment.definition:
        found["create"] = format_definition(attachment.definition)
    return found


def format_definition(definition: NetworkDefinition) -> dict[str, Any]:
    """The entry of `networks` at the top of a Compose file."""
    found: dict[str, Any] = {}
    for key, name in SWITCHES.items():
        if getattr(definition, name):
            found[key] = True
    four = {"subnet": definition.subnet, "gateway": definition.gateway, "ip_range": definition.ip_range}
    six = {"subnet": definition.subnet6, "gateway": definition.gateway6}
    pools = [{key: value for key, value in pool.items() if value} for pool in (four, six)]
    if any(pools):
        found["ipam"] = {"config": [pool for pool in pools if pool]}
    for key, pairs in (("labels", definition.labels), ("driver_opts", definition.options)):
        if pairs:
            found[key] = dict(pairs)
    return found


def format_flag(attachment: NetworkAttachment) -> str:
    """The value of `docker run --network`: the long form if it has any option."""
    words = [f"name={attachment.name}", *(f"alias={alias}" for alias in attachment.aliases)]
    texts = {"ip": attachment.address, "ip6": attachment.address6, "mac-address": attachment.mac}
    words += [f"{key}={text}" for key, text in texts.items() if text]
    words += [f"gw-priority={attachment.gateway_priority}"] if attachment.gateway_priority else []
    words += [f"driver-opt={_IFNAME}={attachment.interface}"] if attachment.interface else []
    return ",".join(words) if len(words) > 1 else attachment.name


_FIELDS = {
    "name": ("name", _name),
    "alias": ("aliases", alias),
    "ip": ("address", address),
    "ip6": ("address6", address6),
    "mac-address": ("mac", mac_address),
    "gw-priority": ("gateway_priority", priority),
    "driver-opt": ("interface", _driver_option),
}
