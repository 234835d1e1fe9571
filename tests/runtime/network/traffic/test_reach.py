"""Who reaches whom: the outside, the host, the containers of the same network and those of others."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from lab.machines import Machine, send_datagram, udp_server
from lab.networks import ADDRESS, ADDRESS6, OUTSIDE, OUTSIDE6, Container, Host, Site
from lab.processes import wait_for

from mydocker.kernel import netlink
from mydocker.runtime.network import Lease, Network, bridge, lifecycle
from mydocker.runtime.network.lifecycle import Addresses
from mydocker.runtime.network.subnets import parse_subnet

pytestmark = pytest.mark.root

IPV4, IPV6 = socket.AF_INET, socket.AF_INET6
Made = Callable[..., Network]


@pytest.fixture
def make(host: Host) -> Made:
    """Makes networks that have IPv6."""

    def made(name: str, number: int, *, internal: bool = False) -> Network:
        addresses = Addresses(
            subnet=parse_subnet(f"10.99.{number}.0/24"), subnet6=parse_subnet(f"fd99:0:0:{number}::/64")
        )
        return lifecycle.create(f"{host.command.store}/networks", name, addresses=addresses, internal=internal)

    return made


def address_of(container: Container, family: socket.AddressFamily) -> str:
    return container.addresses("eth0", "inet" if family == IPV4 else "inet6")[0]


def arrives_first(
    family: socket.AddressFamily, *, to: Machine, address: str, tries: list[Machine], certain: tuple[Machine, str]
) -> str:
    """Who sent the first datagram that arrives at TO: one of TRIES, who send to ADDRESS, or who certainly may."""
    with udp_server(to, family=family) as server:
        port = server.getsockname()[1]
        for place in tries:
            send_datagram(place, address, port, b"try")
        place, address = certain
        assert send_datagram(place, address, port, b"certain") == ""
        data, (peer, *_) = server.recvfrom(100)
    return f"{data.decode()} {peer}"


@pytest.mark.parametrize(
    ("family", "address", "peer"), [(IPV4, OUTSIDE, ADDRESS), (IPV6, OUTSIDE6, ADDRESS6)], ids=["IPv4", "IPv6"]
)
def test_the_outside(site: Site, make: Made, family: socket.AddressFamily, address: str, peer: str) -> None:
    """There, what a container sends comes from the host; the answer comes back."""
    make("one", 1)
    with site.host.container("--network", "one") as container, udp_server(site.outside, family=family) as server:
        with container.inside():
            client = socket.socket(family, socket.SOCK_DGRAM)
        with client:
            client.settimeout(100)
            client.connect((address, server.getsockname()[1]))
            client.send(b"question")
            data, source = server.recvfrom(100)
            assert (data, source[0]) == (b"question", peer)
            server.sendto(b"answer", source)
            assert client.recv(100) == b"answer"
    site.host.wait_until_clean()


@pytest.mark.parametrize("family", [IPV4, IPV6], ids=["IPv4", "IPv6"])
def test_another_machine_that_knows_the_way(site: Site, make: Made, family: socket.AddressFamily) -> None:
    """With a route through the host, it does not reach the containers, as nothing is published."""
    network = make("one", 1)
    assert network.subnet6
    site.outside.run("ip", "route", "add", network.subnet.network, "via", ADDRESS)
    site.outside.run("ip", "-6", "route", "add", network.subnet6.network, "via", ADDRESS6)
    with site.host.container("--network", "one") as container:
        address = address_of(container, family)
        gateway = network.subnet.gateway if family == IPV4 else network.subnet6.gateway
        first = arrives_first(family, to=container, address=address, tries=[site.outside], certain=(site.host, address))
        assert first == f"certain {gateway}"


@pytest.mark.parametrize("family", [IPV4, IPV6], ids=["IPv4", "IPv6"])
def test_another_network(site: Site, make: Made, family: socket.AddressFamily) -> None:
    """Neither a container of the default one nor one of a network by a name; its own neighbours do."""
    make("one", 1)
    make("two", 2)
    host = site.host
    with ExitStack() as stack:
        target, neighbour, other = (
            stack.enter_context(host.container("--network", name)) for name in ("one", "one", "two")
        )
        tries: list[Machine] = [other, stack.enter_context(host.container())]
        address = address_of(target, family)
        first = arrives_first(family, to=target, address=address, tries=tries, certain=(neighbour, address))
        assert first == f"certain {address_of(neighbour, family)}"
        back = address_of(other, family)
        assert arrives_first(family, to=other, address=back, tries=[target], certain=(other, back)) == f"certain {back}"


@pytest.mark.parametrize("family", [IPV4, IPV6], ids=["IPv4", "IPv6"])
def test_an_internal_network(site: Site, make: Made, family: socket.AddressFamily) -> None:
    """It has no way out, and a container that makes one gets no farther than to the host; nobody gets in."""
    network = make("closed", 1, internal=True)
    make("two", 2)
    assert network.subnet6
    host, outside = site.host, OUTSIDE if family == IPV4 else OUTSIDE6
    gateway = network.subnet.gateway if family == IPV4 else network.subnet6.gateway
    version = "-4" if family == IPV4 else "-6"
    with ExitStack() as stack:
        one, neighbour, other = (
            stack.enter_context(host.container("--network", name)) for name in ("closed", "closed", "two")
        )
        assert "default" not in one.run("ip", version, "route")
        assert send_datagram(one, outside, 9, b"") == "Network is unreachable"
        one.run("ip", version, "route", "add", "default", "via", gateway)
        places: list[tuple[Machine, str]] = [(site.outside, outside), (other, address_of(other, family))]
        for place, address in places:
            first = arrives_first(family, to=place, address=address, tries=[one], certain=(place, address))
            assert first == f"certain {address}"
        own = address_of(one, family)
        tries: list[Machine] = [other, site.outside]
        first = arrives_first(family, to=one, address=own, tries=tries, certain=(neighbour, own))
        assert first == f"certain {address_of(neighbour, family)}"


def test_an_internal_network_and_ports_of_others(site: Site, make: Made) -> None:
    """What the host publishes for a container of another network is behind the same closed door."""
    network = make("closed", 1, internal=True)
    with site.host.container("-p", "7070:7070/udp") as server, site.host.container("--network", "closed") as one:
        one.run("ip", "route", "add", "default", "via", network.subnet.gateway)
        with server.inside():
            listening = socket.socket(IPV4, socket.SOCK_DGRAM)
        with listening:
            listening.bind(("", 7070))
            listening.settimeout(100)
            for address in (ADDRESS, network.subnet.gateway):
                send_datagram(one, address, 7070, b"try")
            send_datagram(site.outside, ADDRESS, 7070, b"certain")
            assert listening.recvfrom(100)[0] == b"certain"


def test_an_internal_network_and_one_with_a_way_out(site: Site, make: Made) -> None:
    """A container in both has the way out of the other, whichever comes first."""
    make("closed", 1, internal=True)
    make("two", 2)
    with site.host.container("--network", "closed", "--network", "two") as both:
        assert re.findall("^default.*", both.run("ip", "route"), flags=re.MULTILINE) == [
            "default via 10.99.2.1 dev eth1 "
        ]
        assert both.addresses("eth0") == ["10.99.1.2"]
        assert both.addresses("eth1") == ["10.99.2.2"]


def test_the_host_and_its_loopback(site: Site) -> None:
    """A container reaches what the host serves to everybody, and not what it serves to itself."""
    with site.host.container() as container, site.host.inside():
        everybody, itself = socket.create_server(("0.0.0.0", 0)), socket.create_server(("127.0.0.1", 0))
        with everybody, itself:
            with container.inside():
                for address in ("10.88.0.1", ADDRESS):
                    socket.create_connection((address, everybody.getsockname()[1]), timeout=100).close()
                    with pytest.raises(ConnectionRefusedError):
                        socket.create_connection((address, itself.getsockname()[1]), timeout=100)
            container.run("ip", "route", "del", "table", "local", "127.0.0.0/8", "dev", "lo")
            container.run("ip", "address", "flush", "dev", "lo")
            container.run("sysctl", "-qw", "net.ipv4.conf.eth0.route_localnet=1")
            container.run("ip", "route", "add", "127.0.0.1/32", "via", "10.88.0.1", "src", container.address)
            for server in (everybody, itself):
                port = str(server.getsockname()[1])
                assert not container.succeeds("busybox", "timeout", "2", "busybox", "nc", "127.0.0.1", port)
                server.settimeout(0)
                with pytest.raises(BlockingIOError):  # but for the connections of the loop above
                    for _ in range(3):
                        server.accept()[0].close()


@pytest.mark.parametrize(("before", "after"), [("0", "0"), ("1", "2"), ("2", "2")])
def test_a_host_that_listens_to_routers(site: Site, make: Made, before: str, after: str) -> None:
    """It goes on doing so while it is one itself, for containers with IPv6."""
    make("one", 1)
    setting = "/proc/sys/net/ipv6/conf/uplink/accept_ra"
    site.host.do(f"echo 0 > /proc/sys/net/ipv6/conf/all/forwarding; echo {before} > {setting}")
    with site.host.container("--network", "one"):
        assert site.host.run("cat", setting) == f"{after}\n"
        assert site.host.run("cat", "/proc/sys/net/ipv6/conf/uplink/forwarding") == "1\n"


def test_sizes_of_packets(site: Site) -> None:
    """The largest that pass on the way out are the largest that a container sends; also if its bridge is still there
    from another one, and has been without interfaces."""
    site.host.run("ip", "link", "set", "uplink", "mtu", "1380")
    for _ in range(2):
        with site.host.container() as container:
            assert " mtu 1380 " in container.run("ip", "link", "show", "eth0")
            wait_for(lambda: len(site.host.traces()["links"]) == 2)  # that of the one before may still be there
            [bridge, veth] = site.host.traces()["links"]
            for name in (bridge, veth):
                assert " mtu 1380 " in site.host.run("ip", "link", "show", name)


def test_an_interface(site: Site) -> None:
    """What a container has, besides lo: one interface, its address, one route, a hardware address that follows."""
    with site.host.container() as container:
        assert re.findall(r"^\d+: ([^:@]+)", container.run("ip", "-o", "link"), flags=re.MULTILINE) == ["lo", "eth0"]
        link = container.run("ip", "-o", "link", "show", "eth0")
        assert "link/ether 02:42:0a:58:00:02 brd ff:ff:ff:ff:ff:ff" in link
        address = container.run("ip", "-o", "-4", "address", "show", "dev", "eth0")
        assert "inet 10.88.0.2/16 brd 10.88.255.255 scope global eth0" in address
        assert container.run("ip", "route").splitlines() == [
            "default via 10.88.0.1 dev eth0 ",
            "10.88.0.0/16 dev eth0 proto kernel scope link src 10.88.0.2 ",
        ]
        assert container.run("ip", "-6", "address", "show", "dev", "eth0") == ""
        assert container.run("ip", "-6", "route") == ""


def test_an_address_and_a_hardware_address_of_the_users(site: Site, make: Made) -> None:
    make("one", 1)
    words = ("--network", "one", "--ip", "10.99.1.77", "--mac-address", "02:00:00:00:00:77")
    with site.host.container(*words) as container:
        assert container.address == "10.99.1.77"
        assert "link/ether 02:00:00:00:00:77" in container.run("ip", "link", "show", "eth0")
        assert container.succeeds("busybox", "ping", "-c", "1", "-w", "100", "-W", "100", OUTSIDE)
        done = site.host.command("run", *words, "alpine", "true")
        assert (done.code, done.stdout) == (125, b"")
        assert b"10.99.1.77" in done.stderr and b"in use" in done.stderr


def test_a_namespace_that_has_more_interfaces(site: Site, make: Made) -> None:
    """As where a tunnel is configured on the host: every new namespace has one, which takes the first numbers."""
    make("one", 1)
    make("two", 2)
    host = site.host
    with host.container("--network", "one") as container:
        container.run("ip", "link", "add", "more", "type", "bridge")
        container.run("ip", "link", "set", "eth0", "name", "renamed")
        name = container.sh("hostname").strip()
        done = host.command("network", "connect", "two", name)
        assert (done.code, done.stderr) == (0, b"")
        assert container.addresses("eth1") == ["10.99.2.2"]
        assert container.addresses("more") == []
        container.run("ip", "link", "del", "renamed")
        assert host.command("network", "disconnect", "two", name).code == 0
        assert host.command("network", "connect", "two", name).code == 0
        assert "default via 10.99.2.1" in container.run("ip", "route")


def test_a_new_namespace_that_has_more_interfaces(site: Site, make: Made) -> None:
    network = make("one", 1)
    directory = f"{site.host.command.store}/networks/one"
    lease = Lease(
        directory=directory, network=network, address="10.99.1.5", mac="02:42:0a:63:01:05", veth="md0123456789ab0"
    )
    with Machine() as container, site.host.container("--network", "one") as other:
        container.run("ip", "link", "add", "more", "type", "bridge")
        with site.host.inside():
            with netlink.Channel() as channel:
                link = netlink.get_link(channel, network.interface)
            assert link
            bridge.attach(lease, bridge=link, pid=container.pid)
        with container.inside():
            bridge.configure((lease,))
        assert "inet 10.99.1.5/24" in container.run("ip", "address", "show", "eth0")
        assert (
            arrives_first(IPV4, to=other, address=other.address, tries=[container], certain=(other, other.address))
            == "try 10.99.1.5"
        )
