"""Published ports: who reaches them, as whom the container sees them, what `port` prints, and ports that are in use."""

from __future__ import annotations

import re
import socket
from contextlib import closing

import pytest
from lab.machines import TCP, UDP, ask, listen, refused
from lab.networks import ADDRESS, ADDRESS6, OUTSIDE
from networked import Networked

pytestmark = pytest.mark.root

CLIENTS = {  # where, the address that is asked, whom the container sees
    "the host's loopback": ("host", "127.0.0.1", "gateway"),
    "the host": ("host", ADDRESS, ADDRESS),
    "the host, by the gateway": ("host", "gateway", "gateway"),
    "the host's loopback by IPv6": ("host", "::1", "gateway"),
    "the host by IPv6": ("host", ADDRESS6, "gateway"),
    "another machine": ("outside", ADDRESS, OUTSIDE),
    "another machine by IPv6": ("outside", ADDRESS6, "gateway"),
    "another container": ("container", ADDRESS, "gateway"),
    "the container itself": ("itself", ADDRESS, "gateway"),
}


@pytest.mark.parametrize("kind", [TCP, UDP], ids=["TCP", "UDP"])
@pytest.mark.parametrize("name", CLIENTS)
def test_who_is_seen(networked: Networked, name: str, kind: socket.SocketKind, request: pytest.FixtureRequest) -> None:
    where, address, expected = CLIENTS[name]
    patience = 5 if request.node.get_closest_marker("xfail") else 100  # seconds
    word = "7000:80/udp" if kind == UDP else "7000:80"
    with networked.server("-p", word) as one, networked.server() as other, closing(listen(one, 80, kind)) as server:
        gateway = one.run("ip", "route", "show", "default").split()[2]
        places = {"host": networked.host, "outside": networked.site.outside, "container": other, "itself": one}
        asked = gateway if address == "gateway" else address
        seen = ask(places[where], asked, 7000, server, patience=patience)
        assert seen == (gateway if expected == "gateway" else expected)


def test_one_address_of_the_host(networked: Networked) -> None:
    with networked.server("-p", "127.0.0.1:7001:80") as one, closing(listen(one, 80)) as server:
        ask(networked.host, "127.0.0.1", 7001, server)
        assert refused(networked.site.outside, ADDRESS, 7001)
        assert refused(networked.host, ADDRESS, 7001)


def test_what_is_not_published_is_not_reached(networked: Networked) -> None:
    with networked.server("-p", "7002:80") as one, closing(listen(one, 81)):
        assert refused(networked.site.outside, ADDRESS, 7003)
        assert refused(networked.site.outside, ADDRESS, 81)


def test_a_port_is_closed_with_its_container(networked: Networked) -> None:
    with networked.server("-p", "7004:80") as one, closing(listen(one, 80)) as server:
        ask(networked.site.outside, ADDRESS, 7004, server)
    assert refused(networked.site.outside, ADDRESS, 7004) and refused(networked.host, "127.0.0.1", 7004)


TAKEN = {
    "all addresses": ("0.0.0.0", TCP, "7010:80"),
    "one address": (ADDRESS, TCP, "7010:80"),
    "loopback": ("127.0.0.1", TCP, "127.0.0.1:7010:80"),
    "UDP": ("0.0.0.0", UDP, "7010:80/udp"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_port_in_use(networked: Networked, name: str) -> None:
    address, kind, word = TAKEN[name]
    with networked.host.inside():
        holder = socket.socket(socket.AF_INET, kind)
    with holder:
        holder.bind((address, 7010))
        if kind == TCP:
            holder.listen()
        done = networked.run("-p", word, argv=("echo", "started"))
    assert (done.stdout, done.code) == (b"", 125) and b"in use" in done.stderr, done


def test_a_port_of_another_container(networked: Networked) -> None:
    with networked.server("-p", "7011:80"):
        done = networked.run("-p", "7011:81", argv=("echo", "started"))
    assert (done.stdout, done.code) == (b"", 125) and b"7011" in done.stderr, done
    assert networked.run("-p", "7011:81", argv=("echo", "started")).code == 0


PORTS = {  # options, the port that is asked for -> what is printed
    "one address": (("-p", "127.0.0.1:7020:80"), ("80",), r"127\.0\.0\.1:7020\n"),
    "all addresses": (("-p", "7020:80"), ("80",), r"0\.0\.0\.0:7020\n\[::\]:7020\n"),
    "all ports": (("-p", "127.0.0.1:7020:80"), (), r"80/tcp -> 127\.0\.0\.1:7020\n"),
    "UDP": (("-p", "127.0.0.1:7020:53/udp"), ("53/udp",), r"127\.0\.0\.1:7020\n"),
    "one that is chosen": (("-p", "127.0.0.1::80"), ("80",), r"127\.0\.0\.1:[1-9][0-9]{3,4}\n"),
    "a range": (
        ("-p", "127.0.0.1:7020-7021:80-81"),
        (),
        r"80/tcp -> 127\.0\.0\.1:7020\n81/tcp -> 127\.0\.0\.1:7021\n",
    ),
    "all that is exposed": (("-P", "--expose", "80"), ("80",), r"0\.0\.0\.0:[1-9][0-9]{3,4}\n\[::\]:[1-9][0-9]{3,4}\n"),
}


@pytest.mark.parametrize("name", PORTS)
def test_port(networked: Networked, name: str) -> None:
    options, words, expected = PORTS[name]
    with networked.server(*options) as one:
        done = networked.command("port", one.name, *words)
    lines = sorted(done.stdout.decode().splitlines(keepends=True))
    assert done.code == 0 and re.fullmatch(expected, "".join(lines)), done


BAD_WORDS = ["80:80:80:80", "0.0.0.0.0:80:80", "80:0", "65536:80", "80-90:80-81", "80/nonesuch", ":", "80:", "x:80"]


@pytest.mark.parametrize("word", BAD_WORDS)
def test_a_port_that_is_none(networked: Networked, word: str) -> None:
    done = networked.run("-p", word, argv=("echo", "started"))
    assert (done.stdout, done.code) == (b"", 125), done
