from __future__ import annotations

import ipaddress
import pathlib
import re

import pytest

from mydocker.errors import HostError, UsageError
from mydocker.runtime.network import Subnet, subnets


@pytest.mark.parametrize(
    ("taken", "default", "expected"),
    [
        ([], True, "10.88.0.0/16"),
        ([], False, "10.89.0.0/24"),
        (["10.88.3.0/24"], True, "10.90.0.0/16"),
        (["10.64.0.0/10"], True, "10.128.0.0/16"),
        (["10.88.0.7"], True, "10.90.0.0/16"),
        (["10.89.0.0/24", "10.89.1.128/25"], False, "10.89.2.0/24"),
        (["10.0.0.0/8"], True, "172.31.0.0/16"),
        (["10.0.0.0/8"], False, "172.31.0.0/24"),
        (["10.0.0.0/8", "172.16.0.0/12"], True, "192.168.255.0/24"),
        (["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "fd00::/8", "::/0"], True, "10.88.0.0/16"),
    ],
)
def test_a_subnet_overlaps_nothing_that_is_taken(taken: list[str], default: bool, expected: str) -> None:
    found = subnets.free_subnet(taken, default=default)
    first = ipaddress.ip_network(expected)[1]
    assert found == Subnet(network=expected, gateway=str(first))


@pytest.mark.parametrize("default", [True, False])
def test_a_host_without_free_private_addresses_is_an_error(default: bool) -> None:
    with pytest.raises(HostError, match="no private subnet free"):
        subnets.free_subnet(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"], default=default)


@pytest.mark.parametrize(
    ("taken", "expected", "within"),
    [
        (["10.90.0.0/24"], "10.90.0.0/24", "10.90.0.0/24"),
        (["10.91.0.0/16", "10.90.0.128/25"], "10.90.0.128/25", "10.90.0.128/25"),
        (["10.90.0.7"], "10.90.0.7", "10.90.0.7"),
        (["10.0.0.0/8"], "10.0.0.0/8", ""),
        (["0.0.0.0/0", "0.0.0.0/1", "10.90.1.0/24", "fd00::/8"], "", ""),
    ],
)
def test_what_overlaps_a_subnet(taken: list[str], expected: str, within: str) -> None:
    """Who sets a subnet within a wider route, of a VPN for instance, means it."""
    assert subnets.overlapping("10.90.0.0/24", taken, within=False) == expected
    assert subnets.overlapping("10.90.0.0/24", taken, within=True) == within


def test_unique_local_addresses_are_random() -> None:
    one, other = subnets.free_subnet6(), subnets.free_subnet6()
    assert one != other
    for each in (one, other):
        network = ipaddress.IPv6Network(each.network)
        assert network.prefixlen == 64 and network.subnet_of(ipaddress.IPv6Network("fd00::/8"))
        assert each.gateway == str(network[1])


@pytest.mark.parametrize(
    ("text", "gateway", "expected"),
    [
        ("10.90.0.0/24", None, Subnet(network="10.90.0.0/24", gateway="10.90.0.1")),
        ("10.90.0.0/24", "10.90.0.254", Subnet(network="10.90.0.0/24", gateway="10.90.0.254")),
        ("10.90.0.4/30", None, Subnet(network="10.90.0.4/30", gateway="10.90.0.5")),
        ("fd00:0:0:1::/64", None, Subnet(network="fd00:0:0:1::/64", gateway="fd00:0:0:1::1")),
        ("FD00:1::/48", "fd00:1::0002", Subnet(network="fd00:1::/48", gateway="fd00:1::2")),
    ],
)
def test_subnets_of_users(text: str, gateway: str | None, expected: Subnet) -> None:
    assert subnets.parse_subnet(text, gateway) == expected


@pytest.mark.parametrize(
    ("text", "gateway", "message"),
    [
        ("10.90.0.0", None, "expected a network"),
        ("10.90.0/24", None, "expected a network"),
        ("", None, "expected a network"),
        ("10.90.0.5/24", None, "did you mean '10.90.0.0/24'?"),
        ("fd00::5/64", None, "did you mean 'fd00::/64'?"),
        ("10.90.0.0/31", None, "more than 30 bits"),
        ("fd00::/112", None, "more than 96 bits"),
        ("127.0.0.0/8", None, "of this kind"),
        ("224.0.0.0/8", None, "of this kind"),
        ("169.254.0.0/16", None, "of this kind"),
        ("0.0.0.0/1", None, "of this kind"),
        ("fe80::/64", None, "of this kind"),
        ("10.90.0.0/24", "10.91.0.1", "not an address that a host can have"),
        ("10.90.0.0/24", "10.90.0.0", "not an address that a host can have"),
        ("10.90.0.0/24", "10.90.0.255", "not an address that a host can have"),
        ("10.90.0.0/24", "fd00::1", "not an address that a host can have"),
        ("fd00::/64", "fd00::", "not an address that a host can have"),
        ("10.90.0.0/24", "x", "expected an address in the subnet 10.90.0.0/24"),
    ],
)
def test_subnets_that_no_network_can_have(text: str, gateway: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        subnets.parse_subnet(text, gateway)


def test_the_range_of_containers_is_a_part_of_the_subnet() -> None:
    assert subnets.parse_subnet("10.90.0.0/16", ip_range="10.90.5.0/24").ip_range == "10.90.5.0/24"
    for text, ip_range in (
        ("10.90.0.0/16", "10.91.0.0/24"),
        ("10.90.0.0/16", "10.0.0.0/8"),
        ("10.90.0.0/16", "fd00::/64"),
        ("fd00::/64", "fd00::/80"),
    ):
        with pytest.raises(UsageError, match="expected a part of an IPv4 subnet"):
            subnets.parse_subnet(text, ip_range=ip_range)
    for ip_range, message in (("10.90.5.1/24", "did you mean '10.90.5.0/24'?"), ("x", "IP range 'x': expected a net")):
        with pytest.raises(UsageError, match=re.escape(message)):
            subnets.parse_subnet("10.90.0.0/16", ip_range=ip_range)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("10.0.0.0/8", "10.1.0.0/16", True),
        ("10.1.0.0/16", "10.0.0.0/8", True),
        ("10.1.0.0/16", "10.2.0.0/16", False),
        ("fd00::/64", "fd00::/48", True),
        ("fd00::/64", "10.0.0.0/8", False),
    ],
)
def test_overlaps(one: str, other: str, expected: bool) -> None:
    assert subnets.overlaps(one, other) is expected


ROUTES = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0104A8C0	0003	0	0	0	00000000	0	0	0
eth0	0004A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
tun0	0000580A	00000000	0001	0	0	0	0000FFFF	0	0	0
*	0100000A	00000000	0205	0	0	0	FFFFFFFF	0	0	0
"""


def test_routes_are_read_as_the_kernel_writes_them(tmp_path: pathlib.Path) -> None:
    (tmp_path / "route").write_text(ROUTES)
    found = subnets._routes(str(tmp_path / "route"))
    assert found == ["0.0.0.0/0", "192.168.4.0/24", "10.88.0.0/16", "10.0.0.1/32"]


def test_resolvers_are_read_without_those_of_the_host_itself(tmp_path: pathlib.Path) -> None:
    lines = [
        "# nameserver 1.1.1.1",
        *(f"nameserver {word}" for word in ("127.0.0.53", "10.89.0.53", "fd00::1", "", "x")),
    ]
    (tmp_path / "resolv.conf").write_text("\n".join(lines))
    assert subnets._resolvers(str(tmp_path / "resolv.conf")) == ["10.89.0.53"]


def test_this_host_can_be_read() -> None:
    """No file is an error, and each network is one."""
    assert all(subnets._range(text) for text in subnets.host_networks())
    assert subnets._lines("/nonesuch") == []
