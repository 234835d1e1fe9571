"""The bridge of a network, and the pairs of interfaces that connect containers to it.

It exists while containers use the network: whoever comes first brings it up, and it is taken down a moment after the
last one has left. Both happen under an exclusive lock of the network's directory; an interface that is up is complete.
It carries an alias that says whose it is: stores of several mount namespaces may have networks with the same path and
the same bridge. Coming up and going is in up_and_down.py.
"""

from __future__ import annotations

import errno
import os

from mydocker.kernel import netlink, nftables
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import firewall

if TYPE_CHECKING:
    from mydocker.kernel.netlink import Channel, Link, Request
    from mydocker.runtime.network import Lease, Network


def find_up(directory: str, network: Network) -> Link | None:
    """The bridge of NETWORK, whose directory is DIRECTORY, if it is up; None also where the kernel does not say so.
    While the caller has a lock of that directory, nobody takes it down."""
    try:
        with netlink.Channel() as channel:
            link = netlink.get_link(channel, network.interface)
    except OSError:
        return None
    return link if link and link.is_up and is_of(link, directory) else None


def is_of(link: Link, directory: str) -> bool:
    """Whether LINK is the bridge of the network on disk in DIRECTORY; if that is gone, of one that was there."""
    mark, path = _parsed(link.alias)
    try:
        return not (mark or path) or (mark == mark_of(directory) if mark else path == directory)
    except (FileNotFoundError, NotADirectoryError):
        return path == directory
    except PermissionError:  # another user's
        return False


def directory_of(link: Link) -> str:
    """The directory of the network whose bridge LINK is, as its own store calls that; empty if it is unknown."""
    return _parsed(link.alias)[1]


def _parsed(alias: str) -> tuple[str, str]:
    """The mark and the directory of an ALIAS, as far as it has them."""
    if alias.startswith("/"):  # as versions before have written it
        return "", alias
    mark, _, path = alias.partition(" ")
    return mark, path


def mark_of(directory: str) -> str:
    """What the alias of a bridge says of the network on disk in DIRECTORY, whatever path that has. Raises OSError."""
    status = os.stat(directory)
    return f"{status.st_dev:x}:{status.st_ino:x}"


def attach(lease: Lease, *, bridge: Link, pid: int, is_published: bool = False) -> None:
    """Give process PID's network namespace an interface on BRIDGE, the one of LEASE.

    With `is_published`, the container has ports of the host, and reaches itself under them: where the bridge translates
    addresses itself (br_netfilter), such a packet leaves by the interface that it came from.
    """
    nftables.add_elements([*firewall.members(lease), firewall.mark(lease.network.interface)])
    changes = [
        netlink.add_veth(
            lease.veth,
            master=bridge.index,
            mtu=bridge.mtu,
            peer=lease.interface,
            peer_mac=lease.mac,
            pid=pid,
        )
    ]
    if is_published:
        changes.append(netlink.allow_hairpin(lease.veth))
    with netlink.Channel() as channel:
        try:
            channel.send(*changes)
        except FileExistsError:  # of the container's start before: it goes with its namespace, in the kernel's own time
            try:  # noqa: SIM105  # contextlib is not on the warm path
                channel.send(netlink.delete_link(lease.veth))
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise
            channel.send(*changes)


def configure(leases: tuple[Lease, ...]) -> None:
    """In the container's network namespace: give its interfaces the addresses of LEASES, in their order. The default
    route is that of the highest priority, or else the first one that has a way to the outside."""
    with netlink.Channel() as channel:
        # by their names: a new namespace has more in it than lo where tunnels are, sysctl net.core.fb_tunnels_…
        numbers = [_number_of(channel, lease.interface) for lease in leases]
        changes = [netlink.set_up(1, name="lo")]
        for lease, number in zip(leases, numbers, strict=True):
            changes += _addresses(lease, number)
        outward = [index for index, lease in enumerate(leases) if not lease.network.internal]
        if outward:
            index = max(outward, key=lambda each: leases[each].gateway_priority)
            changes += default_routes(leases[index], numbers[index])
        channel.send(*changes)


def number_in_container(lease: Lease) -> int:
    """The index of LEASE's interface in its container, which runs and may have renamed it. Raises OSError."""
    with netlink.Channel() as channel:
        link = netlink.get_link(channel, lease.veth)
    if link is None:
        raise OSError(19, os.strerror(19), lease.veth)  # ENODEV
    return link.peer


def _number_of(channel: Channel, name: str) -> int:
    link = netlink.get_link(channel, name)
    if link is None:
        raise OSError(19, os.strerror(19), name)  # ENODEV
    return link.index


def configure_more(channel: Channel, lease: Lease, number: int) -> None:
    """Give interface NUMBER of a container that runs, and has the namespace of CHANNEL, the addresses of LEASE."""
    channel.send(*_addresses(lease, number))


def _addresses(lease: Lease, number: int) -> list[Request]:
    subnet, subnet6 = lease.network.subnet, lease.network.subnet6
    changes = [netlink.add_address(number, lease.address, prefix=subnet.prefix)]
    if subnet6 and lease.address6:
        changes.append(netlink.add_address(number, lease.address6, prefix=subnet6.prefix))
    else:
        changes.append(netlink.forgo_link_local(number, name=lease.interface))
    return [*changes, netlink.set_up(number, name=lease.interface)]


def default_routes(lease: Lease, number: int) -> list[Request]:
    """The routes to everything else by interface NUMBER, which is in the network of LEASE."""
    subnet, subnet6 = lease.network.subnet, lease.network.subnet6
    routes = [netlink.add_default_route(number, subnet.gateway)]
    if subnet6 and lease.address6:
        routes.append(netlink.add_default_route(number, subnet6.gateway))
    return routes
