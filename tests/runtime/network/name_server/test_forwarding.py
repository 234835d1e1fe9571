"""What a container's name server does not know itself: asked of the host's servers, or of those that `--dns` sets."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from lab import dns
from lab.networks import Container, Host
from lab.processes import wait_for

pytestmark = pytest.mark.root


def client(container: Container) -> dns.Client:
    return dns.Client(container.inside)


def one(query: bytes, is_stream: bool) -> bytes:
    return dns.response(query, "192.0.2.77")


def use_servers(host: Host, *addresses: str) -> None:
    (host.command.directory / "resolv.conf").write_text("".join(f"nameserver {each}\n" for each in addresses))


@pytest.fixture
def web(lan: Host) -> Iterator[Container]:
    with lan.inside(), lan.container("--network", "lan", "--name", "web") as web:
        yield web


def test_a_server_on_the_host_s_loopback(lan: Host, web: Container) -> None:
    with dns.serving(one) as upstream:
        for reply in (client(web).ask("a.example"), client(web).ask_by_stream("b.example")):
            assert (reply.code, reply.data, reply.lives) == (0, ("192.0.2.77",), (60,))
        lookup = "nslookup -timeout=100 -retry=20 -type=a c.example | tail -2"
        assert web.sh(lookup).split() == ["Address:", "192.0.2.77"]
    assert {address for address, _ in upstream.peers} == {"127.0.0.1"}


def test_the_query_is_passed_on_as_it_is_but_for_its_identifier(lan: Host, web: Container) -> None:
    with dns.serving(one) as upstream, client(web).socket() as sock:
        queries = [dns.question("Mixed.eXample", kind, size=1400) for kind in range(1, 41)]
        for query in queries:
            sock.send(query)
            assert sock.recv(65535)[:2] == query[:2]
    # one that is not answered for a while is asked again
    assert [*dict.fromkeys(query[2:] for query in upstream.queries)] == [query[2:] for query in queries]
    identifiers, ports = {query[:2] for query in upstream.queries}, {port for _, port in upstream.peers}
    assert len(identifiers) > 35 and len(ports) > 35  # of 65536, and of 28000
    assert not identifiers & {query[:2] for query in queries} or len(identifiers) > 35


def test_what_a_datagram_does_not_hold(lan: Host, web: Container) -> None:
    """A server's truncated reply is the client's; so is one that is larger than the client can take."""
    many = [f"10.1.1.{number}" for number in range(200)]

    def answer(query: bytes, is_stream: bool) -> bytes:
        if not is_stream and b"small" in query:
            return dns.response(query, flags=dns.TRUNCATED)
        return dns.response(query, *many)

    with dns.serving(answer):
        for name in ("small.example", "large.example"):
            reply = client(web).ask(name)
            assert reply.truncated and reply.data == () and len(reply.raw) <= 512
            assert client(web).ask_by_stream(name).data == tuple(many)
        assert client(web).ask("large.example", size=4096).data == tuple(many)


@pytest.mark.parametrize("code", [dns.SERVFAIL, dns.REFUSED, dns.NOTIMP, None])
def test_another_server_is_asked(lan: Host, web: Container, code: int | None) -> None:
    """Where the first one cannot help, is silent, or is not there; not where it knows that there is no such name."""

    def bad(query: bytes, is_stream: bool) -> bytes | None:
        return None if code is None else dns.response(query, code=code)

    use_servers(lan, "127.0.0.1", "127.0.0.3", "127.0.0.2")
    with dns.serving(bad, "127.0.0.1"), dns.serving(one, "127.0.0.2"):
        assert client(web).ask("a.example").data == client(web).ask_by_stream("a.example").data == ("192.0.2.77",)
    with dns.serving(bad, "127.0.0.1"):
        for reply in (client(web).ask("a.example"), client(web).ask_by_stream("a.example")):
            assert (reply.code, reply.data) == (code or dns.SERVFAIL, ())


def test_a_name_that_does_not_exist(lan: Host, web: Container) -> None:
    use_servers(lan, "127.0.0.1", "127.0.0.2")
    with dns.serving(lambda query, _: dns.response(query, code=dns.NXDOMAIN)), dns.serving(one, "127.0.0.2") as other:
        assert client(web).ask("a.example").code == client(web).ask_by_stream("a.example").code == dns.NXDOMAIN
    assert other.queries == []


def test_one_that_was_silent_is_asked_last_for_a_while(lan: Host, web: Container) -> None:
    use_servers(lan, "127.0.0.1", "127.0.0.2")
    with dns.serving(lambda query, _: None) as silent, dns.serving(one, "127.0.0.2"):
        for number in range(4):
            assert client(web).ask(f"{number}.example").data == ("192.0.2.77",)
    assert len({query[12:] for query in silent.queries}) == 1


def test_no_server_at_all(lan: Host, web: Container) -> None:
    """Nothing listens, then there is no way: both are said at once, and names of the network are known all the same."""
    for server in ("127.0.0.1", "203.0.113.1"):
        use_servers(lan, server)
        lan.do("ip route delete default" if server == "203.0.113.1" else ":")
        assert client(web).ask("a.example").code == client(web).ask_by_stream("a.example").code == dns.SERVFAIL
        assert client(web).ask("web").data == (web.address,)


def test_the_host_gets_other_servers(lan: Host, web: Container) -> None:
    with dns.serving(one, "127.0.0.1"), dns.serving(lambda query, _: dns.response(query, "192.0.2.9"), "127.0.0.2"):
        assert client(web).ask("a.example").data == ("192.0.2.77",)
        use_servers(lan, "127.0.0.2", "nonsense", "fe80::1%nowhere")
        assert client(web).ask("a.example").data == ("192.0.2.9",)


def test_answers_that_are_not_the_server_s(lan: Host, web: Container) -> None:
    """With another identifier, another question, none, or from another port: the right one counts, which is last."""

    def answer(query: bytes, is_stream: bool) -> list[bytes]:
        wrong = bytes([query[0] ^ 1, query[1]]) + query[2:]
        other = query[:13] + b"z" + query[14:]
        spoofer.sendto(dns.response(query, "10.6.6.6"), server.peers[-1])
        forged = [dns.response(each, "10.6.6.6") for each in (wrong, other)]
        empty = query[:2] + b"\x81\x80" + bytes(8)
        return [*forged, query, empty, b"", query[:7], dns.response(query, "192.0.2.77")]

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as spoofer, dns.serving(answer) as server:
        spoofer.bind(("127.0.0.1", 0))
        assert client(web).ask("a.example").data == ("192.0.2.77",)


def test_without_a_way_to_the_outside(lan: Host) -> None:
    """Questions could carry data out (CVE-2024-29018). That changes as the container joins and leaves networks."""
    assert lan.command("network", "create", "--internal", "closed").code == 0
    with lan.inside(), dns.serving(one) as upstream, lan.container("--network", "closed", "--name", "shut") as shut:
        ask = client(shut)
        for _ in range(2):
            assert ask.ask("a.example").code == ask.ask_by_stream("a.example").code == dns.SERVFAIL
            assert ask.ask("shut").data == (shut.address,) and upstream.queries == []
            assert lan.command("network", "connect", "lan", "shut").code == 0
            assert ask.ask("a.example").data == ask.ask_by_stream("a.example").data == ("192.0.2.77",)
            assert lan.command("network", "disconnect", "lan", "shut").code == 0
            upstream.queries.clear()
    with lan.container("--network", "closed", "--network", "lan") as both, lan.inside(), dns.serving(one):
        assert client(both).ask("a.example").data == ("192.0.2.77",)


def test_the_user_s_own_are_asked_from_the_container_s_network(lan: Host) -> None:
    """Another container is one, also in a network without a way to the outside; the host's loopback is not reached."""
    assert lan.command("network", "create", "--internal", "--subnet", "10.97.0.0/24", "closed").code == 0
    with (
        lan.inside(),
        dns.serving(lambda query, _: dns.response(query, "10.6.6.6")) as host_server,
        lan.container("--network", "closed", "--ip", "10.97.0.53") as server,
    ):
        with server.inside():
            serving = dns.serving(one, "10.97.0.53")
            upstream = serving.__enter__()
        words = ("--network", "closed", "--dns", "127.0.0.11", "--dns", "127.0.0.1", "--dns", "10.97.0.53")
        with lan.container(*words, "--name", "asker") as asker:
            assert client(asker).ask("asker").data == (asker.address,)
            for reply in (client(asker).ask("a.example"), client(asker).ask_by_stream("a.example")):
                assert reply.data == ("192.0.2.77",)
            assert {address for address, _ in upstream.peers} == {asker.address}
        serving.__exit__(None, None, None)
        assert host_server.queries == []


def test_itself_alone_is_asked_for_nothing(lan: Host) -> None:
    with lan.container("--network", "lan", "--dns", "127.0.0.11", "--name", "self") as container:
        assert client(container).ask("a.example").code == dns.SERVFAIL
        assert client(container).ask("self").data == (container.address,)


def test_a_client_that_has_gone(lan: Host, web: Container) -> None:
    """Before the answer is there."""
    waiting: list[bytes] = []

    def answer(query: bytes, is_stream: bool) -> bytes | None:
        waiting.append(query)
        return None if len(waiting) < 3 else dns.response(query, "192.0.2.77")

    with dns.serving(answer):
        query = dns.question("a.example")
        for kind, content in ((socket.SOCK_DGRAM, query), (socket.SOCK_STREAM, b"\0\x1b" + query)):
            with client(web).socket(kind) as sock:
                sock.send(content)
            wait_for(lambda: waiting)
        assert client(web).ask("web").data == (web.address,)
