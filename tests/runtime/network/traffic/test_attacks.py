"""A container that has its network to itself, NET_ADMIN and NET_RAW included, against its neighbours and the host.

What it sends is sent by a thread of this process in the container's network namespace, so that nothing but the network
can refuse it.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import pytest
from lab.command import Command
from lab.frames import (
    EVERYONE,
    NEIGHBOUR_ADVERTISEMENT,
    REPLY,
    REQUEST,
    ROUTER_ADVERTISEMENT,
    arp,
    icmp6,
    raw_socket,
    seen,
    udp,
)
from lab.networks import Container, Host, made_site, with_image

from mydocker.runtime.network import lifecycle
from mydocker.runtime.network.lifecycle import Addresses

pytestmark = pytest.mark.root

NETWORK = "plain"


def mac_of(container: Container) -> str:
    return re.findall(r"link/ether (\S+)", container.run("ip", "link", "show", "eth0"))[0]


@dataclass(frozen=True)
class Three:
    """Containers of one network; `gateway` is the host's address in it, and `bridge` its interface."""

    host: Host
    attacker: Container
    victim: Container
    third: Container
    gateway: str
    gateway6: str
    bridge: str

    @property
    def mac(self) -> str:
        """The host's hardware address in it."""
        return re.findall(r"link/ether (\S+)", self.host.run("ip", "link", "show", self.bridge))[0]

    def send(self, *frames: bytes) -> None:
        with self.attacker.inside(), raw_socket() as sock:
            for frame in frames:
                sock.send(frame)

    def assert_reaches(self, source: Container, target: Container) -> None:
        """A datagram from SOURCE arrives at TARGET, which says nothing before."""
        with target.inside():
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with source.inside():
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with server, client:
            server.bind(("0.0.0.0", 0))
            found: object = None
            for seconds in (5, 5, 100):  # a machine whose queues are full drops what comes
                client.sendto(b"hello", (target.address, server.getsockname()[1]))
                server.settimeout(seconds)
                with suppress(TimeoutError):
                    found = server.recvfrom(100)
                    break
            assert found == (b"hello", (source.address, client.getsockname()[1]))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, alpine: Command) -> Iterator[Three]:
    ready = with_image(tmp_path_factory.mktemp("attacks"), alpine)
    network = lifecycle.create(f"{ready.store}/networks", NETWORK, addresses=Addresses(ipv6=True))
    assert network.subnet6
    with made_site(ready) as site, ExitStack() as stack:
        containers = [stack.enter_context(site.host.container("--network", NETWORK)) for _ in range(3)]
        gateways = network.subnet.gateway, network.subnet6.gateway
        yield Three(site.host, *containers, *gateways, network.interface)


def test_its_neighbours_address(three: Three) -> None:
    """By a reply to nobody, by a request that says who asks, and to one neighbour alone; then as its own."""
    mine, theirs = mac_of(three.attacker), three.victim.address
    asked = (EVERYONE, three.third.address)
    three.assert_reaches(three.third, three.victim)
    for operation in (REPLY, REQUEST):
        three.send(arp(operation, source=mine, sender=(mine, theirs), asked=asked))
        three.send(arp(operation, source=mine, sender=(mine, theirs), asked=asked, target=mac_of(three.third)))
    assert mac_of(three.victim) in three.third.run("ip", "neighbour", "show", theirs)
    three.assert_reaches(three.third, three.victim)
    three.attacker.run("ip", "address", "add", f"{theirs}/32", "dev", "eth0")
    three.assert_reaches(three.third, three.victim)
    three.attacker.run("ip", "address", "del", f"{theirs}/32", "dev", "eth0")


def test_the_hosts_address(three: Three) -> None:
    """Neither what a neighbour knows already nor what it asks for leads to the attacker."""
    mine, asked = mac_of(three.attacker), (EVERYONE, three.victim.address)
    three.victim.run("ip", "neighbour", "replace", three.gateway, "dev", "eth0", "nud", "stale", "lladdr", three.mac)
    three.send(arp(REPLY, source=mine, sender=(mine, three.gateway), asked=asked))
    three.assert_reaches(three.attacker, three.victim)
    assert three.mac in three.victim.run("ip", "neighbour", "show", three.gateway)
    three.victim.run("ip", "neighbour", "flush", "to", three.gateway)
    three.attacker.run("ip", "address", "add", f"{three.gateway}/32", "dev", "eth0")
    assert three.victim.succeeds("busybox", "ping", "-c", "1", "-w", "100", "-W", "100", three.gateway)
    three.attacker.run("ip", "address", "del", f"{three.gateway}/32", "dev", "eth0")
    assert three.mac in three.victim.run("ip", "neighbour", "show", three.gateway)


@pytest.mark.parametrize("kind", ["arp", "ipv4", "ipv6", "neighbour solicitation"])
def test_its_neighbours_hardware_address(three: Three, kind: str) -> None:
    """Frames from the neighbour's hardware address would make the bridge send that one's frames to the attacker."""
    own, theirs = mac_of(three.attacker), mac_of(three.victim)
    mine, mine6 = three.attacker.address, three.attacker.addresses("eth0", "inet6")[0]
    everyone6 = ("33:33:00:00:00:01", "ff02::1")
    frames = {
        "arp": arp(REQUEST, source=theirs, sender=(own, mine), asked=(EVERYONE, three.third.address)),
        "ipv4": udp(macs=(theirs, EVERYONE), addresses=(mine, three.third.address), ports=(1, 1)),
        "ipv6": icmp6(128, macs=(theirs, everyone6[0]), addresses=(mine6, everyone6[1]), body=bytes(4)),
        "neighbour solicitation": icmp6(
            135,
            macs=(theirs, everyone6[0]),
            addresses=("fe80::7", everyone6[1]),
            body=bytes(4) + socket.inet_pton(socket.AF_INET6, mine6),
        ),
    }
    three.assert_reaches(three.victim, three.third)
    three.assert_reaches(three.third, three.victim)
    three.send(frames[kind])
    three.assert_reaches(three.third, three.victim)


def test_its_neighbours_ipv4_address_in_a_datagram(three: Three) -> None:
    own, theirs = mac_of(three.attacker), three.victim.address
    with three.third.inside():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server:
        server.bind(("0.0.0.0", 0))
        port = server.getsockname()[1]
        macs, target = (own, mac_of(three.third)), three.third.address
        three.send(udp(macs=macs, addresses=(theirs, target), ports=(9, port), data=b"false"))
        three.send(udp(macs=macs, addresses=(three.attacker.address, target), ports=(9, port), data=b"true"))
        server.settimeout(100)
        assert server.recvfrom(100) == (b"true", (three.attacker.address, 9))


def test_router_advertisements(three: Three) -> None:
    """CVE-2020-13401: neither a neighbour nor the host gets a route from a container."""
    own = mac_of(three.attacker)
    [link_local] = re.findall(r"inet6 (fe80\S+)/64", three.attacker.run("ip", "-6", "address", "show", "dev", "eth0"))
    prefix = bytes((3, 4, 64, 0xC0)) + b"\xff" * 8 + bytes(4) + socket.inet_pton(socket.AF_INET6, "2001:db8:bad::")
    body = bytes((64, 0, 7, 8)) + bytes(8) + prefix
    everyone = (own, "33:33:00:00:00:01"), "ff02::1"
    with three.third.inside(), raw_socket() as watching:
        for source in (link_local, three.attacker.addresses("eth0", "inet6")[0]):
            three.send(icmp6(ROUTER_ADVERTISEMENT, macs=everyone[0], addresses=(source, everyone[1]), body=body))
        three.send(arp(REQUEST, source=own, sender=(own, three.attacker.address), asked=(EVERYONE, "10.1.2.3")))
        first = seen(watching, lambda frame: frame[12:14] == b"\x08\x06" or frame[54:55] == b"\x86", seconds=100)
    assert [frame[12:14] for frame in first] == [b"\x08\x06"]
    for place in (three.host, three.victim, three.third):
        assert "2001:db8:bad" not in place.run("ip", "-6", "address") + place.run("ip", "-6", "route")


def test_neighbour_advertisements(three: Three) -> None:
    """Those for an address of somebody else do not arrive."""
    own, source = mac_of(three.attacker), three.attacker.addresses("eth0", "inet6")[0]
    theirs, third = three.victim.addresses("eth0", "inet6")[0], three.third.addresses("eth0", "inet6")[0]
    real = mac_of(three.victim)
    three.third.run("ip", "neighbour", "replace", theirs, "dev", "eth0", "nud", "stale", "lladdr", real)
    body = bytes((0x60, 0, 0, 0)) + socket.inet_pton(socket.AF_INET6, theirs)
    body += bytes((2, 1)) + bytes.fromhex(own.replace(":", ""))
    macs = (own, mac_of(three.third))
    three.send(icmp6(NEIGHBOUR_ADVERTISEMENT, macs=macs, addresses=(source, third), body=body))
    three.assert_reaches(three.attacker, three.third)
    assert own not in three.third.run("ip", "neighbour", "show", theirs)


def test_a_flood_of_arp(three: Three) -> None:
    """Of all addresses that it does not have, none comes to the neighbours or into the host's table."""
    own = mac_of(three.attacker)
    prefix = three.gateway.rpartition(".")[0]
    senders = [f"{prefix}.{number}" for number in range(20, 250)]
    for _ in range(20):
        three.send(*(arp(REQUEST, source=own, sender=(own, each), asked=(EVERYONE, three.gateway)) for each in senders))
    three.assert_reaches(three.third, three.victim)
    for place in (three.host, three.third):
        assert not [each for each in senders if f"{each} " in place.run("ip", "neighbour", "show")]


def test_loopback_of_the_host(three: Three) -> None:
    """CVE-2020-8558: what comes to the host's hardware address for 127.0.0.1 is dropped, whoever it is from."""
    own, hosts = mac_of(three.attacker), three.mac
    assert three.host.run("cat", f"/proc/sys/net/ipv4/conf/{three.bridge}/route_localnet") == "1\n"
    with three.host.inside():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server:
        server.bind(("0.0.0.0", 0))
        port = server.getsockname()[1]
        for source in (three.attacker.address, "127.0.0.1", three.gateway):
            three.send(udp(macs=(own, hosts), addresses=(source, "127.0.0.1"), ports=(9, port), data=b"bad"))
        three.send(
            udp(macs=(own, hosts), addresses=(three.attacker.address, three.gateway), ports=(9, port), data=b"end")
        )
        server.settimeout(100)
        assert server.recvfrom(100) == (b"end", (three.attacker.address, 9))
