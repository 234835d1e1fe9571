"""A container that runs joins a network, or leaves one: `mydocker network connect` and `disconnect`.

What it has there is listed in its run directory as is all that it started with (connections.py), so it is given back
with the rest. The container's network namespace is entered by one socket alone, and by no process.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress

from mydocker import kernel
from mydocker.errors import HostError, LaunchError, MydockerError, NetworkError, hint_for
from mydocker.kernel import netlink
from mydocker.kernel.enter import Inside
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.inspect.running import read_link
from mydocker.runtime.network import (
    DEFAULT,
    Lease,
    Network,
    bridge,
    joined_container,
    leases,
    name_server,
    names,
    networks,
)
from mydocker.runtime.network.bridge import up_and_down
from mydocker.runtime.network.connections import CLOSED, give_back, listed, network_line, restore_firewall
from mydocker.runtime.network.upkeep import resolver
from mydocker.runtime.network.upkeep.release import take_down_idle
from mydocker.runtime.plan.networks import known_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mydocker.kernel.netlink import Channel, Link

_GONE = "-"  # in place of the line of a network that the container has left


class Endpoint(Record):
    """What a container is to have in a network that it joins; an empty address is chosen."""

    address: str = ""
    address6: str = ""
    aliases: tuple[str, ...] = ()


def connect(directory: str, containers: str, name: str, container: str, endpoint: Endpoint) -> None:
    """Let CONTAINER, whose run directory is below CONTAINERS, join the network NAME of directory DIRECTORY.

    Raises LaunchError, UsageError if there is no such container, NetworkError if it cannot join, HostError.
    """
    run_dir = _private(containers, container)
    network = networks.load(directory, name)
    where_bridges_are(directory, lambda: _connect(directory, network, run_dir, endpoint))
    if network.name == DEFAULT:
        return
    try:
        _serve_names(directory, run_dir)
    except BaseException:
        with suppress(MydockerError):
            disconnect(directory, containers, network.name, container)
        raise


def _serve_names(directory: str, run_dir: str) -> None:
    """See that the container with RUN_DIR has a name server. One that has none finds the others in its /etc/hosts."""
    try:
        with kept(run_dir):
            resolver.provide(
                run_dir,
                allowed=bool(_outward(run_dir)),
                where_bridges_are=lambda act: where_bridges_are(directory, act),
            )
    except OSError as error:
        raise _refused(os.path.basename(run_dir), error) from None


def _connect(directory: str, network: Network, run_dir: str, endpoint: Endpoint) -> None:
    try:
        with kept(run_dir):
            _join(directory, network.name, run_dir, endpoint)
    except BaseException:
        take_down_idle(f"{directory}/{network.name}", network.interface)
        raise


def where_bridges_are(directory: str, act: Callable[[], None]) -> None:
    """Do ACT in the host's network, or in that of the holder of an ordinary user's networks, which are in DIRECTORY."""
    if os.geteuid() == 0:
        act()
        return
    from mydocker.runtime.network import rootless
    from mydocker.runtime.network.rootless.inside import run_inside

    holder = rootless.find(directory)
    if holder is None:
        raise HostError("the process that holds the networks of this user has ended", hint="start the container again")
    with holder:
        run_inside(holder, act)


def _join(directory: str, name: str, run_dir: str, endpoint: Endpoint) -> None:
    """Take a lease, and give the container an interface that has its addresses."""
    container = os.path.basename(run_dir)
    with networks.HeldNetwork(directory, name) as held:
        if any(lease.directory == held.directory for lease in listed(run_dir)[0]):
            raise NetworkError(f"container {container} is in network {name} already")
        link, network = up_and_down.ensure_up(held.directory, held.network, lock=held.lock)
        lease = _listed_lease(held.directory, network, run_dir, endpoint)
        try:
            pid = int(os.readlink(f"{run_dir}/process"))
            _attach(lease, link, pid, held)
            with _inside(run_dir) as channel:
                bridge.configure_more(channel, lease, bridge.number_in_container(lease))
                _route(channel, run_dir)
            if network.name != DEFAULT:
                names.join(lease, run_dir, lambda path: listed(path)[0])
        except BaseException as error:
            _leave(lease, run_dir)
            raise (_refused(container, error) if isinstance(error, OSError) else error) from None


def _attach(lease: Lease, link: Link, pid: int, held: networks.HeldNetwork) -> None:
    try:
        bridge.attach(lease, bridge=link, pid=pid)
    except FileNotFoundError:  # somebody has emptied the firewall
        kernel.lock(held.lock)
        restore_firewall(held)
        bridge.attach(lease, bridge=link, pid=pid)


def _listed_lease(directory: str, network: Network, run_dir: str, endpoint: Endpoint) -> Lease:
    """A lease that the run directory says. LaunchError if the container is about to end: what it knows of then is given
    back, and nothing else."""
    index = 0
    while True:
        while os.path.lexists(line := f"{run_dir}/network{index}"):
            if _target(line) == CLOSED:
                raise LaunchError(f"container {os.path.basename(run_dir)} has ended")
            index += 1
        lease = leases.take(
            directory,
            network,
            run_dir,
            container_id=os.path.basename(run_dir),
            index=index,
            address=endpoint.address or None,
            address6=endpoint.address6 or None,
            aliases=_names(run_dir, endpoint.aliases),
        )
        try:
            os.symlink(network_line(lease), line)
            return lease
        except FileExistsError:  # another process was faster
            leases.release(lease, run_dir)
        except OSError:
            leases.release(lease, run_dir)
            raise LaunchError(f"container {os.path.basename(run_dir)} has ended") from None


def _target(link: str) -> str:
    """Where LINK leads; empty if it is gone."""
    try:
        return os.readlink(link)
    except OSError:
        return ""


@contextmanager
def kept(run_dir: str) -> Iterator[None]:
    """The directory RUN_DIR of a container that runs. If that is killed, its cleanup process waits until the end of
    this, and finds all that is listed by then."""
    try:
        lock = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        raise LaunchError(f"container {os.path.basename(run_dir)} has ended") from None
    try:
        kernel.lock(lock, shared=True, wait=False)
        yield
    except BlockingIOError:
        raise LaunchError(f"container {os.path.basename(run_dir)} has ended") from None
    finally:
        os.close(lock)


def disconnect(directory: str, containers: str, name: str, container: str) -> None:
    """Let CONTAINER leave the network NAME of directory DIRECTORY. Raises as `connect` does."""
    run_dir = _private(containers, container)
    name = networks.resolve_name(directory, name)
    joined, ports = listed(run_dir)
    lease = next((each for each in joined if each.directory == f"{directory}/{name}"), None)
    if lease is None:
        raise NetworkError(f"container {container} is not in network {name}")
    if ports and lease is joined[0]:
        raise NetworkError(
            f"container {container} cannot leave network {name}: its ports are published there",
            hint="end it, and start it in another network",
        )
    where_bridges_are(directory, lambda: _disconnect(lease, run_dir))


def _disconnect(lease: Lease, run_dir: str) -> None:
    names.leave(lease, run_dir, joined_container.hostname_of(run_dir), lambda path: listed(path)[0])
    _leave(lease, run_dir)
    with suppress(LaunchError), _inside(run_dir) as channel:
        _route(channel, run_dir)
    take_down_idle(lease.directory, lease.network.interface)


def _private(containers: str, container: str) -> str:
    """The run directory of CONTAINER, which is in a network, or has been when it started."""
    run_dir = joined_container.find(containers, container)
    if not os.path.lexists(f"{run_dir}/network0"):
        raise has_none(container)
    return run_dir


def has_none(container: str) -> NetworkError:
    """The error for a CONTAINER that can be connected to no network."""
    return NetworkError(
        f"container {container} is in no network, but uses the host's, another container's, or none",
        hint="start it with --network bridge, or in a network of its own",
    )


def _names(run_dir: str, aliases: tuple[str, ...]) -> tuple[str, ...]:
    """By which the others of a network find the container: ALIASES, its name, its host name and its ID."""
    hostname = joined_container.hostname_of(run_dir)
    return known_by(*aliases, read_link(run_dir, "name"), hostname, os.path.basename(run_dir))


def _leave(lease: Lease, run_dir: str) -> None:
    """Take away what the container has by LEASE: the interface, the names, the address, and the line about it."""
    with netlink.Channel() as channel, suppress(OSError):
        channel.send(netlink.delete_link(lease.veth))
    give_back(lease, (), run_dir)
    link = f"{run_dir}/network{leases.index_of(lease)}"
    with suppress(OSError):  # the container has ended
        if os.readlink(link) == network_line(lease):
            joined_container.replace_link(link, _GONE)


@contextmanager
def _inside(run_dir: str) -> Iterator[Channel]:
    """A channel to the network namespace of the container with RUN_DIR. This process, of one thread, is back in its own
    namespace before anything is sent."""
    with Inside("net", joined_container.open_network(run_dir)):
        channel = netlink.Channel()
    with channel:
        yield channel


def _route(channel: Channel, run_dir: str) -> None:
    """Give the container behind CHANNEL default routes, unless it has some: by the first network with a way out."""
    outward = _outward(run_dir)
    name_server.set_forwarding(run_dir, allowed=bool(outward))
    for lease, network in outward:
        try:
            for route in bridge.default_routes(lease.replace(network=network), bridge.number_in_container(lease)):
                channel.send(route)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENODEV):  # the latter: the container has removed it
                raise


def _outward(run_dir: str) -> list[tuple[Lease, Network]]:
    """What the container has in networks with a way to the outside."""
    return [(lease, network) for lease in listed(run_dir)[0] if (network := _loaded(lease)) and not network.internal]


def _loaded(lease: Lease) -> Network | None:
    with suppress(NetworkError):
        return networks.load(os.path.dirname(lease.directory), lease.network.name)
    return None


def _refused(container: str, error: OSError) -> HostError:
    about = f" ({error.filename})" if error.filename else ""
    return HostError(f"cannot connect container {container}{about}: {error.strerror}", hint=hint_for(error))
