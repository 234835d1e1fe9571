"""Names and addresses: entries of /etc/hosts, and name servers."""

from __future__ import annotations

import contextlib
import socket

from mydocker.errors import UsageError

_DOMAIN_LIMIT = 255
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


def parse_host(word: str) -> tuple[str, str]:
    """`NAME:ADDRESS` or `NAME=ADDRESS` as (name, address); an IPv6 address may stand in brackets (docker run)."""
    equals, colon = word.find("="), word.find(":")
    at = equals if equals >= 0 and (colon < 0 or equals < colon) else colon
    name, address = word[:at], word[at + 1 :]
    if at <= 0 or not address:
        raise UsageError(f"{word!r}: expected NAME:ADDRESS")
    return host(name, address)


def host(name: str, address: str) -> tuple[str, str]:
    """The entry NAME, ADDRESS, both checked: they become a line of a file."""
    if not name or not name.isprintable() or any(letter.isspace() or letter == "#" for letter in name):
        raise UsageError(f"{name!r} is not a host name")
    if address == "host-gateway":
        raise UsageError("host-gateway needs a bridge network, which is not supported yet", hint="write the address")
    return name, parse_address(address)


def parse_address(word: str) -> str:
    """An IPv4 or IPv6 address, without brackets."""
    bare = word[1:-1] if word.startswith("[") and word.endswith("]") else word
    if not packed_forms(bare):
        raise UsageError(f"{word!r} is not an IP address")
    return bare


def parse_search_domain(word: str) -> str:
    """A domain as Docker takes it (opts.ValidateDNSSearch of its client), or `.` for none."""
    domain = word.strip(" ")
    labels = domain.removesuffix(".").split(".")
    if domain == "." or (
        len(domain) < _DOMAIN_LIMIT
        and any(letter.isalpha() for letter in domain)
        and all(_LETTERS.issuperset(label) and label.strip("-") == label != "" for label in labels)
    ):
        return domain
    raise UsageError(f"{word!r} is not a valid domain")


def parse_resolver_option(word: str) -> str:
    """An option of resolv.conf(5), which Docker does not check; it becomes part of a line."""
    if not word.isprintable():
        raise UsageError(f"{word!r} is not an option of resolv.conf")
    return word


def packed_forms(address: str) -> list[bytes]:
    """The bytes that an IPv4 or IPv6 ADDRESS stands for, in a list; an empty one if it is none."""
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):
            found.append(socket.inet_pton(family, address))
    return found
