"""Strays: what the kernel and the store still have of networks that no container uses.

The cleanup process of each run removes all of it. It can itself be killed, and then it is whoever uses the network next
that does so; what nobody will use again is found here. A bridge carries the directory of its network as its alias, so
those of other stores are judged as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

from mydocker.errors import HostError, MydockerError
from mydocker.kernel import has_power_over, netlink
from mydocker.programs import run
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.network import bridge, firewall, leases, networks
from mydocker.runtime.network.firewall import ruleset
from mydocker.runtime.network.lifecycle import MAIN_INTERFACE, PREFIX, sweep
from mydocker.runtime.network.upkeep.release import take_down_idle

if TYPE_CHECKING:
    from mydocker.kernel.netlink import Link

_SETTLED = 1.5  # seconds, more than those that a bridge is kept for the next container, or that a start takes


class Stray(Record):
    """A bridge, a firewall without a bridge, or an address that was not given back. `directory` is that of its network,
    or empty if it is unknown."""

    kind: str  # bridge, firewall, address
    name: str
    directory: str = ""

    def __str__(self) -> str:
        where = f" of network {os.path.basename(self.directory)}" if self.directory else ""
        return f"{self.kind} {self.name}{where}"


def find(directory: str) -> list[Stray]:
    """The strays among the networks on disk in DIRECTORY, and among all bridges of this host. It takes a moment if
    there seem to be any: what is about to be removed, or to be used, is none."""
    return _settled(directory, lambda stray: True)


def find_removable(directory: str) -> list[Stray]:
    """Those of `find` that belong to the networks in DIRECTORY, or to no store at all."""
    return _settled(directory, lambda stray: _is_removable(directory, stray))


def _settled(directory: str, matters: Callable[[Stray], bool]) -> list[Stray]:
    found = {key: stray for key, stray in _candidates(directory).items() if matters(stray)}
    if found:
        time.sleep(_SETTLED)
        again = _candidates(directory)
        found = {key: stray for key, stray in found.items() if key in again}
    return list(found.values())


def _is_removable(directory: str, stray: Stray) -> bool:
    if stray.kind == "bridge":
        is_own = os.path.dirname(stray.directory) == directory
        return is_own or bool(stray.directory and not os.path.exists(stray.directory))
    return True


def remove(directory: str, strays: list[Stray]) -> list[Stray]:
    """Remove STRAYS, which `find_removable` found in DIRECTORY; those that are gone. Raises StoreError."""
    sweep(directory)
    for stray in strays:
        if stray.kind == "bridge":
            take_down_idle(stray.directory, stray.name)
        elif stray.kind == "firewall":
            with suppress(MydockerError, OSError):  # it stays in the list
                ruleset.remove(stray.name)
    left = _candidates(directory).values()
    return [stray for stray in strays if stray not in left]


def _candidates(directory: str) -> dict[tuple[str, str, int], Stray]:
    """What no container uses right now; the index of a bridge tells it from a later one of the same name."""
    found = {}
    for name in networks.names(directory):
        for address in _stale(f"{directory}/{name}"):
            found["address", f"{name} {address}", 0] = Stray(
                kind="address", name=address, directory=f"{directory}/{name}"
            )
    if os.geteuid() != 0 or not has_power_over("/proc/self/ns/net"):  # a user's own end with their network namespace
        return found
    try:
        with netlink.Channel() as channel:
            links = netlink.list_links(channel)
    except OSError:
        return found
    used = {link.master for link in links}
    for link in links:
        directory_of_it = _directory_of(link)
        is_own = link.kind == "bridge" and _is_own_name(link.name)
        if is_own and link.index not in used and not _is_used(directory_of_it):
            found["bridge", link.name, link.index] = Stray(kind="bridge", name=link.name, directory=directory_of_it)
    names = {link.name for link in links}
    for interface in _firewalls():
        if interface not in names:
            found["firewall", interface, 0] = Stray(kind="firewall", name=interface)
    return found


def _directory_of(link: Link) -> str:
    """The directory of the network whose bridge LINK is; empty if it is unknown, or of another mount namespace, where
    the same path is of another directory."""
    directory = bridge.directory_of(link)
    return directory if bridge.is_of(link, directory) else ""


def _is_own_name(interface: str) -> bool:
    return interface == MAIN_INTERFACE or interface.startswith(PREFIX)


def _is_used(directory: str) -> bool:
    with suppress(OSError):
        return bool(directory) and bool(leases.live(directory))
    return False


def _stale(directory: str) -> list[str]:
    with suppress(OSError):
        return leases.stale(directory)
    return []


def _firewalls() -> list[str]:
    """The bridges that tables of nftables are for."""
    try:
        tables = run("nft", "list", "tables").decode(errors="replace")
    except HostError:
        return []
    names = {line.split()[-1] for line in tables.splitlines() if line}
    own = [name.removeprefix(firewall.PREFIX) for name in sorted(names) if name.startswith(firewall.PREFIX)]
    return [interface for interface in own if _is_own_name(interface)]
