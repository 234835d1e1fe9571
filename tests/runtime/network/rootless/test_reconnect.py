"""`mydocker network connect` and `disconnect` of an ordinary user: as root's, in the namespaces of the holder."""

from __future__ import annotations

import json
import os
import signal
import socket
import time

import pytest
from lab import dns
from lab.command import Result
from lab.networks import Container, Host
from lab.processes import wait_for

from mydocker.kernel.processes import has_ended

pytestmark = [pytest.mark.root, pytest.mark.rootless]


@pytest.fixture
def net(owned: Host) -> Host:
    for words in ("web", "db --ipv6 --subnet 10.217.0.0/24 --subnet fd00:217::/64"):
        assert owned.command("network", "create", *words.split()).code == 0
    return owned


def test_a_container_joins_and_leaves(net: Host) -> None:
    with net.container("--name", "server", "--network", "web") as server, net.container("--network", "db") as client:
        assert not _reaches(client, server.address, seconds=1)
        words = ("--ip", "10.217.0.77", "--ip6", "fd00:217::77", "--alias", "api", "db", "server")
        assert net.command("network", "connect", *words) == Result(b"", b"", 0)
        assert (server.addresses("eth1"), server.addresses("eth1", "inet6")) == (["10.217.0.77"], ["fd00:217::77"])
        for address in ("10.217.0.77", "fd00:217::77"):
            assert _reaches(client, address, seconds=100)
            assert _reaches(server, client.address, seconds=100)
        [found] = json.loads(net.command("network", "inspect", "db").stdout)
        assert "10.217.0.77/24" in [each["IPv4Address"] for each in found["Containers"].values()]
        assert "10.217.0.77\tapi server" in client.sh("cat /etc/hosts") and "10.217.0.77" in server.sh("cat /etc/hosts")
        assert net.command("network", "disconnect", "db", "server") == Result(b"", b"", 0)
        assert not _reaches(client, "10.217.0.77", seconds=1)
        assert not server.succeeds("ip", "link", "show", "eth1")
        assert "10.217.0.77" not in client.sh("cat /etc/hosts") + server.sh("cat /etc/hosts")
        assert "10.217.0.77" not in net.leases()
        assert net.command("network", "connect", "db", "server").code == 0  # and again, which is another interface
        [address] = server.addresses("eth2")
        assert _reaches(client, address, seconds=100)
    assert net.leases() == []


def test_a_network_that_was_joined_is_left_when_mydocker_is_killed(net: Host) -> None:
    with net.container("--network", "web", "--name", "server") as server:
        assert net.command("network", "connect", "db", "server").code == 0
        assert len(net.leases()) == 2
        server.process.kill()
        wait_for(lambda: net.leases() == [])


def test_what_cannot_be_connected_is_named(net: Host) -> None:
    with (
        net.container("--network", "web", "--name", "server", "-p", "127.0.0.1:0:80"),
        net.container("--network", "none", "--name", "alone"),
        net.container("--network", "db", "--ip", "10.217.0.9", "--name", "other"),
    ):
        before = net.leases()
        for words, message in (
            ("connect web server", "is in network web already"),
            ("connect db alone", "container alone is in no network"),
            ("connect db nonesuch", "no container nonesuch runs"),
            ("connect nonesuch server", "there is no network nonesuch"),
            ("connect --ip 10.217.0.9 db server", "address 10.217.0.9 is in use in network db"),
            ("disconnect db server", "container server is not in network db"),
            ("disconnect web server", "its ports are published there"),
        ):
            done = net.command("network", *words.split())
            assert (done.stdout, done.code) == (b"", 1) and message in done.stderr.decode(), done
        done = net.command("network", "connect", "--ip", "10.217.1.1", "db", "server")
        assert done.code == 2 and b"is outside of the subnet" in done.stderr
        assert net.leases() == before


def test_a_container_that_is_about_to_end_leaves_nothing(net: Host) -> None:
    """It ends while it is connected, at any moment."""
    for number in range(8):
        with net.container("--network", "web", "--name", name := f"server{number}") as server:
            connecting = net.command.start("network", "connect", "db", name)
            time.sleep(number * 0.03)
            os.kill(server.process.pid, signal.SIGKILL if number % 2 else signal.SIGTERM)
            _, stderr = connecting.communicate(timeout=240)
            assert b"Traceback" not in stderr and connecting.returncode in (0, 1, 125), stderr
    wait_for(lambda: net.leases() == [])


def test_the_holder_was_killed(net: Host) -> None:
    with net.container("--network", "web", "--name", "server"):
        _kill_holder(net)
        done = net.command("network", "connect", "db", "server")
        assert (done.stdout, done.code) == (b"", 125), done
        assert done.stderr.startswith(b"mydocker: the process that holds the networks of this user has ended\nhint: ")


def _kill_holder(net: Host) -> None:
    with open(os.pidfd_open(int((net.command.store / "networks/.holder").read_text().split()[0])), "rb") as pidfd:
        signal.pidfd_send_signal(pidfd.fileno(), signal.SIGKILL)
        assert has_ended(pidfd.fileno(), 100)


def _reaches(container: Container, address: str, *, seconds: int) -> bool:
    return container.succeeds("busybox", "ping", "-c", "1", "-w", str(seconds), "-W", str(seconds), address)


def test_a_container_is_found_by_its_new_name(net: Host) -> None:
    """Also when its network has been killed."""
    try:
        for name in ("peer", "before"):
            words = ("run", "-d", "--name", name, "--network", "web", "alpine", "sleep", "1000")
            assert net.command(*words).code == 0
        assert net.command("rename", "before", "new") == Result(b"", b"", 0)
        hosts = net.command("exec", "peer", "cat", "/etc/hosts").stdout
        assert b"\tnew " in hosts and b"\tbefore " not in hosts
        assert net.command("network", "connect", "db", "new") == Result(b"", b"", 0)
        assert net.command("restart", "-t", "0", "new").code == 0
        found = json.loads(net.command("inspect", "new").stdout)[0]["NetworkSettings"]["Networks"]
        assert found.keys() == {"web", "db"}
        _kill_holder(net)
        assert net.command("rename", "new", "newer") == Result(b"", b"", 0)
        assert b"\tnewer " in net.command("exec", "peer", "cat", "/etc/hosts").stdout
    finally:
        net.command("rm", "-f", "peer", "before", "new", "newer")


def test_a_container_that_has_the_port_of_the_name_server(net: Host) -> None:
    """Its names are in /etc/hosts alone then."""
    with net.container("--network", "db", "--name", "peer") as peer, net.container("--name", "app") as app:
        with app.inside():
            taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            taken.bind(("127.0.0.11", 65353))
        assert net.command("network", "connect", "db", "app") == Result(b"", b"", 0)
        taken.close()
        assert "127.0.0.11" not in app.sh("cat /etc/resolv.conf")
        assert f"{peer.address}\tpeer" in app.sh("cat /etc/hosts")


@pytest.mark.parametrize("words", [(), ("--dns", "10.217.0.2")], ids=["host's", "own"])
def test_names_resolve_at_once(net: Host, words: tuple[str, ...]) -> None:
    """Also for a container that was started in the default network, which has no name server then."""
    with net.container("--network", "db", "--name", "peer") as peer, net.container("--name", "app", *words) as app:
        assert net.command("network", "connect", "db", "app") == Result(b"", b"", 0)
        assert app.sh("grep nameserver /etc/resolv.conf") == "nameserver 127.0.0.11\n"
        assert dns.Client(app.inside).ask("peer").data == (peer.address,)
        assert net.command("network", "disconnect", "db", "app") == Result(b"", b"", 0)
        assert dns.Client(app.inside).ask(app.sh("hostname").strip()).data == (app.address,)
    wait_for(lambda: net.leases() == [])
