"""The firewall of a network: a table of nftables with the name of its bridge, loaded once while the network is used.

    inet mydocker-<bridge>     addresses are translated on the way out (masquerade) and on the way in (published ports);
                               what comes from other networks passes only to published ports, and nothing from the
                               bridge reaches 127.0.0.0/8 of the host
    bridge mydocker-<bridge>   a container sends from its own addresses only, claims no others towards its neighbours,
                               and is no router (CVE-2020-13401)

Its rules are in ruleset.py. What comes and goes with a container are elements of the sets in them, which are here.
Whoever restarts the host's nftables empties all of it: who adds an element next notices that, and loads it again. The
set `complete` is there for those who add elements to the other table alone.
"""

from __future__ import annotations

from mydocker.kernel import nftables
from mydocker.kernel.nftables import Element, key
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from mydocker.runtime.network import Lease, PublishedPort

PREFIX = "mydocker-"  # of the names of tables; the name of the bridge follows


def table_of(interface: str) -> str:
    """The name of both tables of the network whose bridge is INTERFACE."""
    return f"{PREFIX}{interface}"


def members(lease: Lease) -> list[Element]:
    """The elements that let the container of LEASE send from its own addresses, and nothing else."""
    veth, mac = nftables.interface(lease.veth), nftables.mac(lease.mac)
    keys = {"veths": veth, "macs": key(veth, mac), "members": key(veth, mac, nftables.address(lease.address))}
    if lease.address6:
        address6 = nftables.address(lease.address6)
        keys |= {"members6": key(veth, mac, address6), "targets6": key(veth, address6)}
    table = table_of(lease.network.interface)
    return [Element(table=table, family=nftables.BRIDGE, set=name, key=each) for name, each in keys.items()]


def mark(interface: str) -> Element:
    """An element that the table of the network whose bridge is INTERFACE has from the beginning."""
    return Element(table=table_of(interface), family=nftables.INET, set="complete", key=nftables.protocol("tcp"))


def published(lease: Lease, ports: tuple[PublishedPort, ...]) -> list[Element]:
    """The elements that forward PORTS of the host's IPv4 addresses to the container of LEASE."""
    elements = []
    for port in ports:
        if ":" in port.host_ip:
            continue  # the relay takes what comes by IPv6
        source = key(nftables.protocol(port.protocol), nftables.port(port.port))
        everywhere = port.host_ip in ("", "0.0.0.0")
        elements.append(
            Element(
                table=table_of(lease.network.interface),
                family=nftables.INET,
                set="ports" if everywhere else "address_ports",
                key=source if everywhere else key(nftables.address(port.host_ip)) + source,
                value=key(nftables.address(lease.address), nftables.port(port.target)),
            )
        )
    return elements
