"""`mydocker network connect` and `disconnect`: networks that a container joins and leaves while it runs."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from typing import Any

import pytest
from lab.command import Result
from lab.networks import OUTSIDE, Container, Host
from lab.processes import wait_for

pytestmark = pytest.mark.root


@pytest.fixture
def net(host: Host) -> Host:
    """A host with networks."""
    for words in ("web", "db --ipv6 --subnet 10.217.0.0/24 --subnet fd00:217::/64", "closed --internal"):
        done = host.command("network", "create", *words.split())
        assert done.code == 0, done
    return host


def test_a_container_joins_and_leaves(net: Host) -> None:
    words = ("--name", "server", "-h", "box", "--network", "web")
    with net.container(*words) as server, net.container("--network", "db") as client:
        assert not _reaches(client, server.address, seconds=1)
        words = ("--ip", "10.217.0.77", "--ip6", "fd00:217::77", "--alias", "api", "db", "server")
        assert net.command("network", "connect", *words) == Result(b"", b"", 0)
        assert (server.addresses("eth1"), server.addresses("eth1", "inet6")) == (["10.217.0.77"], ["fd00:217::77"])
        for address in ("10.217.0.77", "fd00:217::77"):
            assert _reaches(client, address, seconds=100)
            assert _reaches(server, client.address, seconds=100)
        assert _inspect(net, "db")["server"]["IPv4Address"] == "10.217.0.77/24"
        assert {"api", "server", "box"} <= _hosts(client)["10.217.0.77"] == _hosts(server)["10.217.0.77"]
        assert client.address in _hosts(server)
        assert _reaches(server, OUTSIDE, seconds=100)  # by the network that it was in before
        assert net.command("network", "disconnect", "db", "server") == Result(b"", b"", 0)
        assert not _reaches(client, "10.217.0.77", seconds=1)
        assert not server.succeeds("ip", "link", "show", "eth1")
        assert "10.217.0.77" not in _hosts(client) and "10.217.0.77" not in _hosts(server)
        assert client.address not in _hosts(server) and server.address in _hosts(server)
        assert "server" not in _inspect(net, "db") and "10.217.0.77" not in net.leases()
        # and again, which is another interface
        assert net.command("network", "connect", "db", "server").code == 0
        [address] = server.addresses("eth2")
        assert _reaches(client, address, seconds=100)
    net.wait_until_clean()
    assert net.leases() == []


def test_a_network_that_was_joined_is_left_at_the_end(net: Host) -> None:
    with net.container("--network", "web", "--name", "server"):
        assert net.command("network", "connect", "db", "server").code == 0
        assert len(net.leases()) == 2 and len(net.traces()["links"]) == 4
    net.wait_until_clean()
    assert net.leases() == []


def test_a_network_that_was_joined_is_left_when_mydocker_is_killed(net: Host) -> None:
    with net.container("--network", "web", "--name", "server") as server:
        assert net.command("network", "connect", "db", "server").code == 0
        server.process.kill()
        wait_for(lambda: net.leases() == [])
        net.wait_until_clean()


def test_a_network_whose_firewall_was_emptied_is_joined(net: Host) -> None:
    """All of it is there again, for those who were in that network before as well."""
    with net.container("--network", "web", "--name", "one") as one, net.container("--network", "db", "-p", "80") as two:
        net.run("nft", "flush", "ruleset")
        assert net.command("network", "connect", "db", "one") == Result(b"", b"", 0)
        [address] = one.addresses("eth1")
        assert _reaches(two, address, seconds=100) and _reaches(two, OUTSIDE, seconds=100)
        rules = net.run("nft", "list", "ruleset")
        for element in (f". {address}", f". {two.address}", f": {two.address} . 80"):
            assert element in rules
        assert net.command("network", "disconnect", "db", "one") == Result(b"", b"", 0)
        net.run("nft", "flush", "ruleset")
        assert net.command("network", "connect", "db", "one").code == 0
        net.run("nft", "flush", "ruleset")
        assert net.command("network", "disconnect", "db", "one") == Result(b"", b"", 0)
    net.wait_until_clean()
    assert net.leases() == []


def test_the_first_way_out_is_the_default_route(net: Host) -> None:
    with net.container("--network", "closed", "--name", "one") as one:
        assert not _reaches(one, OUTSIDE, seconds=1)
        assert net.command("network", "connect", "web", "one").code == 0
        assert _reaches(one, OUTSIDE, seconds=100)
        assert net.command("network", "connect", "db", "one").code == 0
        assert net.command("network", "disconnect", "web", "one").code == 0
        assert _reaches(one, OUTSIDE, seconds=100), "by the network that is left"
        assert net.command("network", "disconnect", "db", "one").code == 0
        assert not _reaches(one, OUTSIDE, seconds=1)


def test_what_cannot_be_connected_is_named(net: Host) -> None:
    with (
        net.container("--network", "web", "--name", "server", "-p", "127.0.0.1:0:80"),
        net.container("--network", "none", "--name", "alone"),
        net.container("--network", "db", "--ip", "10.217.0.9", "--name", "other"),
    ):
        for words, message in (
            ("connect web server", "is in network web already"),
            ("connect db alone", "container alone is in no network"),
            ("connect db nonesuch", "no container nonesuch runs"),
            ("connect nonesuch server", "there is no network nonesuch"),
            ("connect --ip 10.217.0.9 db server", "address 10.217.0.9 is in use in network db"),
            ("disconnect db server", "container server is not in network db"),
            ("disconnect nonesuch server", "there is no network nonesuch"),
            ("disconnect web nonesuch", "no container nonesuch runs"),
            ("disconnect web server", "its ports are published there"),
        ):
            done = net.command("network", *words.split())
            assert (done.stdout, done.code) == (b"", 1) and message in done.stderr.decode(), done
        done = net.command("network", "connect", "--ip", "10.217.1.1", "db", "server")
        assert done.code == 2 and b"is outside of the subnet" in done.stderr
        done = net.command("network", "connect", "--link", "x", "db", "server")
        assert done.code == 2 and b"--link is not supported" in done.stderr
        assert len(net.leases()) == 2


def test_a_network_that_could_not_be_joined_is_taken_down(net: Host) -> None:
    with net.container("--network", "web", "--name", "server"):
        before = net.traces()
        done = net.command("network", "connect", "--ip", "10.217.0.1", "db", "server")
        assert done.code == 2 and b"is the gateway's" in done.stderr
        assert net.traces() == before


def test_a_container_that_is_about_to_end_leaves_nothing(net: Host) -> None:
    """It ends while it is connected, at any moment."""
    for number in range(12):
        with net.container("--network", "web", "--name", name := f"server{number}") as server:
            connecting = net.command.start("network", "connect", "db", name)
            time.sleep(number * 0.02)
            os.kill(server.process.pid, signal.SIGKILL if number % 2 else signal.SIGTERM)
            _, stderr = connecting.communicate(timeout=240)
            assert b"Traceback" not in stderr and connecting.returncode in (0, 1, 125), stderr
    net.wait_until_clean()
    assert net.leases() == []


def test_a_container_that_gives_back_its_networks_joins_no_more(net: Host) -> None:
    with net.container("--network", "web", "--name", "server"):
        [run_dir] = (net.command.store / "containers").iterdir()
        before = net.traces()
        (run_dir / "network1").symlink_to("closed")  # as the run does before it reads what it has
        done = net.command("network", "connect", "db", "server")
        assert (done.stdout, done.code) == (b"", 1) and b"has ended" in done.stderr
        assert net.traces() == before and len(net.leases()) == 1


def test_a_container_that_is_being_removed_joins_no_more(net: Host) -> None:
    """By its cleanup process, which has the lock of its directory alone meanwhile."""
    run_dir = net.command.store / "containers/0123456789ab"
    run_dir.mkdir()
    (run_dir / "network0").symlink_to("\t".join([str(net.command.store / "networks/web"), *"abcdef"]))
    lock = os.open(run_dir, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    done = net.command("network", "connect", "db", "0123")
    os.close(lock)
    assert (done.stdout, done.code) == (b"", 1) and b"container 0123456789ab has ended" in done.stderr
    assert net.leases() == [] and not any(net.traces().values())


def _inspect(net: Host, name: str) -> dict[str, Any]:
    """The containers of a network, by their names."""
    [found] = json.loads(net.command("network", "inspect", name).stdout)
    return {each["Name"]: each for each in found["Containers"].values()}


def _hosts(container: Container) -> dict[str, set[str]]:
    """/etc/hosts as it is inside."""
    lines = [line.split() for line in container.sh("cat /etc/hosts").splitlines()]
    found: dict[str, set[str]] = {}
    for address, *names in lines:
        found.setdefault(address, set()).update(names)
    return found


def _reaches(container: Container, address: str, *, seconds: int) -> bool:
    """Whether ADDRESS answers the container within SECONDS."""
    assert container.succeeds("busybox", "ping", "-c", "1", "-w", "100", "-W", "100", "127.0.0.1")
    return container.succeeds("busybox", "ping", "-c", "1", "-w", str(seconds), "-W", str(seconds), address)
