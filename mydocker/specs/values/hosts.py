"""Names and addresses: entries of /etc/hosts, and name servers."""

from __future__ import annotations

import contextlib
import socket

from mydocker.errors import UsageError
from mydocker.specs.model import HOST_GATEWAY

_DOMAIN_LIMIT = 255
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


def parse_host(text: str) -> tuple[str, str]:
    """`NAME:ADDRESS` or `NAME=ADDRESS` as (name, address); an IPv6 address may stand in brackets (docker run)."""
    equals, colon = text.find("="), text.find(":")
    at = equals if equals >= 0 and (colon < 0 or equals < colon) else colon
    name, address = text[:at], text[at + 1 :]
    if at <= 0 or not address:
        raise UsageError(f"{text!r}: expected NAME:ADDRESS")
    return host(name, address)


def host(name: str, address: str) -> tuple[str, str]:
    """The entry NAME, ADDRESS, both checked: they become a line of a file."""
    if not name or not name.isprintable() or any(letter.isspace() or letter == "#" for letter in name):
        raise UsageError(f"{name!r} is not a host name")
    return name, address if address == HOST_GATEWAY else parse_address(address)


def parse_address(text: str) -> str:
    """An IPv4 or IPv6 address, without brackets."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not packed_forms(bare):
        raise UsageError(f"{text!r} is not an IP address")
    return bare


def parse_ipv4(text: str) -> str:
    """An IPv4 address."""
    return _canonical(text, socket.AF_INET, "IPv4")


def parse_ipv6(text: str) -> str:
    """An IPv6 address in its canonical form, without brackets."""
    return _canonical(text[1:-1] if text.startswith("[") and text.endswith("]") else text, socket.AF_INET6, "IPv6")


def _canonical(text: str, family: socket.AddressFamily, kind: str) -> str:
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text))
    except (OSError, ValueError):
        raise UsageError(f"{text!r} is not an {kind} address") from None


def parse_search_domain(text: str) -> str:
    """A domain as Docker takes it (opts.ValidateDNSSearch of its client), or `.` for none."""
    domain = text.strip(" ")
    labels = domain.removesuffix(".").split(".")
    if domain == "." or (
        len(domain) < _DOMAIN_LIMIT
        and any(letter.isalpha() for letter in domain)
        and all(_LETTERS.issuperset(label) and label.strip("-") == label != "" for label in labels)
    ):
        return domain
    raise UsageError(f"{text!r} is not a valid domain")


def parse_resolver_option(text: str) -> str:
    """An option of resolv.conf(5), which Docker does not check; it becomes part of a line."""
    if not text.isprintable():
        raise UsageError(f"{text!r} is not an option of resolv.conf")
    return text


def packed_forms(address: str) -> list[bytes]:
    """The bytes of an IPv4 or IPv6 ADDRESS, in a list; an empty list if it is not an address."""
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):
            found.append(socket.inet_pton(family, address))
    return found
