"""Names of a network, as programs of a container that ask DNS themselves get them."""

from __future__ import annotations

import http.client
import socket
from contextlib import ExitStack

import pytest
from lab import dns
from lab.networks import Container, Host
from lab.processes import wait_for

pytestmark = pytest.mark.root

HTTPS, CHAOS = 65, 3


def client(container: Container) -> dns.Client:
    return dns.Client(container.inside)


def nothing(query: bytes, is_stream: bool) -> bytes:
    """A server that knows no name."""
    return dns.response(query, code=dns.NXDOMAIN)


def test_names_of_one_network(lan: Host) -> None:
    with (
        lan.inside(),
        dns.serving(nothing) as upstream,
        lan.container("--network", "lan", "--name", "db", "--network-alias", "base", "--hostname", "DB1") as db,
        lan.container("--network", "lan", "--name", "web") as web,
    ):
        short_id = web.sh("cat /etc/hosts").split()[-1]
        for container in (db, web):
            for name in ("db", "base", "db1", "DB", "Base.", short_id):
                for reply in (client(container).ask(name), client(container).ask_by_stream(name)):
                    assert (reply.code, reply.data, reply.lives) == (0, (db.address,), (0,)), name
            for name in ("web", web.sh("hostname").strip()):
                assert client(container).ask(name).data == (web.address,)
        for kind in (dns.AAAA, dns.TXT, HTTPS, dns.NS):  # a name that is known here is asked for nowhere else
            reply = client(web).ask("db", kind)
            assert (reply.code, reply.data) == (0, ())
        assert client(web).ask("db", dns.ANY).data == (db.address,)
        assert client(web).ask("localhost", dns.AAAA).data == ("::1",)
        backwards = ".".join(reversed(db.address.split("."))) + ".in-addr.arpa"
        assert client(web).ask(backwards, dns.PTR).data == ("base",)
        assert upstream.queries == []
        for name, kind in (("other", dns.A), ("x.db", dns.A), ("7.7.7.10.in-addr.arpa", dns.PTR), ("", dns.NS)):
            assert client(web).ask(name, kind).code == dns.NXDOMAIN
        assert len({query[12:] for query in upstream.queries}) == 4  # however often each was asked


def test_they_come_and_go_and_agree_with_the_file(lan: Host) -> None:
    assert lan.command("network", "create", "far").code == 0
    with lan.inside(), dns.serving(nothing), lan.container("--network", "lan", "--name", "one") as one:
        ask = client(one).ask

        def known(name: str) -> bool:
            reply = ask(name)
            assert bool(reply.data) == (name in one.sh("cat /etc/hosts").split())
            return bool(reply.data)

        assert not known("two")
        with lan.container("--network", "far", "--name", "two") as two:
            assert not known("two")  # it is in another network
            assert lan.command("network", "connect", "--alias", "again", "lan", "two").code == 0
            assert ask("two").data == ask("again").data == tuple(two.addresses("eth1"))
            assert client(two).ask("one").data == (one.address,)
            assert lan.command("network", "disconnect", "lan", "two").code == 0
            assert not known("two") and not known("again") and not client(two).ask("one").data
            assert lan.command("network", "connect", "far", "one").code == 0
            assert ask("two").data == (two.address,)
            two.process.kill()
            wait_for(lambda: not ask("two").data)
            assert not known("two")
        one.sh("echo 10.1.2.3 mine >> /etc/hosts")
        assert ask("mine").data == ("10.1.2.3",)


def test_ipv6(host: Host) -> None:
    assert host.command("network", "create", "--ipv6", "--subnet", "fd00:98::/64", "six").code == 0
    with host.container("--network", "six", "--name", "a") as a, host.container("--network", "six") as b:
        [address] = a.addresses("eth0", "inet6")
        assert client(b).ask("a", dns.AAAA).data == client(a).ask("a", dns.AAAA).data == (address,)
        assert set(client(b).ask("a", dns.ANY).data) == {a.address, address}
        nibbles = ".".join(reversed(socket.inet_pton(socket.AF_INET6, address).hex()))
        assert client(b).ask(f"{nibbles}.ip6.arpa", dns.PTR).data == ("a",)
        assert b.sh(f"grep -c '^{address}' /etc/hosts") == "1\n"


def test_several_with_one_alias_take_turns(lan: Host) -> None:
    with ExitStack() as stack:
        words = ("--network", "lan", "--network-alias", "pool")
        every = [stack.enter_context(lan.container(*words)) for _ in range(3)]
        replies = [client(every[0]).ask("pool").data for _ in range(3)]
        assert {reply[0] for reply in replies} == {each.address for each in every}
        assert {frozenset(reply) for reply in replies} == {frozenset(each.address for each in every)}


def test_more_than_a_datagram_holds(lan: Host) -> None:
    with lan.container("--network", "lan") as container:
        container.sh("for i in $(seq 1 100); do echo 10.5.5.$i many; done >> /etc/hosts")
        ask = client(container).ask
        for size, count in ((None, 30), (512, 29), (100, 29), (1232, 74), (65535, 100)):
            reply = ask("many", size=size)
            assert len(reply.data) == count and reply.truncated == (count < 100), size
            assert len(reply.raw) <= max(size or 512, 512) and reply.extended == (size is not None)
        reply = client(container).ask_by_stream("many")
        assert len(reply.data) == 100 and not reply.truncated


def test_port_53_is_free_for_the_container(lan: Host) -> None:
    with lan.container("--network", "lan", "--name", "server") as server, server.inside():
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as sock:
                sock.bind(("0.0.0.0", 53))
        assert client(server).ask("server").data == (server.address,)


def test_programs_of_debian(lan: Host) -> None:
    """The C library without the file, dig, and the container's own network from a container that joins it."""
    script = (
        "export RES_OPTIONS='timeout:30 attempts:4'; alias dig='dig +time=60'; "
        "sed -i 's/^hosts:.*/hosts: dns/' /etc/nsswitch.conf; getent ahostsv4 db | grep -c STREAM; getent hosts db; "
        "dig +short db; dig +short +tcp db; dig +noall +answer +nocookie db ANY; dig +short -x $1"
    )
    with lan.container("--network", "lan", "--name", "db") as db:
        for network in ("lan", "container:db"):
            done = lan.command("run", "--network", network, "--rootfs", "/", "sh", "-euc", script, "-", db.address)
            lines = [line.split() for line in done.stdout.decode().splitlines()]
            address = db.address
            assert lines[:4] == [["1"], [address, "db"], [address], [address]], done
            own = "db." if network == "lan" else f"{db.sh('hostname').strip()}."
            assert lines[4:] == [["db.", "0", "IN", "A", address], [own]]


def test_nginx(lan: Host) -> None:
    """Its `resolver`: it asks when it passes on a request."""
    conf = (
        "daemon off; error_log stderr; pid /tmp/pid; events {} http { access_log off; resolver 127.0.0.11; "
        "server { listen 80; location / { set $to http://back:8080; proxy_pass $to; } } }"
    )
    start = f"echo '{conf}' > /tmp/conf; exec nginx -c /tmp/conf"
    serve = "mkdir /w; echo hello > /w/index.html; httpd -p 8080 -h /w; echo ready; trap exit TERM; sleep 1000 & wait"
    words = ("run", "--network", "lan", "--ip", "10.98.0.80", "--rootfs", "/", "sh", "-c", start)
    with lan.inside(), lan.command.start(*words) as process:
        try:
            wait_for(lambda: _fetch("10.98.0.80")[0] == 502 or process.poll() is not None)  # nobody is called so
            with lan.container("--network", "lan", "--name", "back", script=serve):
                wait_for(lambda: _fetch("10.98.0.80") == (200, "hello\n") or process.poll() is not None)
        finally:
            process.terminate()
            output = process.communicate(timeout=240)
    assert b"back could not be resolved" in output[1] and process.returncode in (0, 143), output


def _fetch(address: str) -> tuple[int, str]:
    """The status of what a web server has at its top, and the text; 0 if none listens."""
    connection = http.client.HTTPConnection(address, timeout=100)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()
