"""Containers in the background that are renamed, connected and disconnected: by which names all find each other, then
and after they have been started again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest
from lab.networks import Host
from lab.processes import wait_for

pytestmark = pytest.mark.root


class Background:
    """Containers in the background of a host, and what the names in their networks mean to them."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def do(self, words: str, *, code: int = 0) -> str:
        """What mydocker prints that is called with WORDS, and exits with CODE."""
        done = self.host.command(*words.split())
        assert done.code == code, done
        return (done.stdout if code == 0 else done.stderr).decode()

    def start(self, name: str, *options: str) -> None:
        self.do(f"run -d --name {name} {' '.join(options)} alpine sleep 1000")

    def find(self, container: str, name: str) -> list[str]:
        """The addresses of NAME in the file of CONTAINER."""
        lines = self.do(f"exec {container} cat /etc/hosts").splitlines()
        return [words[0] for line in lines if name in (words := line.split())[1:]]

    def resolves(self, container: str, name: str, *, seconds: int = 100) -> bool:
        """Whether the name server of CONTAINER knows NAME. For what it does not know it asks others, who are not there:
        that is given up after so many SECONDS."""
        words = ("nslookup", f"-timeout={seconds}", f"-retry={seconds // 5}", "-type=a", name, "127.0.0.11")
        return self.host.command("exec", container, *words).code == 0

    def addresses(self, container: str) -> dict[str, str]:
        found = json.loads(self.do(f"inspect {container}"))[0]["NetworkSettings"]["Networks"]
        return {name: each["IPAddress"] for name, each in found.items()}


def test_how_a_container_is_connected(net: Background) -> None:
    net.do("run -d --name x --network web --network-alias other alpine sleep 1000")
    settings = json.loads(net.do("inspect x"))[0]["NetworkSettings"]
    found, subnet = settings["Networks"]["web"], json.loads(net.do("network inspect web"))[0]["IPAM"]["Config"][0]
    assert (found["Gateway"], str(found["IPPrefixLen"])) == (subnet["Gateway"], subnet["Subnet"].partition("/")[2])
    assert found["MacAddress"] == net.do("exec x cat /sys/class/net/eth0/address").strip()
    assert "other" in found["Aliases"] and (settings["Gateway"], settings["IPAddress"]) == ("", "")
    net.do("kill x")
    wait_for(lambda: net.addresses("x") == {})  # it has its networks until its cleanup has come to them


@pytest.fixture
def net(host: Host) -> Iterator[Background]:
    """A host with two networks."""
    found = Background(host)
    for name in ("web", "db"):
        found.do(f"network create {name}")
    yield found
    ids = found.do("ps -aq").split()
    assert not ids or host.command("rm", "-f", *ids).code == 0


def test_a_network_that_was_joined_is_joined_again(net: Background) -> None:
    net.start("peer", "--network", "web")
    net.start("other", "--network", "db")
    net.start("plain")
    for words in ("--alias api web other", "--alias late web plain"):
        net.do(f"network connect {words}")
    assert net.do("ps --filter network=web --format {{.Names}}").split() == ["plain", "other", "peer"]
    for name in ("other", "plain"):
        net.do(f"restart -t 0 {name}")
    for name, alias in (("other", "api"), ("plain", "late")):
        [address] = net.find("peer", alias)
        assert net.addresses(name)["web"] == address and net.find("peer", name) == [address]
        assert net.find(name, "peer") == [net.addresses("peer")["web"]]
        assert net.resolves(name, "peer") and net.resolves("peer", alias)
    net.do("network disconnect db other")
    assert net.addresses("other").keys() == {"web"}
    net.do("restart -t 0 other")
    assert net.addresses("other").keys() == {"web"} and net.resolves("peer", "api")


def test_a_container_without_names_gets_some(net: Background) -> None:
    """One that was started in the default network: in its file, and as soon as it is started again, by DNS."""
    net.start("peer", "--network", "web")
    net.start("plain", "-h", "box")
    before = net.do("exec plain cat /etc/hosts")
    net.do("network connect --alias api web plain")
    net.start("late", "--network", "web")
    [address] = net.find("peer", "api")
    assert address in net.find("plain", "box") and net.find("plain", "api") == [address]
    for name in ("peer", "late"):
        assert net.find("plain", name) == [net.addresses(name)["web"]]
        assert net.do(f"exec plain ping -c 1 -w 100 -W 100 {name}")
    net.do("network disconnect web plain")
    assert net.do("exec plain cat /etc/hosts") == before
    net.do("network connect web plain")
    net.do("network disconnect bridge plain")
    net.do("rm -f late")
    assert net.find("plain", "box") == [net.addresses("plain")["web"]] and net.find("plain", "late") == []


def test_containers_that_share_a_network_know_the_same_names(net: Background) -> None:
    """Of those that come and go later, too."""
    net.start("first", "--network", "web")
    net.start("second", "--network", "container:first")
    net.start("third", "--network", "container:second")
    net.start("peer", "--network", "web")
    address = net.addresses("peer")["web"]
    assert [net.find(name, "peer") for name in ("first", "second", "third")] == [[address]] * 3
    net.do("rename peer other")
    assert [net.find("third", name) for name in ("peer", "other")] == [[], [address]]
    net.do("rm -f other")
    assert [net.find(name, "other") for name in ("first", "second", "third")] == [[]] * 3
    net.do("rm -f first")
    assert net.find("third", "first")  # the file stays for them


def test_a_container_that_has_ended_is_in_other_networks_when_it_starts(net: Background) -> None:
    net.start("peer", "--network", "web")
    net.do("create --name box --network db alpine sleep 1000")
    net.do("network connect --alias api web box")
    assert "is in network web already" in net.do("network connect web box", code=1)
    net.do("network disconnect db box")
    assert "is not in network db" in net.do("network disconnect db box", code=1)
    net.do("start box")
    assert net.addresses("box").keys() == {"web"}
    assert net.find("peer", "api") == net.find("peer", "box") == [net.addresses("box")["web"]]
    assert net.do("exec box ip route").startswith("default via ")
    net.do("create --name none --network none alpine true")
    assert "is in no network" in net.do("network connect web none", code=1)


def test_a_container_moves_from_its_only_network(net: Background) -> None:
    net.start("peer", "--network", "web")
    net.start("box", "--network", "db", "-h", "www")
    net.do("network disconnect db box")
    assert net.addresses("box") == {} and net.find("box", "www") == []
    net.do("network connect web box")
    assert net.find("peer", "www") == net.find("box", "www") == [net.addresses("box")["web"]]
    assert net.resolves("box", "peer")
    net.do("network disconnect web box")
    net.do("restart -t 0 box")
    assert net.addresses("box") == {} and "eth0" not in net.do("exec box ip link")


def test_a_container_is_found_by_its_new_name(net: Background) -> None:
    net.start("peer", "--network", "web")
    net.start("old", "--network", "web", "--network-alias", "api", "-h", "www")
    net.start("kept", "--network", "web", "--network-alias", "kept")
    for before, after in (("old", "new"), ("kept", "other")):
        net.do(f"rename {before} {after}")
    address, kept = net.addresses("new")["web"], net.addresses("other")["web"]
    for container in ("peer", "new", "other"):
        assert net.find(container, "old") == []
        assert [net.find(container, name)[-1:] for name in ("new", "api", "www")] == [[address]] * 3
        assert net.find(container, "kept") == net.find(container, "other") == [kept]
    assert net.resolves("peer", "new") and not net.resolves("peer", "old", seconds=5)
    net.start("late", "--network", "web")
    assert net.find("late", "new") == [address]
    for name in ("new", "other", "late"):
        net.do(f"rm -f {name}")
    assert [net.find("peer", name) for name in ("new", "other", "late", "www")] == [[]] * 4


def test_a_container_that_starts_again_by_itself_has_its_new_name(net: Background) -> None:
    net.start("peer", "--network", "web")
    net.start("old", "--network", "web", "--restart", "always")
    net.do("rename old new")
    net.do("network connect db new")
    os.kill(int(net.do("inspect -f {{.State.Pid}} new")), signal.SIGKILL)
    wait_for(lambda: net.do("inspect -f {{.RestartCount}}{{.State.Status}} new") == "1running\n")
    wait_for(lambda: net.addresses("new").keys() == {"web", "db"})
    assert net.find("peer", "old") == [] and net.find("peer", "new") == [net.addresses("new")["web"]]


@pytest.mark.parametrize("alias", ["two words", "localhost\nevil", "", "a\tb", "#"])
def test_an_alias_that_is_no_name(net: Background, alias: str) -> None:
    net.start("peer", "--network", "web")
    net.start("box", "--network", "db")
    before = net.do("exec peer cat /etc/hosts")
    done = net.host.command("network", "connect", "--alias", alias, "web", "box")
    assert done.code == 2 and b"is not a host name" in done.stderr
    assert net.do("exec peer cat /etc/hosts") == before


def test_nobody_else_becomes_the_machine_itself(net: Background) -> None:
    net.start("peer", "--network", "web")
    net.start("box", "-h", "localhost")
    net.do("network connect --alias LocalHost web box")
    assert net.find("peer", "localhost") == ["127.0.0.1", "::1"] and net.find("peer", "LocalHost") == []
