"""Elements of sets and maps, and chains of others, held against what nft(8) says; and flows that are forgotten."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest
from lab.machines import Machine, link
from lab.processes import wait_for

from mydocker.kernel import conntrack, nftables
from mydocker.kernel.nftables import Element, key

pytestmark = pytest.mark.root

RULES = """
table inet t {
    map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }
    set addresses { type ipv6_addr; }
}
table bridge t {
    set members { type ifname . ether_addr . ipv4_addr; }
}
"""


@pytest.fixture
def place() -> Iterator[Machine]:
    """This thread is there meanwhile."""
    with Machine() as machine:
        machine.run("nft", RULES)
        with machine.inside():
            yield machine


def forward(number: int, address: str, target: int) -> Element:
    source = key(nftables.protocol("tcp"), nftables.port(number))
    value = key(nftables.address(address), nftables.port(target))
    return Element(table="t", family=nftables.INET, set="ports", key=source, value=value)


def member(name: str, address: str = "10.88.0.2") -> Element:
    parts = nftables.interface(name), nftables.mac("02:42:0a:58:00:02"), nftables.address(address)
    return Element(table="t", family=nftables.BRIDGE, set="members", key=key(*parts))


def test_whether_a_table_is_there(place: Machine) -> None:
    assert nftables.has_table(nftables.INET, "t")
    assert nftables.has_table(nftables.BRIDGE, "t")
    assert not nftables.has_table(nftables.IPV4, "t")
    assert not nftables.has_table(nftables.INET, "tt")


def test_elements(place: Machine) -> None:
    """As nft writes them; an element that is there already is no error, in a map if its value is the same."""
    six = Element(table="t", family=nftables.INET, set="addresses", key=nftables.address("fd00::7"))
    elements = [forward(8080, "10.88.0.2", 80), forward(8081, "10.88.0.3", 81), member("md0123456789abc"), six]
    nftables.add_elements(elements)
    nftables.add_elements(elements)
    rules = place.run("nft", "list", "ruleset")
    for text in (
        "tcp . 8080 : 10.88.0.2 . 80",
        "tcp . 8081 : 10.88.0.3 . 81",
        '"md0123456789abc" . 02:42:0a:58:00:02 . 10.88.0.2',
        "fd00::7",
    ):
        assert rules.count(text) == 1
    nftables.delete_elements(element.replace(value=b"") for element in elements[1:])
    nftables.delete_elements(elements[1:])
    assert place.run("nft", "list", "ruleset").count("elements = ") == 1
    place.run("nft", "delete", "table", "inet", "t")
    nftables.delete_elements(elements)
    nftables.add_elements([])


def test_all_or_none(place: Machine) -> None:
    """An element that cannot be added keeps the others out."""
    nftables.add_elements([forward(1, "10.0.0.1", 1)])
    with pytest.raises(FileExistsError):
        nftables.add_elements([forward(2, "10.0.0.1", 1), forward(1, "10.0.0.9", 9)])
    assert ". 2 :" not in place.run("nft", "list", "ruleset")
    for element in (forward(3, "10.0.0.1", 1).replace(table="absent"), forward(3, "10.0.0.1", 1).replace(set="absent")):
        with pytest.raises(FileNotFoundError):
            nftables.add_elements([forward(2, "10.0.0.1", 1), element])
    assert ". 2 :" not in place.run("nft", "list", "ruleset")
    with pytest.raises(OSError) as caught:
        nftables.add_elements([forward(2, "10.0.0.1", 1).replace(key=b"short")])
    assert caught.value.errno == errno.EINVAL


def test_an_element_is_replaced(place: Machine) -> None:
    for target in (80, 81, 81):
        nftables.replace_elements([forward(8080, "10.88.0.2", target)])
    assert "elements = { tcp . 8080 : 10.88.0.2 . 81 }" in place.run("nft", "list", "ruleset")
    nftables.replace_elements([forward(7, "10.88.0.2", 7), forward(8080, "10.88.0.2", 82), forward(9, "10.88.0.2", 9)])
    assert place.run("nft", "list", "ruleset").count("tcp . ") == 3


def test_an_element_that_has_another_value_is_not_deleted(place: Machine) -> None:
    """It is somebody else's by now; the others go all the same, and so do those that are there no more."""
    nftables.add_elements([forward(7, "10.88.0.2", 7), forward(8080, "10.88.0.3", 80), member("md0123456789abc")])
    old = [forward(number, "10.88.0.2", 80) for number in (6, 8080)]
    nftables.delete_elements([*old, forward(7, "10.88.0.2", 7), member("md0123456789abc")])
    rules = place.run("nft", "list", "ruleset")
    assert rules.count("elements = ") == 1 and "elements = { tcp . 8080 : 10.88.0.3 . 80 }" in rules


def test_many_elements(place: Machine) -> None:
    """Whatever the number: what the kernel answers fits into a socket. One that is not there keeps no other."""
    elements = [forward(number, "10.0.0.1", number) for number in range(1, 1001)]
    nftables.replace_elements(elements)
    assert place.run("nft", "list", "map", "inet", "t", "ports").count("tcp . ") == 1000
    nftables.delete_elements([elements[5], elements[105]])
    nftables.delete_elements(elements[:999])
    assert "elements = { tcp . 1000 : 10.0.0.1 . 1000 }" in place.run("nft", "list", "ruleset")


def test_chains_that_what_is_forwarded_passes(place: Machine) -> None:
    """Of IPv4, IPv6 and both, with their policies; neither those of other hooks nor of bridges."""
    place.run(
        "nft",
        """
        table ip a {
            chain drops { type filter hook forward priority 0; policy drop; }
            chain plain { }
        }
        table ip6 b {
            chain accepts { type filter hook forward priority 0; policy accept; }
        }
        table inet c {
            chain drops { type filter hook forward priority 5; policy drop; }
            chain other { type filter hook input priority 0; policy drop; }
        }
        table bridge d {
            chain drops { type filter hook forward priority 0; policy drop; }
        }
        """,
    )
    found = {(chain.family, chain.table, chain.name, chain.drops) for chain in nftables.forwarding_chains()}
    assert found == {
        (nftables.IPV4, "a", "drops", True),
        (nftables.IPV6, "b", "accepts", False),
        (nftables.INET, "c", "drops", True),
    }


def test_flows_to_an_address_are_forgotten() -> None:
    """And no others."""
    with Machine() as host, Machine() as outside:
        link(host, outside, "uplink", ones=("192.0.2.1/24",), others=("192.0.2.9/24", "192.0.2.10/24"))
        host.run(
            "nft",
            """
            table ip t {
                chain in {
                    type nat hook prerouting priority dstnat;
                    udp dport 1000 dnat to 192.0.2.9:7
                    udp dport 2000 dnat to 192.0.2.10:7
                }
            }
            """,
        )
        host.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        with outside.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind(("192.0.2.9", 5000))
            for port in (1000, 1000, 2000):
                client.sendto(b"x", ("192.0.2.1", port))
        sent = "src=192.0.2.9 dst=192.0.2.1 sport=5000"
        wait_for(lambda: host.run("cat", "/proc/net/nf_conntrack").count(sent) == 2)
        with host.inside():
            conntrack.forget("192.0.2.9")
            conntrack.forget("192.0.2.77")
        flows = host.run("cat", "/proc/net/nf_conntrack")
        assert "dport=1000" not in flows
        assert flows.count("dport=2000") == 1
