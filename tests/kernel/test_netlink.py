"""What mydocker does with interfaces, held against what ip(8) says of them, in network namespaces of the tests' own."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from lab.machines import Machine

from mydocker import kernel
from mydocker.kernel import netlink
from mydocker.kernel.netlink import Channel

pytestmark = pytest.mark.root

MAC = "02:42:0a:00:00:01"


@pytest.fixture
def place() -> Iterator[Machine]:
    with Machine() as machine:
        yield machine


@pytest.fixture
def channel(place: Machine) -> Iterator[Channel]:
    """A socket that was opened there; it stays one of that namespace."""
    with place.inside():
        opened = Channel()
    with opened:
        yield opened


def shown(place: Machine, *words: str) -> list[dict[str, Any]]:
    """What `ip WORDS` says, parsed."""
    return json.loads(place.run("ip", "-json", "-details", *words)) or []  # type: ignore[no-any-return]


def test_a_bridge(place: Machine, channel: Channel) -> None:
    channel.send(netlink.add_bridge("md-test", mac=MAC), netlink.set_mtu("md-test", 1400))
    link = netlink.get_link(channel, "md-test")
    assert link == netlink.Link(
        index=link.index if link else 0, is_up=False, name="md-test", mtu=1400, mac=MAC, kind="bridge"
    )
    [entry] = shown(place, "link", "show", "md-test")
    assert (entry["mtu"], entry["address"], entry["linkinfo"]["info_kind"]) == (1400, MAC, "bridge")
    channel.send(netlink.set_up(link.index, name="md-test"))
    again = netlink.get_link(channel, "md-test")
    assert again and again.is_up
    channel.send(netlink.delete_link("md-test"))
    assert netlink.get_link(channel, "md-test") is None


def test_several_requests_in_one_call(place: Machine, channel: Channel) -> None:
    """They are carried out in their order."""
    add, delete = netlink.add_bridge("a", mac=MAC), netlink.delete_link("a")
    channel.send(add, delete, add, netlink.set_mtu("a", 900))
    assert [link["mtu"] for link in shown(place, "link", "show", "a")] == [900]


@pytest.mark.parametrize("name", ["x" * 15, "with-umlaut-ä"])
def test_names(channel: Channel, name: str) -> None:
    channel.send(netlink.add_bridge(name, mac=MAC))
    link = netlink.get_link(channel, name)
    assert link and link.name == name


def test_a_pair_of_interfaces(place: Machine, channel: Channel) -> None:
    """One end is up and on a bridge, the other one in another namespace with the number and address that were set."""
    channel.send(netlink.add_bridge("bridge0", mac=MAC))
    bridge = netlink.get_link(channel, "bridge0")
    assert bridge
    with Machine() as other:
        channel.send(
            netlink.add_veth(
                "md0123456789ab0",
                master=bridge.index,
                mtu=1400,
                peer="eth0",
                peer_mac="02:00:00:00:00:07",
                pid=other.pid,
            ),
            netlink.allow_hairpin("md0123456789ab0"),
        )
        [near] = shown(place, "link", "show", "md0123456789ab0")
        assert (near["master"], near["mtu"], "UP" in near["flags"]) == ("bridge0", 1400, True)
        assert near["linkinfo"]["info_slave_data"]["hairpin"] is True
        [far] = shown(other, "link", "show", "eth0")
        assert (far["address"], far["mtu"], "UP" in far["flags"]) == ("02:00:00:00:00:07", 1400, False)
        link = netlink.get_link(channel, "md0123456789ab0")
        assert link and (link.peer, link.master) == (far["ifindex"], bridge.index)


def test_addresses_and_routes(place: Machine, channel: Channel) -> None:
    """IPv4 and IPv6; what is down gets no address by itself that was not wanted."""
    channel.send(netlink.add_bridge("one", mac=MAC), netlink.add_bridge("two", mac="02:00:00:00:00:02"))
    one, two = netlink.get_link(channel, "one"), netlink.get_link(channel, "two")
    assert one and two
    channel.send(
        netlink.add_address(one.index, "10.9.8.1", prefix=20),
        netlink.add_address(one.index, "fd00:7::1", prefix=64),
        netlink.forgo_link_local(two.index, name="two"),
        netlink.add_address(two.index, "10.7.0.1", prefix=31),
        netlink.set_up(one.index, name="one"),
        netlink.set_up(two.index, name="two"),
        netlink.add_default_route(one.index, "10.9.8.7"),
        netlink.add_default_route(one.index, "fd00:7::9"),
    )
    found = {
        (entry["ifname"], info["local"], info["prefixlen"], info.get("broadcast"))
        for entry in shown(place, "address")
        for info in entry["addr_info"]
        if info["scope"] == "global"
    }
    assert found == {
        ("one", "10.9.8.1", 20, "10.9.15.255"),
        ("one", "fd00:7::1", 64, None),
        ("two", "10.7.0.1", 31, None),
    }
    of_the_link = shown(place, "-6", "address", "show", "scope", "link")
    assert "two" not in [entry["ifname"] for entry in of_the_link if entry.get("addr_info")]
    waiting = [info["local"] for entry in shown(place, "address", "show", "tentative") for info in entry["addr_info"]]
    assert not {"fd00:7::1"} & {*waiting}
    for family, gateway in (("-4", "10.9.8.7"), ("-6", "fd00:7::9")):
        [route] = shown(place, family, "route", "show", "default")
        assert (route["gateway"], route["dev"]) == (gateway, "one")


def test_the_loopback(channel: Channel) -> None:
    link = netlink.get_link(channel, "lo")
    assert link and (link.index, link.is_up, link.mac) == (1, True, "00:00:00:00:00:00")


def test_a_list_that_takes_more_than_one_message(channel: Channel) -> None:
    names = [f"b{number}" for number in range(120)]
    for name in names:
        channel.send(netlink.add_bridge(name, mac=MAC))
    links = netlink.list_links(channel)
    assert {link.name for link in links} >= {*names, "lo"}
    assert len({link.index for link in links}) == len(links)
    assert {link.kind for link in links if link.name in names} == {"bridge"}


def test_what_fails_is_named(channel: Channel) -> None:
    """By its error and by what it was about; an error leaves the channel usable."""
    channel.send(netlink.add_bridge("there", mac=MAC))
    there = netlink.get_link(channel, "there")
    assert there
    absent = {"master": 9999, "mtu": 1500, "peer": "eth0", "peer_mac": MAC}
    cases: list[tuple[netlink.Request, int, str]] = [
        (netlink.add_bridge("there", mac=MAC), errno.EEXIST, "there"),
        (netlink.delete_link("absent"), errno.ENODEV, "absent"),
        (netlink.set_up(9999, name="absent"), errno.ENODEV, "absent"),
        (netlink.add_address(9999, "10.0.0.1", prefix=8), errno.ENODEV, "10.0.0.1"),
        (netlink.add_default_route(there.index, "10.250.0.1"), errno.ENETUNREACH, "the route to 10.250.0.1"),
        (netlink.add_veth("v", pid=2**22 + 1, **absent), errno.ESRCH, "v"),  # type: ignore[arg-type]  # of one kind
        (netlink.set_mtu("there", 10**6), errno.EINVAL, "there"),
    ]
    for request, number, about in cases:
        with pytest.raises(OSError) as caught:
            channel.send(request)
        assert (caught.value.errno, caught.value.filename) == (number, about)
        assert netlink.get_link(channel, "there") == there


def test_the_first_failure_of_several(channel: Channel) -> None:
    """What follows it is carried out all the same, and no answer of it is taken for one to a later request."""
    with pytest.raises(OSError, match="first"):
        channel.send(netlink.delete_link("first"), netlink.add_bridge("after", mac=MAC), netlink.delete_link("second"))
    assert netlink.get_link(channel, "after")
    assert netlink.get_link(channel, "second") is None


def test_without_privileges(channel: Channel) -> None:
    """It is not enough to have a socket that somebody else has opened."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            kernel.set_capabilities(0)
            channel.send(netlink.add_bridge("md-x", mac=MAC))
        except OSError as error:
            os.write(writer, f"{error.errno} {error.filename}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as report:
        assert report.read() == f"{errno.EPERM} md-x"
    os.waitpid(pid, 0)
    assert netlink.get_link(channel, "md-x") is None
