"""Ethernet frames as a hostile program builds them, and what arrives at an interface."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

EVERYONE = "ff:ff:ff:ff:ff:ff"
_ARP, _IPV4, _IPV6 = 0x0806, 0x0800, 0x86DD
_ICMPV6, _UDP = 58, 17
REQUEST, REPLY = 1, 2  # of ARP
ROUTER_ADVERTISEMENT, NEIGHBOUR_ADVERTISEMENT = 134, 136


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(source: str, target: str, kind: int, payload: bytes) -> bytes:
    return mac_bytes(target) + mac_bytes(source) + kind.to_bytes(2, "big") + payload


def arp(
    operation: int, *, source: str, sender: tuple[str, str], asked: tuple[str, str], target: str = EVERYONE
) -> bytes:
    """A frame from hardware address SOURCE; SENDER and ASKED are a hardware and an IPv4 address each."""
    payload = struct.pack("!HHBBH", 1, _IPV4, 6, 4, operation)
    for mac, address in (sender, asked):
        payload += mac_bytes(mac) + socket.inet_aton(address)
    return ethernet(source, target, _ARP, payload)


def udp(*, macs: tuple[str, str], addresses: tuple[str, str], ports: tuple[int, int], data: bytes = b"x") -> bytes:
    """A datagram over IPv4; each pair is source and target. Its sum is left out, as UDP allows."""
    length = 8 + len(data)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 7, 0, 64, _UDP, 0)
    header += socket.inet_aton(addresses[0]) + socket.inet_aton(addresses[1])
    header = header[:10] + checksum(header) + header[12:]
    return ethernet(*macs, _IPV4, header + struct.pack("!HHHH", *ports, length, 0) + data)


def icmp6(kind: int, *, macs: tuple[str, str], addresses: tuple[str, str], body: bytes) -> bytes:
    """A message of ICMPv6 of KIND with code 0; each pair is source and target."""
    source, target = (socket.inet_pton(socket.AF_INET6, address) for address in addresses)
    message = bytes((kind, 0, 0, 0)) + body
    total = checksum(source + target + struct.pack("!II", len(message), _ICMPV6) + message)
    message = message[:2] + total + message[4:]
    header = struct.pack("!IHBB", 6 << 28, len(message), _ICMPV6, 255) + source + target
    return ethernet(*macs, _IPV6, header + message)


def checksum(data: bytes) -> bytes:
    """That of the internet (RFC 1071)."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")


def raw_socket(interface: str = "eth0") -> socket.socket:
    """One that sends whole frames, and sees all that arrive, at INTERFACE of this thread's network."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
    sock.bind((interface, 0))
    return sock


def seen(sock: socket.socket, wanted: Callable[[bytes], bool], *, seconds: float) -> list[bytes]:
    """The frames that WANTED accepts, of those that arrive at SOCK within SECONDS; the first one ends it."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            frame = sock.recv(65536)
        except TimeoutError:
            break
        if wanted(frame):
            return [frame]
    return []
