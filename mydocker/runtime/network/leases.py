"""Leases: which container has which address of a network.

A lease is a link `leases/<address>` in the network's directory, whose target is the run directory of its owner: with
symlink(2) one of many succeeds, so taking an address needs no lock. It is live while the owner's run directory is
locked (run_directory.py), which ends with the processes that hold that lock, however they end. Removing a lease is done
under the lock of `leases/`: who finds an owner dead would otherwise remove the link that another one made meanwhile.

Owners have the lock of their run directory before they take an address.
"""

from __future__ import annotations

import errno
import os

from mydocker import kernel
from mydocker.errors import NetworkError, StoreError, UsageError, hint_for
from mydocker.image.store_root import is_held
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import Lease
from mydocker.runtime.network.addresses import format_ipv4, ipv4_range, ipv6_of, mac_of, parse_ipv4

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.runtime.network import Network

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WIDTH = 16  # bytes of the file `last`: an address, an end of line, and blanks, so that it is never cut off
_INDEXES = "0123456789abcdefghijklmnopqrstuvwxyz"  # one character, as an interface's name has 15: md, 12 digits, this


def take(
    directory: str,
    network: Network,
    run_dir: str,
    *,
    container_id: str,
    index: int,
    address: str | None = None,
    address6: str | None = None,
    earlier: str = "",
    mac: str | None = None,
    aliases: tuple[str, ...] = (),
) -> Lease:
    """Take an address of NETWORK, on disk in DIRECTORY, for the container with RUN_DIR, which holds the lock of that.

    ADDRESS if set, else EARLIER, which the container had before, or else the next one that is free; ADDRESS6 if set,
    else the one that follows from the IPv4 address.
    INDEX is the number of this network among the container's. Raises NetworkError if an address is in use or none is
    left, UsageError if no container can have it.
    """
    if not 0 <= index < len(_INDEXES):
        raise UsageError(f"a container can be in {len(_INDEXES)} networks at most")
    try:
        address, address6 = _take(directory, network, run_dir, address, address6, earlier)
    except OSError as error:
        raise _refused(directory, network, error) from None
    return Lease(
        directory=directory,
        network=network,
        address=address,
        address6=address6 or (ipv6_of(address, network.subnet6.network) if network.subnet6 else ""),
        mac=mac or mac_of(address),
        aliases=aliases,
        interface=f"eth{index}",
        veth=f"md{container_id[:12]}{_INDEXES[index]}",
    )


def index_of(lease: Lease) -> int:
    """The number of LEASE's network among those of its container."""
    return _INDEXES.index(lease.veth[-1])


def release(lease: Lease, run_dir: str) -> None:
    """Give back LEASE, if the container with RUN_DIR still has it. Raises OSError."""
    with _Lock(lease.directory) as leases:
        for address in (lease.address, lease.address6):
            try:
                if address and os.readlink(address, dir_fd=leases) == run_dir:
                    os.unlink(address, dir_fd=leases)
            except FileNotFoundError:
                pass


def release_all(directory: str, run_dir: str) -> list[str]:
    """Give back what the container with RUN_DIR has in the network on disk in DIRECTORY, whether or not it lives: its
    addresses. Raises OSError."""
    with _Lock(directory) as leases:
        gone = [address for address, owner in _links(leases) if owner == run_dir]
        for address in gone:
            os.unlink(address, dir_fd=leases)
    return gone


def live(directory: str) -> list[tuple[str, str]]:
    """The IPv4 addresses in use in the network on disk in DIRECTORY, each with the run directory of its owner."""
    try:
        leases = os.open(f"{directory}/leases", _DIRECTORY)
    except FileNotFoundError:
        return []
    try:
        return [(address, owner) for address, owner in _links(leases) if ":" not in address and is_held(owner)]
    finally:
        os.close(leases)


def remove_stale(directory: str) -> list[str]:
    """Remove the leases of the dead in the network on disk in DIRECTORY: their addresses. Raises OSError."""
    try:
        with _Lock(directory) as leases:
            return _remove_stale(leases)
    except FileNotFoundError:
        return []


def stale(directory: str) -> list[str]:
    """The addresses of the dead in the network on disk in DIRECTORY. Raises OSError."""
    try:
        leases = os.open(f"{directory}/leases", _DIRECTORY)
    except FileNotFoundError:
        return []
    try:
        return [address for address, owner in _links(leases) if not is_held(owner)]
    finally:
        os.close(leases)


def _take_if_free(directory: str, network: Network, run_dir: str, address: str) -> bool:
    """Take ADDRESS, if a container of NETWORK can have it, and none has it; whether that is so."""
    try:
        _check(network, address)
    except UsageError:  # the network has other addresses by now
        return False
    return _link(directory, run_dir, address)


def _take(
    directory: str, network: Network, run_dir: str, address: str | None, address6: str | None, earlier: str
) -> tuple[str, str | None]:
    """Both addresses, or none: those that are set, and for IPv4 otherwise EARLIER, or else the next free one."""
    if address is not None:
        _check(network, address)
    if address6 is not None:
        address6 = _checked6(network, address6)
        _take_chosen(directory, network, run_dir, address6)
    try:
        if address is None:
            if earlier and _take_if_free(directory, network, run_dir, earlier):
                return earlier, address6
            return _take_next(directory, network, run_dir), address6
        _take_chosen(directory, network, run_dir, address)
    except NetworkError:
        if address6 is not None:
            release_all(directory, run_dir)
        raise
    return address, address6


def _take_next(directory: str, network: Network, run_dir: str) -> str:
    """The next free address after the one that was given out last, so that none is used again at once."""
    memory = os.open(f"{directory}/last", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        address = _take_after(memory, directory, network, run_dir)
        if not address:
            with _Lock(directory) as leases:  # nobody gives back an address while all are tried
                _remove_stale(leases)
                address = _take_after(memory, directory, network, run_dir)
    finally:
        os.close(memory)
    if not address:
        raise NetworkError(f"no address is left in network {network.name} (subnet {network.subnet.network})")
    return address


def _take_after(memory: int, directory: str, network: Network, run_dir: str) -> str:
    """Take the first free address after the one in MEMORY, the file `last`; empty if there is none."""
    first, last = _bounds(network)
    gateway, size = parse_ipv4(network.subnet.gateway), last - first + 1
    start = _recall(memory, first, last)
    for step in range(1, size + 1):
        number = first + (start - first + step) % size
        address = format_ipv4(number)
        if number != gateway and _link(directory, run_dir, address):
            os.pwrite(memory, f"{address}\n".encode().ljust(_WIDTH), 0)
            return address
    return ""


def _bounds(network: Network) -> tuple[int, int]:
    """The first and the last address that a container can get."""
    first, last = ipv4_range(network.subnet.network)
    low, high = ipv4_range(network.subnet.ip_range) if network.subnet.ip_range else (first, last)
    return max(first + 1, low), min(last - 1, high)


def _recall(memory: int, first: int, last: int) -> int:
    """The number of the address that was given out last; that before FIRST if it is unknown, or not up to LAST."""
    try:
        number = parse_ipv4(os.pread(memory, _WIDTH, 0).decode("ascii").strip())
    except ValueError:
        return first - 1
    return number if first <= number <= last else first - 1


def _take_chosen(directory: str, network: Network, run_dir: str, address: str) -> None:
    """Take ADDRESS, also from an owner that is dead."""
    if _link(directory, run_dir, address):
        return
    with _Lock(directory) as leases:
        while not _link(directory, run_dir, address):
            try:
                owner = os.readlink(address, dir_fd=leases)
                if is_held(owner):
                    raise NetworkError(
                        f"address {address} is in use in network {network.name}",
                        hint=f"container {os.path.basename(owner)} has it",
                    )
                os.unlink(address, dir_fd=leases)
            except FileNotFoundError:  # it ended just now
                pass


def _check(network: Network, address: str) -> None:
    """Raise UsageError if no container of NETWORK can have ADDRESS."""
    subnet = network.subnet
    try:
        number = parse_ipv4(address)
    except ValueError as error:
        raise UsageError(str(error)) from None
    first, last = ipv4_range(subnet.network)
    reason = ""
    if not first <= number <= last:
        reason = "is outside of"
    elif number in (first, last):
        reason = f"is the {'network' if number == first else 'broadcast'} address of"
    elif address == subnet.gateway:
        reason = "is the gateway's in"
    if reason:
        raise UsageError(f"address {address} {reason} the subnet of network {network.name}, {subnet.network}")


def _checked6(network: Network, text: str) -> str:
    """ADDRESS6 in its canonical form. UsageError if no container of NETWORK can have it.

    None can have one that follows from an IPv4 address, which may be another container's.
    """
    from ipaddress import IPv6Address, IPv6Network, ip_network

    if not network.subnet6:
        raise UsageError(f"address {text}: network {network.name} has no IPv6", hint="see 'network create --ipv6'")
    try:
        address, whole = IPv6Address(text), IPv6Network(network.subnet6.network)
    except ValueError:
        raise UsageError(f"{text!r} is not an IPv6 address") from None
    derived = ip_network(network.subnet.network)
    reason = ""
    if address not in whole:
        reason = "is outside of"
    elif address in (whole[0], IPv6Address(network.subnet6.gateway)):
        reason = "is the router's in"
    elif int(derived[0]) <= int(address) - int(whole[0]) <= int(derived[-1]):
        reason = "is reserved for a container by its IPv4 address in"
    if reason:
        raise UsageError(f"address {address} {reason} the subnet of network {network.name}, {whole}")
    return str(address)


def _link(directory: str, run_dir: str, address: str) -> bool:
    """Whether ADDRESS was free, and is now RUN_DIR's."""
    try:
        os.symlink(run_dir, f"{directory}/leases/{address}")
    except FileExistsError:
        return False
    return True


def _links(leases: int) -> Iterator[tuple[str, str]]:
    """The leases in directory LEASES in the order of their numbers, each with its target; no target for a file."""
    for name in sorted(os.listdir(leases), key=lambda name: [part.rjust(3) for part in name.split(".")]):
        try:
            yield name, os.readlink(name, dir_fd=leases)
        except FileNotFoundError:
            pass
        except OSError:  # EINVAL: damage
            yield name, ""


def _remove_stale(leases: int) -> list[str]:
    gone = [address for address, owner in _links(leases) if not is_held(owner)]
    for address in gone:
        os.unlink(address, dir_fd=leases)
    return gone


def _refused(directory: str, network: Network, error: OSError) -> StoreError | NetworkError:
    if isinstance(error, FileNotFoundError):
        return NetworkError(f"network {network.name} has been removed", hint="see 'mydocker network ls'")
    hint = "set MYDOCKER_ROOT to a directory that can be written" if error.errno == errno.EROFS else hint_for(error)
    return StoreError(f"cannot take an address of network {network.name}: {error.strerror}: {directory}", hint=hint)


class _Lock:
    """Context manager: the leases in DIRECTORY, open, and nobody else removes any between enter and exit."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def __enter__(self) -> int:
        self.leases = os.open(f"{self.directory}/leases", _DIRECTORY)
        try:
            kernel.lock(self.leases)
        except BaseException:
            os.close(self.leases)
            raise
        return self.leases

    def __exit__(self, *_: object) -> None:
        os.close(self.leases)
