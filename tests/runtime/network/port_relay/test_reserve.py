"""Ports are held before anything starts, all or none."""

from __future__ import annotations

import os
import pathlib
import socket
from collections.abc import Callable, Iterator

import pytest
from lab.machines import Machine
from lab.processes import wait_for

from mydocker import idmap
from mydocker.errors import LaunchError, MydockerError
from mydocker.runtime.network import PublishedPort
from mydocker.runtime.network.port_relay import reserve

pytestmark = pytest.mark.root


@pytest.fixture
def host() -> Iterator[Machine]:
    with Machine() as machine, machine.inside():
        yield machine


def _listening(host: Machine) -> list[str]:
    """Local addresses of all sockets that are bound, without the columns of netlink."""
    return sorted(line.split()[4] for line in host.run("ss", "-Hlntu").splitlines())


def test_all_addresses_are_those_of_both_kinds(host: Machine) -> None:
    with reserve([PublishedPort(target=80, port=8080), PublishedPort(target=53, port=5353, protocol="udp")]) as held:
        assert _listening(host) == ["0.0.0.0:5353", "0.0.0.0:8080", "[::]:5353", "[::]:8080"]
        assert [port.port for port in held.ports] == [8080, 5353]
    assert _listening(host) == []


@pytest.mark.parametrize(
    ("host_ip", "bound"),
    [("0.0.0.0", "0.0.0.0:80"), ("::", "[::]:80"), ("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")],
)
def test_an_address_that_is_named_is_the_only_one(host: Machine, host_ip: str, bound: str) -> None:
    with reserve([PublishedPort(target=80, port=80, host_ip=host_ip)]):
        assert _listening(host) == [bound]


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_chosen_number_is_the_same_for_both_kinds(host: Machine, protocol: str) -> None:
    with reserve([PublishedPort(target=80, port=0, protocol=protocol)] * 50) as held:
        numbers = [port.port for port in held.ports]
        assert len({*numbers}) == 50 and 0 not in numbers
        assert _listening(host) == sorted(f"{kind}:{number}" for number in numbers for kind in ("0.0.0.0", "[::]"))


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_number_is_chosen_that_is_free_for_both_kinds(host: Machine, protocol: str) -> None:
    """Of four, three are taken for IPv6 alone."""
    pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40003")
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    taken = []
    for number in (40000, 40001, 40003):
        taken.append(socket.socket(socket.AF_INET6, kind))
        taken[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken[-1].bind(("::1", number))
        if protocol == "tcp":
            taken[-1].listen()
    for _ in range(20):
        with reserve([PublishedPort(target=80, port=0, protocol=protocol)]) as held:
            assert held.ports[0].port == 40002
    for each in taken:
        each.close()


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "::1", "::"])
def test_a_port_in_use_is_an_error_and_nothing_is_held(host: Machine, protocol: str, address: str) -> None:
    ports = [PublishedPort(target=80, port=number, protocol=protocol) for number in (8079, 8080, 8081)]
    with reserve([PublishedPort(target=80, port=8080, host_ip=address, protocol=protocol)]):
        before = _listening(host)
        with pytest.raises(LaunchError) as raised:
            reserve(ports)
        assert _listening(host) == before
    shown = "[::]" if ":" in address else "0.0.0.0"
    assert raised.value.message == f"cannot publish port 8080/{protocol} on {shown}: address already in use"
    assert raised.value.hint and "sport = :8080" in raised.value.hint
    with reserve(ports):
        pass


def test_of_many_who_want_a_port_one_gets_it(host: Machine) -> None:
    """Though connections of an earlier holder may keep nobody from it."""
    outcomes = []
    for _ in range(100):
        try:
            outcomes.append(reserve([PublishedPort(target=80, port=8080)]))
        except LaunchError:
            continue
    assert len(outcomes) == 1
    outcomes[0].close()


def test_the_port_of_a_container_that_has_just_ended_is_free(host: Machine) -> None:
    with reserve([PublishedPort(target=80, port=8080)]) as held:
        client = socket.create_connection(("127.0.0.1", 8080))
        held.listeners[0].socket.setblocking(True)
        descriptor, _ = held.listeners[0].socket._accept()  # type: ignore[attr-defined]
        os.close(descriptor)  # first, so that its side is the one that waits
        assert client.recv(1) == b""
        client.close()
    wait_for(lambda: "TIME-WAIT" in host.run("ss", "-Htan"))
    with reserve([PublishedPort(target=80, port=8080)]):
        pass


def test_an_address_of_another_machine_is_an_error(host: Machine) -> None:
    with pytest.raises(LaunchError) as raised:
        reserve([PublishedPort(target=80, port=8080, host_ip="192.0.2.7")])
    assert raised.value.message == "cannot publish port 8080/tcp on 192.0.2.7: cannot assign requested address"


def test_a_protocol_that_is_not_supported_is_an_error() -> None:
    with pytest.raises(LaunchError, match="cannot publish port 80/sctp: only tcp and udp can be published"):
        reserve([PublishedPort(target=80, port=80, protocol="sctp")])


def test_an_ordinary_user_learns_what_low_ports_take(host: Machine) -> None:
    def as_user() -> None:
        os.setresuid(65534, 65534, 65534)
        reserve([PublishedPort(target=80, port=80)])

    with pytest.raises(MydockerError) as raised:
        idmap.perform(None, as_user)
    assert raised.value.message == "cannot publish port 80/tcp on 0.0.0.0: permission denied"
    assert raised.value.hint and "sysctl net.ipv4.ip_unprivileged_port_start=80" in raised.value.hint
    assert "below 1024" in raised.value.hint


@pytest.fixture
def without_ipv6(host: Machine) -> Callable[[], None]:
    def switch_off() -> None:
        pathlib.Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")

    return switch_off


def test_a_host_whose_ipv6_is_switched_off_publishes_nevertheless(
    host: Machine, without_ipv6: Callable[[], None]
) -> None:
    without_ipv6()
    with reserve([PublishedPort(target=80, port=8080)]):
        assert "0.0.0.0:8080" in _listening(host)
