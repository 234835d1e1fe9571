"""Programs of a container that do not mean well: their name server lives, and serves the others."""

from __future__ import annotations

import os
import pathlib
import random
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from lab import dns
from lab.machines import Machine
from lab.networks import Container, Host
from lab.processes import wait_for

pytestmark = pytest.mark.root

HEADER = b"\x12\x34\1\0\0\1\0\0\0\0\0\0"
END = b"\0\1\0\1"


@pytest.fixture
def web(lan: Host) -> Iterator[Container]:
    with lan.inside(), lan.container("--network", "lan", "--name", "web") as web:
        yield web


def client(container: Container) -> dns.Client:
    return dns.Client(container.inside)


MALFORMED = {
    "a pointer to itself": (HEADER + b"\xc0\x0c" + END, dns.FORMERR),
    "a pointer backwards": (HEADER + b"\1a\xc0\x0c" + END, dns.FORMERR),
    "a pointer beyond the end": (HEADER + b"\xff\xff" + END, dns.FORMERR),
    "a label of a kind that is not known": (HEADER + b"\x41a\0" + END, dns.FORMERR),
    "a label that is cut off": (HEADER + b"\x3fabc", dns.FORMERR),
    "a name without an end": (HEADER + b"\1a" * 20, dns.FORMERR),
    "a name of 256 bytes": (HEADER + (b"\x3f" + b"a" * 63) * 4 + b"\0" + END, dns.FORMERR),
    "a name of 60 kB": (HEADER + b"\1a" * 30_000 + b"\0" + END, dns.FORMERR),
    "a question that is cut off": (HEADER + b"\1a\0\0\1", dns.FORMERR),
    "no question": (HEADER[:4] + bytes(8), dns.FORMERR),
    "two questions": (HEADER[:4] + b"\0\2" + HEADER[6:] + (b"\1a\0" + END) * 2, dns.FORMERR),
    "65535 questions": (HEADER[:4] + b"\xff\xff" + HEADER[6:] + b"\1a\0" + END, dns.FORMERR),
    "an answer in a query": (HEADER[:6] + b"\0\1\0\0\0\0" + b"\1a\0" + END, dns.FORMERR),
    "65535 more records": (HEADER[:10] + b"\xff\xff" + b"\1a\0" + END, dns.FORMERR),
    "an EDNS record that is cut off": (HEADER[:10] + b"\0\1" + b"\1a\0" + END + b"\0\0\x29\xff", dns.FORMERR),
    "an EDNS record beyond the end": (
        HEADER[:10] + b"\0\2" + b"\1a\0" + END + b"\1b\0\0\1\0\1\0\0\0\0\xff\xff",
        dns.FORMERR,
    ),
    "a truncated query": (HEADER[:2] + b"\3\0" + HEADER[4:] + b"\1a\0" + END, dns.FORMERR),
    "an update": (HEADER[:2] + b"\x29\0" + HEADER[4:] + b"\1a\0" + END, dns.NOTIMP),
    "a notification": (HEADER[:2] + b"\x21\0" + HEADER[4:] + b"\1a\0" + END, dns.NOTIMP),
}
IGNORED = {
    "nothing": b"",
    "half a header": HEADER[:11],
    "a response": dns.response(dns.question("web"), "10.1.1.1"),
    "a refusal": HEADER[:2] + b"\x81\x81" + bytes(8),
}


def test_malformed_queries(web: Container) -> None:
    with dns.serving(lambda query, _: dns.response(query, "192.0.2.77")) as upstream:
        for title, (query, code) in MALFORMED.items():
            with client(web).socket() as sock:
                sock.send(query)
                reply = sock.recv(65535)
                assert (reply[:2], dns.read(reply).code, len(reply)) == (HEADER[:2], code, 12), title
            with client(web).socket(socket.SOCK_STREAM) as sock:
                sock.sendall(len(query).to_bytes(2, "big") + query)
                assert dns.read(dns.receive(sock)).code == code, title
        for title, query in IGNORED.items():  # or two servers would go on for ever
            with client(web).socket() as sock:
                sock.send(query)
                sock.send(dns.question("web", identifier=b"ok"))
                assert sock.recv(65535)[:2] == b"ok", title
            with client(web).socket(socket.SOCK_STREAM) as sock:
                sock.sendall(len(query).to_bytes(2, "big") + query)
                assert sock.recv(100) == b"", title
        assert upstream.queries == []


def test_anything(web: Container) -> None:
    """Changed at random, over UDP and TCP."""
    dice = random.Random(7)
    with dns.serving(lambda query, _: None):
        for number in range(400):
            query = bytearray(dns.question("a.b.web", size=1232))
            for _ in range(dice.randrange(1, 6)):
                query[dice.randrange(len(query))] = dice.randrange(256)
            kind = (socket.SOCK_DGRAM, socket.SOCK_STREAM)[number % 2]
            with client(web).socket(kind) as sock:
                sock.send(bytes(query) if kind == socket.SOCK_DGRAM else dice.randbytes(2) + bytes(query))
        assert client(web).ask("web").data == client(web).ask_by_stream("web").data == (web.address,)


def test_answers_of_a_server_that_is_not_to_be_trusted(web: Container) -> None:
    """Whatever it says, the client gets no more than it takes, and the names of the network stay."""
    dice = random.Random(7)

    def answer(query: bytes, is_stream: bool) -> bytes:
        end = query.index(b"\0", 12) + 5
        counts = b"\0\1" + dice.randbytes(6)
        return query[:2] + b"\x81" + dice.randbytes(1) + counts + query[12:end] + dice.randbytes(dice.randrange(3000))

    with dns.serving(answer):
        for number in range(30):
            with client(web).socket() as sock:
                sock.send(dns.question(f"{number}.example", identifier=b"ok"))
                reply = sock.recv(65535)
                assert reply[:2] == b"ok" and len(reply) <= 512
        assert client(web).ask("web").data == (web.address,)


def test_a_flood_of_questions_that_nobody_answers(web: Container) -> None:
    """The others are answered meanwhile, what is too much is refused at once, and no descriptor is left."""
    before, begin = _descriptors(web), time.monotonic()
    with dns.serving(lambda query, _: None) as upstream, client(web).socket() as sock:
        for number in range(2000):
            sock.send(dns.question(f"{number}.example"))
        wait_for(lambda: _is_answered(web))  # one datagram may be lost, as there was no room for it
        codes = {dns.read(sock.recv(65535)).code for _ in range(50)}
        assert codes == {dns.SERVFAIL}
        given_up = (time.monotonic() - begin) // 1.5  # times at which there was room for others
        assert len({query[12:] for query in upstream.queries}) <= 200 * (1 + given_up)
    assert _descriptors(web) <= before + 3 * 200


def _is_answered(container: Container) -> bool:
    with client(container).socket(timeout=5) as sock, suppress(TimeoutError):
        sock.send(dns.question("web"))
        return dns.read(sock.recv(65535)).data == (container.address,)
    return False


def test_connections_that_say_nothing_or_half_of_it(web: Container) -> None:
    """They take no place from others for long."""
    with ExitStack() as stack:
        for number in range(200):
            sock = stack.enter_context(client(web).socket(socket.SOCK_STREAM))
            sock.sendall((b"", b"\0", b"\0\x20\x12", b"\xff\xff" + bytes(5000))[number % 4])
        for _ in range(3):
            assert client(web).ask_by_stream("web").data == (web.address,)
        assert client(web).ask("web").data == (web.address,)


def test_a_client_that_asks_much_and_reads_nothing(web: Container) -> None:
    web.sh("for i in $(seq 1 2000); do echo 10.5.$((i / 250)).$((i % 250)) many; done >> /etc/hosts")
    query = dns.question("many")
    with client(web).socket(socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            for _ in range(1_000_000):
                sock.send((len(query).to_bytes(2, "big") + query) * 100)
        assert client(web).ask_by_stream("web").data == (web.address,)
    status = pathlib.Path(f"/proc/{web.helper('mydocker-names')}/status").read_text()
    [resident] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")]
    assert resident < 60_000  # kB


def test_many_queries_in_one_packet(web: Container) -> None:
    queries = [dns.question("web") for _ in range(3000)]
    with client(web).socket(socket.SOCK_STREAM) as sock:
        sock.sendall(b"".join(len(query).to_bytes(2, "big") + query for query in queries))
        for query in queries:
            assert dns.receive(sock)[:2] == query[:2]


def test_a_file_of_names_that_means_no_good(web: Container) -> None:
    """It is the container's own to write. What is no name cannot be one of a reply."""
    label = "x" * 64
    lines = [f"10.1.1.1 {label}", f"10.1.1.2 {'a.' * 200}a", "10.1.1.3 ..", "nonsense web2", "10.1.1.4", "::1::2 web3"]
    web.sh(f"printf '%b\\n' '{chr(10).join(lines)}' '\\0377\\0376 \\0377' >> /etc/hosts")
    for number in range(1, 5):
        assert client(web).ask(f"{number}.1.1.10.in-addr.arpa", dns.PTR).code == dns.SERVFAIL
    for text in (
        "300.1.1.10.in-addr.arpa",
        "x.1.1.10.in-addr.arpa",
        "0" * 60 + ".ip6.arpa",
        "zz" + ".0" * 31 + ".ip6.arpa",
    ):
        assert client(web).ask(text, dns.PTR).code == dns.SERVFAIL
    web.sh("head -c 30000000 /dev/zero | tr '\\0' '\\n' >> /etc/hosts")
    assert client(web).ask("web").data == (web.address,)
    web.sh("> /etc/hosts")
    assert client(web).ask("web").code == dns.SERVFAIL
    web.sh("echo 10.1.1.9 web > /etc/hosts")
    assert client(web).ask("web").data == ("10.1.1.9",)


def test_a_neighbour_does_not_reach_it(lan: Host, web: Container) -> None:
    """Not even where the container routes what comes for its loopback."""
    web.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
    with lan.container("--network", "lan") as neighbour:
        neighbour.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
        neighbour.run("ip", "route", "flush", "table", "local", "127.0.0.0/8")
        for table in ("local", "main"):
            neighbour.run("ip", "route", "add", "127.0.0.11/32", "via", web.address, "dev", "eth0", "table", table)
        for port in (53, 65353):
            with _from(neighbour) as sock, pytest.raises(TimeoutError):
                sock.sendto(dns.question("web"), ("127.0.0.11", port))
                sock.recv(100)
    assert client(web).ask("web").data == (web.address,)


def _from(machine: Machine) -> socket.socket:
    with machine.inside():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("10.98.0.3", 0))
    sock.settimeout(1)
    return sock


def _descriptors(container: Container) -> int:
    return len(os.listdir(f"/proc/{container.helper('mydocker-names')}/fd"))
