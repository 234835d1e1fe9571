"""Networks come and go: made, renumbered, removed, swept. On disk alone: bridges are brought up and down elsewhere.

A network is staged, synced to disk and renamed, so no reader sees half of one; networks.py has the layout and locks.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from mydocker import kernel
from mydocker.errors import NetworkError, StoreError, UsageError, hint_for
from mydocker.image.store import remove_tree, sync_directory
from mydocker.nearest import did_you_mean
from mydocker.number import whole_number
from mydocker.record import Record
from mydocker.runtime.network import DEFAULT, Network, Subnet, leases
from mydocker.runtime.network.addresses import ipv4_range, parse_ipv6
from mydocker.runtime.network.networks import intact, is_name, load, lock_directory, names, not_found
from mydocker.runtime.network.subnets import free_subnet, free_subnet6, host_networks, overlaps

MTU_OPTIONS = ("com.docker.network.driver.mtu", "mtu")  # Docker's name, and Podman's
_LEAST_MTU, _MOST_MTU = 68, 65535  # ETH_MIN_MTU, ETH_MAX_MTU (linux/if_ether.h)
RESERVED = ("host", "none", "default")  # they mean other things where a network is named
_MAIN_STORE = "/var/lib/mydocker/networks"  # of root; its default bridge has a name that people know
MAIN_INTERFACE = "mydocker0"
PREFIX = "md-"  # of the names of other bridges
_NEW, _REMOVED = ".new-", ".removed-"  # no network's name begins with a dot


class Addresses(Record):
    """The addresses that a new network is to have; None: mydocker chooses them. `ipv6`: also IPv6 addresses."""

    subnet: Subnet | None = None
    subnet6: Subnet | None = None
    ipv6: bool = False


CHOSEN = Addresses()  # by mydocker


def load_or_make_default(networks: str, *, taken: Callable[[], Iterable[str]] = host_networks) -> Network:
    """The network of containers that name none; directory NETWORKS need not exist. TAKEN as in `create`."""
    try:
        return load(networks, DEFAULT)
    except NetworkError:
        pass
    with _locked(networks):
        if DEFAULT in names(networks):  # another process was faster
            return load(networks, DEFAULT)
        network_id = os.urandom(32).hex()
        interface = MAIN_INTERFACE if networks == _MAIN_STORE else interface_of(network_id)
        subnet = free_subnet([*taken(), *_subnets(networks)], default=True)
        network = Network(name=DEFAULT, id=network_id, interface=interface, subnet=subnet, automatic=True)
        _publish(networks, network)
        return network


def create(
    networks: str,
    name: str,
    *,
    addresses: Addresses = CHOSEN,
    internal: bool = False,
    labels: Mapping[str, str] = {},
    options: Mapping[str, str] = {},
    transient: bool = False,
    taken: Callable[[], Iterable[str]] = host_networks,
) -> Network:
    """Make network NAME in directory NETWORKS, which need not exist; OPTIONS are those of Docker's driver `bridge`.
    TAKEN returns networks that one chosen by mydocker must not overlap, beyond those of the other networks.

    Raises UsageError, NetworkError, HostError, StoreError.
    """
    check_name(name)
    mtu = mtu_of(options)
    with _locked(networks):
        if os.path.lexists(f"{networks}/{name}"):
            raise NetworkError(f"there is already a network {name}", hint=f"see 'mydocker network inspect {name}'")
        network_id = os.urandom(32).hex()
        subnet = addresses.subnet or free_subnet([*taken(), *_subnets(networks)])
        network = Network(
            name=name,
            id=network_id,
            interface=interface_of(network_id),
            subnet=subnet,
            subnet6=addresses.subnet6 or (free_subnet6() if addresses.ipv6 else None),
            internal=internal,
            mtu=mtu,
            labels=dict(labels),
            options=dict(options),
            transient=transient,
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            automatic=addresses.subnet is None,
        )
        _check_free(networks, network)
        _publish(networks, network)
        return network


def check_name(name: str) -> None:
    """Raise UsageError if no new network can have NAME."""
    if not is_name(name):
        raise UsageError(
            f"network name {name[:40]!r}: expected letters, digits, _ . and -, a letter or digit first",
            hint="at most 255 characters",
        )
    if name in (DEFAULT, *RESERVED):
        raise UsageError(f"network name {name!r}: it is reserved")


def mtu_of(options: Mapping[str, str]) -> int | None:
    """The MTU that OPTIONS set. UsageError if another option is among them."""
    for name in options:
        if name not in MTU_OPTIONS:
            raise UsageError(
                f"network option {name!r} is not supported" + did_you_mean(name, MTU_OPTIONS),
                hint=f"supported is {MTU_OPTIONS[0]}",
            )
    found = {whole_number(text, _MOST_MTU) for text in options.values()}
    if not found:
        return None
    mtu = found.pop()
    if found or mtu is None or mtu < _LEAST_MTU:
        raise UsageError(f"network option {MTU_OPTIONS[0]}: expected a number from {_LEAST_MTU} to {_MOST_MTU}")
    return mtu


def interface_of(network_id: str) -> str:
    """The name of the bridge of the network with NETWORK_ID."""
    return f"{PREFIX}{network_id[:10]}"


def renumber(networks: str, network: Network, *, taken: Iterable[str]) -> Network:
    """NETWORK of directory NETWORKS with another subnet, none of TAKEN or of other networks, published in its place.

    For a network that is `automatic`, and not used: the caller holds its exclusive lock. Raises HostError, StoreError.
    """
    others = [text for other in intact(networks) if other.name != network.name for text in _texts(other)]
    subnet = free_subnet([*taken, *others], default=network.name == DEFAULT)
    return _republish(networks, network.replace(subnet=subnet))


def rename_bridge(networks: str, network: Network) -> Network:
    """NETWORK of directory NETWORKS with another bridge, published in its place; the rest as with `renumber`."""
    return _republish(networks, network.replace(interface=interface_of(os.urandom(32).hex())))


def _republish(networks: str, changed: Network) -> Network:
    directory = f"{networks}/{changed.name}"
    try:
        _write(f"{directory}/network.json.new", changed)
        os.rename(f"{directory}/network.json.new", f"{directory}/network.json")
        sync_directory(directory)
    except OSError as error:
        raise _refused(networks, error) from None
    return changed


def remove(networks: str, name: str, *, down: Callable[[str, Network], object] | None = None) -> None:
    """Remove network NAME of directory NETWORKS, also a damaged one. DOWN takes down what the kernel has of it, by
    its directory and the network.

    NetworkError if there is none, a container uses it, or it is the default one, which would come back.
    """
    with _locked(networks):
        if name not in names(networks):
            raise not_found(name)
        directory = f"{networks}/{name}"
        lock = lock_directory(directory, exclusive=True)
        try:
            network = _undamaged(networks, name)
            if network and name == DEFAULT:
                raise NetworkError(f"network {name} is the default one, which cannot be removed")
            if users := leases.live(directory):
                ids = ", ".join(sorted({os.path.basename(owner) for _, owner in users}))
                raise NetworkError(f"network {name} is in use", hint=f"by containers {ids}")
            if network and down:
                down(directory, network)
            doomed = f"{networks}/{_REMOVED}{os.urandom(8).hex()}"
            os.rename(directory, doomed)
            remove_tree.remove(doomed)
        finally:
            os.close(lock)


def remove_transient(directory: str, *, down: Callable[[str, Network], object] | None = None) -> None:
    """Remove the network on disk in DIRECTORY, if it was made because a file defines it, and no container uses it; DOWN
    as in `remove`."""
    networks, name = os.path.split(directory)
    try:
        if load(networks, name).transient:
            remove(networks, name, down=down)
    except NetworkError:  # it is used again, or gone
        pass


def sweep(networks: str) -> dict[str, list[str]]:
    """Remove what killed processes have left in directory NETWORKS: the addresses of the dead, by network."""
    if not os.path.isdir(networks):
        return {}
    with _locked(networks):
        for name in os.listdir(networks):
            if name.startswith((_NEW, _REMOVED)):
                remove_tree.remove(f"{networks}/{name}")
        swept = {name: leases.remove_stale(f"{networks}/{name}") for name in names(networks)}
    return {name: addresses for name, addresses in swept.items() if addresses}


def _undamaged(networks: str, name: str) -> Network | None:
    try:
        return load(networks, name)
    except (StoreError, NetworkError):  # its file is damaged, or missing
        return None


def _subnets(networks: str) -> list[str]:
    return [text for network in intact(networks) for text in _texts(network)]


def _texts(network: Network) -> list[str]:
    return [subnet.network for subnet in (network.subnet, network.subnet6) if subnet]


def _check_free(networks: str, network: Network) -> None:
    """Raise UsageError if NETWORK has addresses of another one, or of its own twice."""
    for other in intact(networks):
        for mine in _texts(network):
            if any(overlaps(mine, text) for text in _texts(other)):
                raise UsageError(f"subnet {mine} overlaps that of network {other.name}")
    if network.subnet6:
        first, last = ipv4_range(network.subnet.network)
        base = parse_ipv6(network.subnet6.network.partition("/")[0])
        if first <= parse_ipv6(network.subnet6.gateway) - base <= last:  # see addresses.ipv6_of
            raise UsageError(f"gateway {network.subnet6.gateway}: a container would have this address")


@contextmanager
def _locked(networks: str) -> Iterator[None]:
    """Directory NETWORKS exists, and no other process creates, removes or sweeps in it."""
    try:
        os.makedirs(networks, mode=0o700, exist_ok=True)
        lock = os.open(networks, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(networks, error) from None
    try:
        kernel.lock(lock)
        yield
    except OSError as error:
        raise _refused(networks, error) from None
    finally:
        os.close(lock)


def _publish(networks: str, network: Network) -> None:
    """Stage, sync, rename: after a crash the network is there as a whole, or not at all."""
    staged = f"{networks}/{_NEW}{os.urandom(8).hex()}"
    try:
        os.mkdir(staged, 0o700)
        os.mkdir(f"{staged}/leases", 0o700)
        _write(f"{staged}/network.json", network)
        sync_directory(staged)
        os.rename(staged, f"{networks}/{network.name}")
    except OSError:  # the disk is full: nothing more is to lie there after each attempt
        remove_tree.remove(staged)
        raise
    sync_directory(networks)


def _write(path: str, network: Network) -> None:
    values = network.as_dict()
    for key in ("subnet", "subnet6"):
        values[key] = values[key] and values[key].as_dict()
    raw = json.dumps(values, indent=2).encode() + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(descriptor)


def _refused(networks: str, error: OSError) -> StoreError:
    hint = "set MYDOCKER_ROOT to a directory that can be written" if error.errno == errno.EROFS else hint_for(error)
    return StoreError(f"cannot change the networks: {error.strerror}: {error.filename or networks}", hint=hint)
