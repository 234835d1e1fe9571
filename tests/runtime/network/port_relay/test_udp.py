"""Datagrams through a published port."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from mydocker.runtime.network import PublishedPort
from mydocker.runtime.network.port_relay import reserve
from mydocker.runtime.network.port_relay.loop import Loop
from mydocker.runtime.network.port_relay.udp import Udp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import Relayed, Site

pytestmark = pytest.mark.root


@pytest.fixture
def relayed(publish: Callable[..., Relayed]) -> Relayed:
    return publish("udp")


@pytest.fixture
def client(site: Site) -> Iterator[Callable[..., socket.socket]]:
    """Makes sockets on the other machine, or on the host."""
    with ExitStack() as stack:

        def make(address: str, *, here: bool = False) -> socket.socket:
            with (site.host if here else site.other).inside():
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                sock = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            sock.settimeout(60)
            return sock

        yield make


@pytest.mark.parametrize("address", ["192.168.77.1", "192.168.77.3", "fd77::1", "fd77::3"])
def test_the_reply_comes_from_the_address_that_was_asked(
    relayed: Relayed, client: Callable[..., socket.socket], address: str
) -> None:
    asking = client(address)
    for number in range(3):
        asking.sendto(b"question %d" % number, (address, relayed.port))
        question, peer = relayed.server.recvfrom(100)
        assert (question, peer[0]) == (b"question %d" % number, "10.77.0.1")
        relayed.server.sendto(b"reply", peer)
        reply, source = asking.recvfrom(100)
        assert (reply, source[:2]) == (b"reply", (address, relayed.port))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "192.168.77.1"])
def test_the_host_reaches_it(relayed: Relayed, client: Callable[..., socket.socket], address: str) -> None:
    asking = client(address, here=True)
    asking.connect((address, relayed.port))
    asking.send(b"question")
    question, peer = relayed.server.recvfrom(100)
    relayed.server.sendto(question * 2, peer)
    assert asking.recv(100) == b"question" * 2


def test_one_client_under_two_addresses_gets_each_reply_from_the_right_one(
    relayed: Relayed, client: Callable[..., socket.socket]
) -> None:
    asking = client("192.168.77.1")
    peers = {}
    for address in ("192.168.77.1", "192.168.77.3"):
        asking.sendto(address.encode(), (address, relayed.port))
        question, peer = relayed.server.recvfrom(100)
        peers[question.decode()] = peer
    for address, peer in reversed(peers.items()):
        relayed.server.sendto(b"reply", peer)
        assert asking.recvfrom(100) == (b"reply", (address, relayed.port))


def test_replies_find_their_clients(relayed: Relayed, client: Callable[..., socket.socket]) -> None:
    """Who gets no reply asks again: on a busy machine, datagrams are lost between namespaces as well."""
    waiting = {b"%d" % number: client("192.168.77.1") for number in range(100)}
    relayed.server.settimeout(1)
    while waiting:
        for question, each in waiting.items():
            each.settimeout(1)
            each.sendto(question, ("192.168.77.1", relayed.port))
        with suppress(TimeoutError):
            for _ in waiting:
                question, peer = relayed.server.recvfrom(100)
                relayed.server.sendto(question, peer)
        for question, each in [*waiting.items()]:
            with suppress(TimeoutError):
                assert each.recv(100) == question
                del waiting[question]


@pytest.mark.parametrize("size", [0, 1, 1472, 65507])
def test_datagrams_of_all_sizes_stay_whole(relayed: Relayed, client: Callable[..., socket.socket], size: int) -> None:
    asking = client("127.0.0.1", here=True)
    asking.sendto(b"x" * size, ("127.0.0.1", relayed.port))
    question, peer = relayed.server.recvfrom(1 << 16)
    assert question == b"x" * size
    relayed.server.sendto(question, peer)
    assert asking.recv(1 << 16) == b"x" * size


def test_what_is_refused_does_not_keep_a_later_one_away(
    publish: Callable[..., Relayed], client: Callable[..., socket.socket]
) -> None:
    relayed = publish("udp")
    target = relayed.server.getsockname()
    relayed.server.close()
    asking = client("127.0.0.1", here=True)
    asking.settimeout(0.2)
    asking.connect(("127.0.0.1", relayed.port))
    asking.send(b"early")
    with pytest.raises(TimeoutError):
        asking.recv(100)
    with relayed.site.container.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(target)
        server.settimeout(60)
        asking.send(b"late")
        received = server.recv(100)
        assert (server.recv(100) if received == b"early" else received) == b"late"  # a busy machine may be late itself


class _Local:
    """A relay of this process's own, on the host's loopback: turns are taken when the test says so."""

    def __init__(self, stack: ExitStack, *, most: int = 1000) -> None:
        self.server = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.server.bind(("127.0.0.1", 0))
        self.server.settimeout(60)
        target = self.server.getsockname()[1]
        port = PublishedPort(target=target, port=0, host_ip="127.0.0.1", protocol="udp")
        held = stack.enter_context(reserve([port]))
        self.address = ("127.0.0.1", held.ports[0].port)
        self.loop = Loop()
        self.udp = Udp(self.loop, held.listeners, "127.0.0.1", most=most, idle=0)
        stack.callback(self.forget)
        self.client = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(3)]

    def forget(self) -> None:
        """Forget the clients, all of which have been idle for no time at all."""
        self.udp.forget_idle()
        self.loop.close_forgotten()

    def ask(self, number: int) -> tuple[str, int]:
        """The address under which the server knows client NUMBER."""
        self.client[number].sendto(b"x", self.address)
        self.loop.turn(60)
        peer: tuple[str, int] = self.server.recvfrom(100)[1]
        return peer


def test_a_client_that_is_idle_is_forgotten(site: Site) -> None:
    with site.host.inside(), ExitStack() as stack:
        local = _Local(stack)
        before = local.ask(0)
        assert local.ask(0) == before
        assert local.udp.has_clients
        local.forget()
        assert not local.udp.has_clients
        with pytest.raises(ConnectionRefusedError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(before)
            probe.send(b"x")
            probe.recv(1)


def test_one_too_many_takes_the_place_of_the_one_idle_longest(site: Site) -> None:
    with site.host.inside(), ExitStack() as stack:
        local = _Local(stack, most=2)
        first, second = local.ask(0), local.ask(1)
        assert local.ask(0) == first
        local.ask(2)
        assert local.ask(0) == first
        assert local.ask(1) != second
