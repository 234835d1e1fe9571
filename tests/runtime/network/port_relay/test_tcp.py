"""Connections through a published port behave as connections do."""

from __future__ import annotations

import hashlib
import os
import resource
import selectors
import signal
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest

from mydocker import idmap
from mydocker.runtime.network import PublishedPort
from mydocker.runtime.network.port_relay import reserve
from mydocker.runtime.network.port_relay.loop import Loop
from mydocker.runtime.network.port_relay.tcp import Tcp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import Relayed, Site

pytestmark = pytest.mark.root

_PIECE = 1 << 20
RESET = struct.pack("ii", 1, 0)  # struct linger: the end is a reset


@pytest.fixture
def relayed(publish: Callable[..., Relayed]) -> Relayed:
    return publish()


@pytest.mark.parametrize(
    ("address", "is_other"),
    [
        ("127.0.0.1", False),
        ("::1", False),
        ("192.168.77.1", False),
        ("192.168.77.3", True),
        ("fd77::1", True),
        ("10.77.0.1", False),
    ],
)
def test_all_addresses_of_the_host_lead_to_the_container(relayed: Relayed, address: str, is_other: bool) -> None:
    """IPv6 as well, though the container has none."""
    client, inside = relayed.pair(address, machine=relayed.site.other if is_other else None)
    with client, inside:
        assert inside.getpeername()[0] == "10.77.0.1"  # as with Docker's proxy
        client.sendall(b"question")
        assert inside.recv(100) == b"question"
        inside.sendall(b"reply")
        assert client.recv(100) == b"reply"


def test_an_address_that_is_named_is_the_only_one(publish: Callable[..., Relayed]) -> None:
    relayed = publish(host_ip="192.168.77.3")
    client, inside = relayed.pair("192.168.77.3", machine=relayed.site.other)
    client.close()
    inside.close()
    for address in ("192.168.77.1", "127.0.0.1", "::1"):
        with pytest.raises(ConnectionRefusedError):
            relayed.connect(address)


def test_much_arrives_as_it_was_sent(relayed: Relayed) -> None:
    """128 MiB in each direction at once, more than all buffers on the way have room for."""
    client, inside = relayed.pair()
    block = os.urandom(_PIECE)
    count = 128
    sent = {client: count * _PIECE, inside: count * _PIECE}
    received = {client: False, inside: False}
    sums = {client: hashlib.blake2b(), inside: hashlib.blake2b()}
    buffer = bytearray(_PIECE)
    with selectors.DefaultSelector() as ready, client, inside:
        for each in sent:
            each.setblocking(False)
            ready.register(each, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while ready.get_map():
            for key, events in ready.select(timeout=60):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                if events & selectors.EVENT_WRITE:
                    offset = -sent[connection] % _PIECE
                    sent[connection] -= connection.send(memoryview(block)[offset:])
                    if not sent[connection]:
                        connection.shutdown(socket.SHUT_WR)
                        ready.modify(connection, selectors.EVENT_READ)
                if events & selectors.EVENT_READ and not received[connection]:
                    size = connection.recv_into(buffer)
                    sums[connection].update(memoryview(buffer)[:size])
                    received[connection] = not size
                if received[connection] and not sent[connection]:
                    ready.unregister(connection)
    expected = hashlib.blake2b()
    for _ in range(count):
        expected.update(block)
    assert [each.hexdigest() for each in sums.values()] == [expected.hexdigest()] * 2


def test_two_thousand_in_turn(relayed: Relayed) -> None:
    """The container ends each: the last one to speak keeps the port number of its side for a minute (TIME_WAIT)."""
    for number in range(2000):
        client, inside = relayed.pair()
        with client, inside:
            client.sendall(b"%d" % number)
            assert inside.recv(100) == b"%d" % number
            inside.sendall(b"x")
            inside.shutdown(socket.SHUT_WR)
            assert client.recv(100) == b"x"
            assert client.recv(100) == b""
    assert _connections(relayed) <= 1  # the last one may not have been closed yet


def test_a_thousand_at_once(relayed: Relayed) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(relayed.connect()) for _ in range(1000)]
        for number, client in enumerate(clients):
            client.sendall(b"%04d" % number)
        by_number = {}
        for _ in clients:
            inside = stack.enter_context(relayed.accept())
            by_number[inside.recv(4)] = inside
        assert len(by_number) == 1000
        assert _connections(relayed) == 1000
        for number, inside in by_number.items():
            inside.sendall(number * 2)
        assert [client.recv(100) for client in clients] == [b"%04d" % number * 2 for number in range(1000)]


def _connections(relayed: Relayed) -> int:
    """How many the relay has now."""
    links = []
    for each in os.scandir(f"/proc/{relayed.process.pid}/fd"):
        try:
            links.append(os.readlink(each.path))
        except FileNotFoundError:
            continue
    return (sum(link.startswith("socket:") for link in links) - 2) // 2  # two that listen


@pytest.mark.parametrize("client_ends", [True, False])
def test_one_direction_ends_before_the_other(relayed: Relayed, client_ends: bool) -> None:
    client, inside = relayed.pair()
    first, second = (client, inside) if client_ends else (inside, client)
    with client, inside:
        first.sendall(b"all there is")
        first.shutdown(socket.SHUT_WR)
        assert second.recv(100) == b"all there is"
        assert second.recv(100) == b""
        for _ in range(3):
            second.sendall(b"much later")
            assert first.recv(100) == b"much later"
        second.close()
        assert first.recv(100) == b""


@pytest.mark.parametrize("client_ends", [True, False])
def test_a_reset_resets(relayed: Relayed, client_ends: bool) -> None:
    client, inside = relayed.pair()
    first, second = (client, inside) if client_ends else (inside, client)
    with second:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        first.close()
        with pytest.raises(ConnectionResetError):
            second.recv(100)


def test_a_reset_after_the_end_of_one_direction_resets(relayed: Relayed) -> None:
    client, inside = relayed.pair()
    with inside:
        client.shutdown(socket.SHUT_WR)
        assert inside.recv(100) == b""
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while True:  # until the reset has arrived
                inside.sendall(b"x")


def test_what_was_sent_before_a_reset_arrives(relayed: Relayed) -> None:
    """A server that does not read all of a request resets the connection when it closes it (RFC 2525, 2.17)."""
    client, inside = relayed.pair()
    with client:
        client.sendall(b"x" * 1000)
        assert inside.recv(1) == b"x"
        inside.sendall(b"too long")
        assert client.recv(100) == b"too long"
        inside.close()
        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_where_nothing_listens_connections_are_reset(publish: Callable[..., Relayed]) -> None:
    relayed = publish(listens=False)
    for _ in range(3):
        with pytest.raises(ConnectionResetError), relayed.connect() as client:
            client.recv(100)
    relayed.server.listen()
    client, inside = relayed.pair()
    with client, inside:
        inside.sendall(b"now")
        assert client.recv(100) == b"now"


def test_who_reads_slowly_slows_the_other_down(relayed: Relayed) -> None:
    client, inside = relayed.pair()
    with client, inside:
        client.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while True:
                sent += client.send(bytes(_PIECE))
        assert sent < 64 * _PIECE
        client.shutdown(socket.SHUT_WR)
        left = sent
        while piece := inside.recv(_PIECE):
            left -= len(piece)
        assert left == 0


def test_what_has_arrived_is_passed_on_when_the_container_ends(relayed: Relayed) -> None:
    client, inside = relayed.pair()
    with client, inside:
        os.kill(relayed.process.pid, signal.SIGSTOP)
        inside.sendall(b"x" * 100_000)
        os.kill(relayed.process.pid, signal.SIGCONT)
        relayed.process.close()
        received = 0
        while piece := client.recv(_PIECE):
            received += len(piece)
        assert received == 100_000


def _few() -> int:
    """How many descriptors a process may have that has 200 of its own, besides those that this one has."""
    return 200 + len(os.listdir("/proc/self/fd"))


def _with_few_descriptors(limit: int, action: Callable[[], None]) -> None:
    """Do ACTION in a process that may have LIMIT descriptors."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        action()

    idmap.perform(None, limited)


def test_connections_wait_where_descriptors_are_few(publish: Callable[..., Relayed]) -> None:
    few = _few()
    most = (few - 64 - 2) // 6

    def serve_all() -> None:
        relayed = publish()
        with ExitStack() as stack:
            clients = [stack.enter_context(relayed.connect()) for _ in range(most + 20)]
            for client in clients:
                client.sendall(b"here")
            for client in clients:  # in the order of the queue; each one that ends makes room
                with relayed.accept() as inside:
                    assert _connections(relayed) <= most
                    assert inside.recv(100) == b"here"
                    inside.sendall(b"seen")
                with client:
                    assert client.recv(100) == b"seen"
        relayed.process.close()

    _with_few_descriptors(few, serve_all)


def test_connections_wait_where_there_are_no_descriptors(site: Site) -> None:
    """Whoever has taken them: here this process, which relays itself."""

    def run_out() -> None:
        with site.host.inside(), reserve([PublishedPort(target=80, port=0)]) as held, ExitStack() as stack:
            loop = Loop()
            relay = Tcp(loop, held.listeners, "10.77.0.2", most=1000)
            client = stack.enter_context(socket.create_connection(("127.0.0.1", held.ports[0].port)))
            taken = []
            with suppress(OSError):
                while True:
                    taken.append(os.dup(0))
            loop.turn(60)
            assert relay.is_paused
            assert loop.turn(0) == 0  # it does not turn for nothing meanwhile
            for each in taken:
                os.close(each)
            relay.resume()
            loop.turn(60)  # it is accepted, and refused by the container
            loop.turn(60)
            client.settimeout(60)
            with pytest.raises(ConnectionResetError):
                client.recv(1)

    _with_few_descriptors(_few(), run_out)
