"""The name server of an ordinary user's containers: as that of root's."""

from __future__ import annotations

import os
import pathlib

import pytest
from lab import dns
from lab.networks import Container, Host

pytestmark = [pytest.mark.root, pytest.mark.rootless]


def client(container: Container) -> dns.Client:
    return dns.Client(container.inside)


def one(query: bytes, is_stream: bool) -> bytes:
    return dns.response(query, "192.0.2.77")


def test_names_and_a_server_on_the_host_s_loopback(owned: Host) -> None:
    assert owned.command("network", "create", "lan").code == 0
    with (
        owned.inside(),
        dns.serving(one) as upstream,
        owned.container("--network", "lan", "--name", "db", "--network-alias", "base") as db,
        owned.container("--network", "lan", "--name", "web") as web,
    ):
        for name in ("db", "base"):
            assert client(web).ask(name).data == client(web).ask_by_stream(name).data == (db.address,)
        assert web.sh("nslookup -timeout=100 -retry=20 -type=a db | tail -2").split() == ["Address:", db.address]
        assert upstream.queries == []
        for reply in (client(web).ask("a.example"), client(web).ask_by_stream("a.example")):
            assert reply.data == ("192.0.2.77",)
        pid = web.helper("mydocker-names")
        status = dict(line.split(":\t") for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        assert (status["CapPrm"], status["CapEff"], status["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")
        db.end()
        assert client(web).ask("db").data == ("192.0.2.77",)  # not known here any more


def test_without_a_way_to_the_outside(owned: Host) -> None:
    assert owned.command("network", "create", "--internal", "closed").code == 0
    assert owned.command("network", "create", "lan").code == 0
    with owned.inside(), dns.serving(one) as upstream, owned.container("--network", "closed", "--name", "shut") as shut:
        assert client(shut).ask("a.example").code == dns.SERVFAIL and upstream.queries == []
        done = owned.command("network", "connect", "lan", "shut")
        assert done.code == 0, done
        assert client(shut).ask("a.example").data == ("192.0.2.77",)


def test_the_user_s_own_are_asked_from_the_container_s_network(owned: Host) -> None:
    assert owned.command("network", "create", "--subnet", "10.97.0.0/24", "lan").code == 0
    with owned.container("--network", "lan", "--ip", "10.97.0.53") as server:
        with server.inside():
            serving = dns.serving(one, "10.97.0.53")
            upstream = serving.__enter__()
        with owned.container("--network", "lan", "--dns", "10.97.0.53", "--name", "asker") as asker:
            assert client(asker).ask("asker").data == (asker.address,)
            for reply in (client(asker).ask("a.example"), client(asker).ask_by_stream("a.example")):
                assert reply.data == ("192.0.2.77",)
            assert {address for address, _ in upstream.peers} == {asker.address}
            pid = asker.helper("mydocker-names")
            for kind in ("net", "user"):
                assert os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/{asker.pid}/ns/{kind}")
        serving.__exit__(None, None, None)
