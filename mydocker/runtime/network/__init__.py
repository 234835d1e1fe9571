"""Networks: what a network is, and what a container has of it, as values.

A network is a directory of the store, `networks/<name>/`, and while containers use it a bridge with a firewall table of
the same name. Addresses are text in their canonical form (`10.88.0.2`, `fd00::2`), subnets as well (`10.88.0.0/16`).
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "bridge"  # the name of the network of containers that name none, as with Docker
NAME_SERVER = "127.0.0.11"  # in a container whose networks have names, as with Docker
# of its sockets: who asks port 53 reaches it, and port 53 is free for the container's programs
NAME_SERVER_PORT = 65353
NAME_SERVER_SOCKETS = 2  # those that a container always sends to its name server: of UDP and TCP
HOSTS = "hosts"  # in the run directory: /etc/hosts of a container in a network
RESOLV_CONF = "resolv.conf"  # the same of its /etc/resolv.conf
FORWARDING = "forwarding"  # in the run directory: a file that is empty while the container has no way to the outside


class Subnet(Record):
    """Addresses `network` (`10.88.0.0/16`), of which the bridge itself has `gateway`, and containers get those in
    `ip_range`."""

    network: str
    gateway: str
    ip_range: str = ""  # empty: all of them

    @property
    def prefix(self) -> int:
        """The length of the prefix, in bits."""
        return int(self.network.rpartition("/")[2])


class Network(Record):
    """What `networks/<name>/network.json` says. `interface` is the name of the bridge."""

    name: str
    id: str  # 64 hexadecimal digits
    interface: str
    subnet: Subnet
    subnet6: Subnet | None = None  # None: no IPv6
    internal: bool = False  # no route to the outside
    mtu: int | None = None  # None: that of the host's default route
    labels: Mapping[str, str] = {}
    options: Mapping[str, str] = {}
    created: str = ""  # RFC 3339; empty for the default network, which is not created by a command
    transient: bool = False  # made because a file defines it, so it goes with the last container
    automatic: bool = False  # mydocker has chosen the subnet, and may choose another one while no container uses it


class Lease(Record):
    """The addresses that one container has in a network, until its run directory goes."""

    directory: str  # the network's
    network: Network
    address: str
    address6: str = ""
    mac: str
    aliases: tuple[str, ...] = ()  # names by which the other containers of the network find it
    interface: str = "eth0"  # in the container
    gateway_priority: int = 0  # the default route is by the network with the highest one that has a way to the outside
    veth: str  # the name of the other end, on the bridge


class PublishedPort(Record):
    """A port `target` of the container, under `port` of the host's address `host_ip`; empty: all addresses."""

    target: int
    port: int
    host_ip: str = ""
    protocol: str = "tcp"
