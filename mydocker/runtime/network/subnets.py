"""Which addresses a network gets: those that the user sets, or some that nothing on this host uses."""

from __future__ import annotations

import os

from mydocker.errors import HostError, UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import Subnet
from mydocker.runtime.network.addresses import format_ipv4, format_ipv6, ipv4_range, parse_ipv4

if TYPE_CHECKING:
    import ipaddress  # a network comes up without it, so it is imported where users' text is read
    from collections.abc import Iterable, Iterator

_LONGEST = 30  # bits of a prefix: with the gateway, one container
_LONGEST6 = 96  # the rest holds the container's IPv4 address, see addresses.ipv6_of
# Prefixes that are shorter do not mean one network, but everything: VPNs replace the default route by 0.0.0.0/1 and
# 128.0.0.0/1, without taking away what was there.
_SHORTEST = 8
_LOOPBACK = 127


def free_subnet(taken: Iterable[str], *, default: bool = False) -> Subnet:
    """The first subnet that overlaps none of TAKEN, networks or addresses as text: a /16 for the `default` network, a
    /24 for others. HostError if there is none."""
    ranges = [ends for _, ends in _ranges(taken)]
    for network in _default_candidates() if default else _candidates():
        first, last = ipv4_range(network)
        if all(last < low or high < first for low, high in ranges):
            return Subnet(network=network, gateway=format_ipv4(first + 1))
    raise HostError(
        "the routes of this host and other networks leave no private subnet free",
        hint="choose one: mydocker network create --subnet",
    )


def free_subnet6() -> Subnet:
    """A random network of unique local addresses (RFC 4193 section 3.2.2)."""
    first = int.from_bytes(b"\xfd" + os.urandom(7) + bytes(8), "big")
    return Subnet(network=f"{format_ipv6(first)}/64", gateway=format_ipv6(first + 1))


def _default_candidates() -> Iterator[str]:
    for number in (88, *range(90, 256), *range(88), 89):
        yield f"10.{number}.0.0/16"
    for number in range(31, 15, -1):
        yield f"172.{number}.0.0/16"
    for number in range(255, -1, -1):
        yield f"192.168.{number}.0/24"


def _candidates() -> Iterator[str]:
    for second in range(89, 256):
        for third in range(256):
            yield f"10.{second}.{third}.0/24"
    for second in range(31, 15, -1):
        for third in range(256):
            yield f"172.{second}.{third}.0/24"
    for third in range(255, -1, -1):
        yield f"192.168.{third}.0/24"


def overlapping(network: str, taken: Iterable[str], *, within: bool) -> str:
    """The first of TAKEN that overlaps NETWORK, of IPv4, or lies `within` it; empty if there is none."""
    first, last = ipv4_range(network)
    for text, (low, high) in _ranges(taken):
        if first <= low <= high <= last or not (within or last < low or high < first):
            return text
    return ""


def _ranges(taken: Iterable[str]) -> list[tuple[str, tuple[int, int]]]:
    """Those of TAKEN that mean a network of IPv4, with the first and the last address of each."""
    ranges = [(text, _range(text)) for text in taken if ":" not in text]
    return [(text, (first, last)) for text, (first, last) in ranges if last - first < 1 << 32 - _SHORTEST]


def _range(text: str) -> tuple[int, int]:
    return ipv4_range(text if "/" in text else f"{text}/32")


def parse_subnet(text: str, gateway: str | None = None, *, ip_range: str | None = None) -> Subnet:
    """The subnet TEXT of a user, IPv4 or IPv6, with GATEWAY or its first address as the bridge's. IP_RANGE is the part
    of an IPv4 one that containers get."""
    network = _parse_network(text, "subnet")
    longest = _LONGEST if network.version == 4 else _LONGEST6
    if network.prefixlen > longest:
        raise UsageError(f"subnet {text!r}: its prefix has more than {longest} bits")
    unusable = network.is_multicast or network.is_loopback or network.is_link_local or network.is_unspecified
    if unusable or network.prefixlen < _SHORTEST:
        raise UsageError(f"subnet {text!r}: containers cannot have addresses of this kind")
    chosen = _parse_gateway(gateway, network) if gateway else network[1]
    part = _parse_network(ip_range, "IP range") if ip_range else None
    if part and (part.version != 4 or not overlaps(str(part), str(network)) or part.prefixlen < network.prefixlen):
        raise UsageError(f"IP range {part}: expected a part of an IPv4 subnet, not of {network}")
    return Subnet(network=str(network), gateway=str(chosen), ip_range=str(part or ""))


def _parse_network(text: str, what: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    import ipaddress

    try:
        network = ipaddress.ip_network(text, strict=False)
        if "/" not in text:
            raise ValueError
    except ValueError:
        raise UsageError(f"{what} {text!r}: expected a network, for instance 10.90.0.0/24 or fd00:1::/64") from None
    if int(network[0]) != int(ipaddress.ip_interface(text).ip):
        raise UsageError(f"{what} {text!r}: did you mean {str(network)!r}?")
    return network


def _parse_gateway(
    text: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    import ipaddress

    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise UsageError(f"gateway {text!r}: expected an address in the subnet {network}") from None
    ends = (network[0], network[-1]) if network.version == 4 else (network[0],)
    if address not in network or address in ends:
        raise UsageError(f"gateway {text}: not an address that a host can have in the subnet {network}")
    return address


def overlaps(one: str, other: str) -> bool:
    """Whether two networks as text, of either version, share addresses."""
    import ipaddress

    first, second = ipaddress.ip_network(one), ipaddress.ip_network(other)
    return first.version == second.version and first.overlaps(second)


def host_networks() -> list[str]:
    """The IPv4 networks that this host has routes to, and the addresses of its resolvers, which it reaches by the
    default route: a network that hid them would leave containers without names."""
    return [*_routes("/proc/net/route"), *_resolvers("/etc/resolv.conf")]


def _routes(path: str) -> list[str]:
    """The destinations in PATH, a table with addresses in hexadecimal, in the byte order of the CPU."""
    found = []
    for line in _lines(path)[1:]:
        words = line.split()
        destination, mask = (int(words[column], 16).to_bytes(4, "little") for column in (1, 7))
        prefix = int.from_bytes(mask, "big").bit_count()
        found.append(f"{format_ipv4(int.from_bytes(destination, 'big'))}/{prefix}")
    return found


def _resolvers(path: str) -> list[str]:
    found = []
    for line in _lines(path):
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                found += [words[1]] if parse_ipv4(words[1]) >> 24 != _LOOPBACK else []
            except ValueError:  # IPv6, or damage
                continue
    return found


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []
