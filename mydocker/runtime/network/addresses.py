"""Addresses as text and as numbers. On the warm path, so without `ipaddress` and `socket`.

The text is canonical: IPv4 without leading zeros, IPv6 as RFC 5952 has it.
"""

from __future__ import annotations

IPV4_BITS = 32


def parse_ipv4(text: str) -> int:
    """The number of IPv4 address TEXT. ValueError if it is none."""
    parts = text.split(".")
    if len(parts) != 4 or not all(_is_byte(part) for part in parts):
        raise ValueError(f"{text!r} is not an IPv4 address")
    return int.from_bytes(bytes(map(int, parts)), "big")


def _is_byte(part: str) -> bool:
    digits = part.isascii() and part.isdigit() and len(part) <= 3 and (part == "0" or part[0] != "0")
    return digits and int(part) < 256


def format_ipv4(number: int) -> str:
    return ".".join(map(str, number.to_bytes(4, "big")))


def ipv4_range(network: str) -> tuple[int, int]:
    """The first and the last address of IPv4 NETWORK, for instance `10.88.0.0/16`, both of which no host can have."""
    address, slash, prefix = network.partition("/")
    first = parse_ipv4(address)
    if not slash or not (prefix.isascii() and prefix.isdigit()) or int(prefix) > IPV4_BITS:
        raise ValueError(f"{network!r} is not an IPv4 network")
    last = first | (1 << IPV4_BITS - int(prefix)) - 1
    return first, last


def mac_of(address: str) -> str:
    """The hardware address of whoever has IPv4 ADDRESS, so that neighbours need not forget it when the address is used
    again; the prefix is the one that Docker took, of locally administered addresses."""
    return "02:42:" + ":".join(f"{byte:02x}" for byte in parse_ipv4(address).to_bytes(4, "big"))


def ipv6_of(address: str, network6: str) -> str:
    """The address in IPv6 NETWORK6, of at most 96 bits, that belongs to IPv4 ADDRESS: that is its last 32 bits."""
    return format_ipv6(parse_ipv6(network6.partition("/")[0]) | parse_ipv4(address))


def parse_ipv6(text: str) -> int:
    """The number of IPv6 address TEXT, which is canonical."""
    head, gap, tail = text.partition("::")
    before, after = _groups(head), _groups(tail)
    zeros = [0] * (8 - len(before) - len(after)) if gap else []
    groups = [*before, *zeros, *after]
    if len(groups) != 8 or max(groups) > 0xFFFF:
        raise ValueError(f"{text!r} is not an IPv6 address")
    return int.from_bytes(b"".join(group.to_bytes(2, "big") for group in groups), "big")


def _groups(text: str) -> list[int]:
    return [int(group, 16) for group in text.split(":")] if text else []


def format_ipv6(number: int) -> str:
    """RFC 5952 section 4: the first of the longest runs of at least two groups of zeros becomes `::`."""
    raw = number.to_bytes(16, "big")
    groups = [f"{raw[i] << 8 | raw[i + 1]:x}" for i in range(0, 16, 2)]
    start, length = 0, 1
    for i in range(8):
        run = 0
        while i + run < 8 and groups[i + run] == "0":
            run += 1
        if run > length:
            start, length = i, run
    if length == 1:
        return ":".join(groups)
    return ":".join(groups[:start]) + "::" + ":".join(groups[start + length :])
