"""A bridge comes up, with its firewall, or is taken down: who starts a container where others are has no need of this
file."""

from __future__ import annotations

import errno
import os

from mydocker import kernel
from mydocker.errors import HostError, hint_for
from mydocker.kernel import netlink
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import leases, networks
from mydocker.runtime.network.addresses import mac_of
from mydocker.runtime.network.bridge import is_of, mark_of
from mydocker.runtime.network.firewall import ruleset
from mydocker.runtime.plan.host import read_setting

if TYPE_CHECKING:
    from mydocker.kernel.netlink import Channel, Link
    from mydocker.programs import Running
    from mydocker.runtime.network import Network

STANDARD_MTU = 1500
_SETTINGS = (("forwarding", "1"), ("route_localnet", "1"))
_IPV6 = "/proc/sys/net/ipv6/conf"
_HINTS = {
    errno.EPERM: "a network needs CAP_NET_ADMIN over the host's network; --network host and none do not",
    errno.EOPNOTSUPP: "the kernel lacks bridges: load the modules bridge and veth (modprobe bridge veth)",
}


def ensure_up(directory: str, network: Network, *, lock: int) -> tuple[Link, Network]:
    """The bridge of NETWORK, whose directory is DIRECTORY; it is brought up if it is not there. With it, the network,
    which may have got another subnet by that.

    LOCK is a shared lock of that directory, which may become an exclusive one: while the caller has it, nobody takes
    the bridge down. HostError says what this host lacks.
    """
    link, network, pending = begin_up(directory, network, lock=lock)
    if pending:
        pending.finish()
    return link, network


def begin_up(directory: str, network: Network, *, lock: int) -> tuple[Link, Network, PendingBridge | None]:
    """The same, but that a bridge which is not there is brought up meanwhile: until the caller has it finished, LOCK is
    an exclusive one."""
    try:
        with netlink.Channel() as channel:
            while True:
                link = netlink.get_link(channel, network.interface)
                if link and link.is_up and is_of(link, directory):
                    return link, network, None
                kernel.lock(lock)
                network = networks.load(os.path.dirname(directory), network.name)  # others had the lock meanwhile
                link = netlink.get_link(channel, network.interface)
                if not (link and link.is_up and is_of(link, directory)):
                    return _bring_up_anew(channel, directory, network)
                kernel.lock(lock, shared=True)  # the many that wait join side by side; it may be down again by then
    except OSError as error:
        raise _refused(network, error) from None


def _refused(network: Network, error: OSError) -> HostError:
    """What an ERROR of the kernel says of NETWORK, and what helps."""
    about = f" ({error.filename})" if error.filename else ""
    hint = _HINTS.get(error.errno or 0) or hint_for(error)
    return HostError(f"cannot bring up network {network.name}{about}: {error.strerror}", hint=hint)


def _bring_up_anew(channel: Channel, directory: str, network: Network) -> tuple[Link, Network, PendingBridge]:
    """Begin to bring up NETWORK, which may get another subnet by that, and another bridge."""
    host_lock = _lock_host()
    try:
        link = netlink.get_link(channel, network.interface)
        if link and link.is_up:  # of another store
            network = _with_another_bridge(directory, network)
        elif link:  # somebody has left it who was killed meanwhile
            channel.send(netlink.delete_link(network.interface))
        network = _with_free_subnet(directory, network)
        link, loading = _bring_up(channel, directory, network)
    except BaseException:
        os.close(host_lock)
        raise
    return link, network, PendingBridge(network, link, loading, host_lock)


class PendingBridge:
    """A bridge that is complete but for its firewall, which is just being loaded: so it is not up yet, and nobody else
    brings one up. It is finished or given up, by one who has the exclusive lock of its network."""

    def __init__(self, network: Network, link: Link, loading: Running, host_lock: int) -> None:
        self._network, self._link, self._loading, self._host_lock = network, link, loading, host_lock

    def finish(self) -> None:
        """Wait for the firewall, and let the bridge be up. Raises HostError."""
        try:
            self._loading.wait()
            with netlink.Channel() as channel:
                channel.send(netlink.set_up(self._link.index, name=self._network.interface))
        except OSError as error:
            raise _refused(self._network, error) from None
        finally:
            os.close(self._host_lock)

    def give_up(self) -> None:
        """Leave it down, as something else has failed: who is next removes it."""
        try:  # noqa: SIM105  # contextlib is not on the warm path
            self._loading.wait()
        except HostError:
            pass
        finally:
            os.close(self._host_lock)


def _lock_host() -> int:
    """A descriptor: until it is closed, no other mydocker brings up a network in this network namespace, from whatever
    store. Its file in /proc is the same for all of them."""
    lock = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        kernel.lock(lock)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _with_another_bridge(directory: str, network: Network) -> Network:
    if leases.live(directory):
        raise HostError(
            f"cannot bring up network {network.name}: bridge {network.interface} is that of another store",
            hint="wait until the containers of this network, or of that, have ended",
        )
    from mydocker.runtime.network.lifecycle import rename_bridge

    return rename_bridge(os.path.dirname(directory), network)


def _with_free_subnet(directory: str, network: Network) -> Network:
    """NETWORK, with another subnet if this host has got routes to its own, for instance to a network of another store.
    HostError if the user has set it, or containers have addresses in it."""
    from mydocker.runtime.network.subnets import host_networks, overlapping

    networks_of_host = host_networks()
    route = overlapping(network.subnet.network, networks_of_host, within=not network.automatic)
    if not route:
        return network
    if not network.automatic or leases.live(directory):
        raise HostError(
            f"cannot bring up network {network.name}: this host has a route to {route}, in its subnet "
            f"{network.subnet.network}",
            hint="remove the route, or create the network with another --subnet",
        )
    from mydocker.runtime.network.lifecycle import renumber

    return renumber(os.path.dirname(directory), network, taken=networks_of_host)


def _bring_up(channel: Channel, directory: str, network: Network) -> tuple[Link, Running]:
    """The bridge of NETWORK, which is still down, and nft, which loads its firewall."""
    name, subnet = network.interface, network.subnet
    mtu = network.mtu or uplink_mtu()
    channel.send(netlink.add_bridge(name, mac=mac_of(subnet.gateway)), netlink.set_mtu(name, mtu))
    link = netlink.get_link(channel, name)
    if link is None:
        raise HostError(f"bridge {name} was removed while it was set up")
    loading = ruleset.begin_to_load(network)
    try:
        _allow_forwarding(name)
        if network.subnet6 and not network.internal:
            _allow_forwarding6()
        changes = [netlink.forgo_link_local(link.index, name=name)] if not network.subnet6 else []
        changes.append(netlink.set_alias(link.index, _alias(directory), name=name))
        changes.append(netlink.add_address(link.index, subnet.gateway, prefix=subnet.prefix))
        if network.subnet6:
            changes.append(netlink.add_address(link.index, network.subnet6.gateway, prefix=network.subnet6.prefix))
        channel.send(*changes)
    except BaseException:
        loading.wait()
        raise
    return link, loading


def uplink_mtu() -> int:
    """The MTU of the interface that the default route uses: larger packets would be dropped on the way. Not from /sys,
    which may be that of another network namespace."""
    try:
        with open("/proc/net/route") as file:
            routes = [line.split() for line in file.readlines()[1:]]
    except OSError:
        return STANDARD_MTU
    for interface, destination, *_ in routes:
        if destination == "00000000":
            with netlink.Channel() as channel:
                uplink = netlink.get_link(channel, interface)
            return uplink.mtu if uplink else STANDARD_MTU
    return STANDARD_MTU


def _allow_forwarding(name: str) -> None:
    """Let packets pass between the bridge and the host's other interfaces, as far as this host lets mydocker.

    `route_localnet` is for published ports of 127.0.0.1; the firewall keeps containers from using it (CVE-2020-8558).
    """
    for setting, value in _SETTINGS:
        _write(f"/proc/sys/net/ipv4/conf/{name}/{setting}", value)
    if read_setting("/proc/sys/net/ipv4/ip_forward") == "0":
        _write("/proc/sys/net/ipv4/ip_forward", "1")


def _allow_forwarding6() -> None:
    """The same for IPv6, which has one switch for all interfaces. A host that is a router would forget what it has
    learnt from other routers, its default route for instance, where it is not asked to go on as before (ip-sysctl)."""
    if read_setting(f"{_IPV6}/all/forwarding") != "0":
        return
    for name in os.listdir(_IPV6):
        if read_setting(f"{_IPV6}/{name}/accept_ra") == "1":
            _write(f"{_IPV6}/{name}/accept_ra", "2")
    _write(f"{_IPV6}/all/forwarding", "1")


def _write(path: str, value: str) -> None:
    if read_setting(path) == value:
        return
    try:
        with open(path, "w") as file:
            file.write(value)
    except OSError:  # read-only, as inside another container: then it is as that one's creator has set it
        pass


def _alias(directory: str) -> str:
    mark = mark_of(directory)
    whole = f"{mark} {directory}"
    return whole if len(os.fsencode(whole)) <= netlink.ALIAS_LIMIT else mark


def take_down(directory: str, interface: str) -> None:
    """Remove bridge INTERFACE of the network on disk in DIRECTORY and its firewall, if they are there; nothing if it is
    another store's by now, and used. Raises HostError, OSError.

    The caller has the exclusive lock of the network. The bridge goes first: one that is up has a firewall.
    """
    with netlink.Channel() as channel:
        link = netlink.get_link(channel, interface)
        if link and not is_of(link, directory) and _has_ports(channel, link):
            return
        try:
            channel.send(netlink.delete_link(interface))
        except OSError as error:
            if error.errno != errno.ENODEV:  # it is gone
                raise
    ruleset.remove(interface)


def _has_ports(channel: Channel, bridge: Link) -> bool:
    return any(link.master == bridge.index for link in netlink.list_links(channel))


def take_down_if_up(directory: str, network: Network) -> None:
    """`take_down`, if this host has the bridge of NETWORK, on disk in DIRECTORY. Raises HostError."""
    try:
        with netlink.Channel() as channel:
            is_there = netlink.get_link(channel, network.interface) is not None
        if is_there:
            take_down(directory, network.interface)
    except OSError as error:
        raise HostError(f"cannot take down network {network.name}: {error.strerror}", hint=hint_for(error)) from None
