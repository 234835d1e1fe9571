"""A server on the loopback that is asked at another port than its own: what nft(8) says, and what clients get."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from lab.machines import Machine, link

from mydocker.kernel import port_rewrite, sockets

pytestmark = pytest.mark.root

ADDRESS, PORT, ASKED = "127.0.0.11", 65353, 53


@pytest.fixture
def place() -> Iterator[Machine]:
    """This thread is there meanwhile."""
    with Machine() as machine, machine.inside():
        port_rewrite.load(ADDRESS, ASKED, PORT)
        yield machine


def _bound(kind: int) -> socket.socket:
    sock = socket.socket(fileno=sockets.bind_to_loopback(kind, ADDRESS, PORT))
    sock.settimeout(60)
    return sock


def _connected(kind: int, *, source: str = "127.0.0.1") -> socket.socket:
    client = socket.socket(socket.AF_INET, kind)
    client.settimeout(60)
    client.bind((source, 0))
    try:
        client.connect((ADDRESS, ASKED))
    except OSError:
        client.close()
        raise
    return client


def test_the_rules_are_what_they_seem(place: Machine) -> None:
    listed = place.run("nft", "list", "table", "ip", port_rewrite.TABLE)
    for line in (
        "type filter hook output priority 300; policy accept;",
        "ip daddr 127.0.0.11 udp dport 53 udp dport set 65353",
        "ip daddr 127.0.0.11 tcp dport 53 tcp dport set 65353",
        "type filter hook output priority -350; policy accept;",
        "ip saddr 127.0.0.11 udp sport 65353 udp sport set 53",
        "ip saddr 127.0.0.11 tcp sport 65353 tcp sport set 53",
    ):
        assert line in listed


@pytest.mark.parametrize(
    "firewall", ["", "ct state established accept; udp dport 53 accept; tcp dport 53 accept; drop"]
)
def test_who_asks_gets_an_answer(place: Machine, firewall: str) -> None:
    """Also through a firewall of the namespace that knows of the port that is asked alone, and has state."""
    if firewall:
        place.run("nft", f"table ip t {{\nchain out {{\ntype filter hook output priority 0; {firewall}\n}}\n}}")
    with _bound(socket.SOCK_DGRAM) as server, _connected(socket.SOCK_DGRAM) as client:
        for content in (b"x", b"y" * 60_000):
            client.send(content)
            received, peer = server.recvfrom(65535)
            assert received == content
            server.sendto(content, peer)
            assert client.recv(65535) == content
    with _bound(socket.SOCK_STREAM) as listening, _connected(socket.SOCK_STREAM) as client:
        server, _ = listening.accept()
        with server:
            for one, other in ((client, server), (server, client)):
                one.sendall(b"z" * 100_000)
                assert len(other.recv(100_000, socket.MSG_WAITALL)) == 100_000


def test_checksums_stay_right(place: Machine) -> None:
    """Also in a packet whose checksum is no longer the kernel's to compute."""
    ports = (4242).to_bytes(2, "big") + ASKED.to_bytes(2, "big")
    content = b"hello"
    length = (8 + len(content)).to_bytes(2, "big")
    pseudo = socket.inet_aton("127.0.0.1") + socket.inet_aton(ADDRESS) + b"\0\x11" + length
    words = pseudo + ports + length + content + b"\0"
    total = sum(int.from_bytes(words[at : at + 2], "big") for at in range(0, len(words), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    packet = ports + length + (total ^ 0xFFFF).to_bytes(2, "big") + content
    header = b"\x45\0" + (20 + len(packet)).to_bytes(2, "big") + b"\0\0\0\0\x40\x11\0\0" + pseudo[:8]
    with _bound(socket.SOCK_DGRAM) as server, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(header + packet[:6] + b"\1\2" + content, (ADDRESS, 0))  # a wrong one is dropped
        raw.sendto(header + packet, (ADDRESS, 0))
        assert server.recvfrom(100) == (content, ("127.0.0.1", 4242))
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.recv(100)


def test_who_asks_where_nobody_serves_learns_it_at_once(place: Machine) -> None:
    with pytest.raises(ConnectionRefusedError), _connected(socket.SOCK_STREAM):
        pass
    with pytest.raises(ConnectionRefusedError), _connected(socket.SOCK_DGRAM) as client:
        client.send(b"x")
        client.recv(1)


def test_nothing_comes_by_another_interface(place: Machine) -> None:
    with Machine() as other:
        link(place, other, "net", ones=("10.7.7.1/24",), others=("10.7.7.2/24",))
        for machine in (place, other):
            machine.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
        other.run("ip", "route", "flush", "table", "local", "127.0.0.0/8")
        other.run("ip", "route", "add", f"{ADDRESS}/32", "via", "10.7.7.1")
        with _bound(socket.SOCK_DGRAM) as server:
            with other.inside():
                stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with stranger:
                stranger.bind(("10.7.7.2", 0))
                stranger.sendto(b"x", (ADDRESS, PORT))
            with _connected(socket.SOCK_DGRAM, source="10.7.7.1") as client:
                client.send(b"y")
                assert server.recv(10) == b"y"


def test_descriptors_reach_another_process(place: Machine) -> None:
    here, there = sockets.pair()
    descriptors = [os.open(path, os.O_RDONLY) for path in ("/dev/null", "/dev/zero", "/etc/passwd")]
    with socket.socket(fileno=there) as channel:
        sockets.send_descriptors(here, descriptors)
        content, received, _, _ = socket.recv_fds(channel, 10, 10)
        assert content == b"\0" and len(received) == 3
        for one, other in zip(descriptors, received, strict=True):
            assert os.path.sameopenfile(one, other)
    for descriptor in (here, *descriptors, *received):
        os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        sockets.send_descriptors(here, [0])
