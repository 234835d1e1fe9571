from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mydocker.runtime.network import addresses


@given(some.integers(0, 2**32 - 1))
def test_an_ipv4_address_is_written_and_read_as_ipaddress_does(number: int) -> None:
    text = str(ipaddress.IPv4Address(number))
    assert addresses.format_ipv4(number) == text
    assert addresses.parse_ipv4(text) == number


NOT_IPV4 = [
    "",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "1.2.3.04",
    "1.2.3.-4",
    "1.2.3. 4",
    "1.2.3.٤",
    "1.2.3.",
    "::1",
    "1_0.2.3.4",
]


@pytest.mark.parametrize("text", NOT_IPV4)
def test_what_is_no_ipv4_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an IPv4 address"):
        addresses.parse_ipv4(text)


# groups of zeros are what the text of an address depends on
groups = some.lists(some.one_of(some.just(0), some.integers(0, 0xFFFF)), min_size=8, max_size=8)


@given(groups)
def test_an_ipv6_address_is_written_and_read_as_ipaddress_does(parts: list[int]) -> None:
    number = int.from_bytes(b"".join(part.to_bytes(2, "big") for part in parts), "big")
    text = str(ipaddress.IPv6Address(number))
    assert addresses.format_ipv6(number) == text
    assert addresses.parse_ipv6(text) == number


@pytest.mark.parametrize("text", ["", "1:2:3", "1::2::3", "1:2:3:4:5:6:7:8:9", "g::", "12345::1", "fd00"])
def test_what_is_no_ipv6_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        addresses.parse_ipv6(text)


@given(some.integers(0, 2**32 - 1), some.integers(0, 32))
def test_a_range_has_the_ends_of_its_network(number: int, prefix: int) -> None:
    network = ipaddress.IPv4Network((number, prefix), strict=False)
    assert addresses.ipv4_range(str(network)) == (int(network[0]), int(network[-1]))


@pytest.mark.parametrize("text", ["10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "fd00::/64"])
def test_what_is_no_ipv4_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an IPv4"):
        addresses.ipv4_range(text)


def test_addresses_that_follow_from_an_ipv4_address() -> None:
    assert addresses.mac_of("10.88.0.254") == "02:42:0a:58:00:fe"
    assert addresses.ipv6_of("10.88.0.2", "fd12:3456:789a:1::/64") == "fd12:3456:789a:1::a58:2"
    assert addresses.ipv6_of("10.88.1.2", "fd00::/96") == "fd00::a58:102"
