"""What runs that were killed have left in networks, and bridges that no container uses any more."""

from __future__ import annotations

import os
from contextlib import suppress

from mydocker.errors import MydockerError, NetworkError, StoreError
from mydocker.kernel import netlink, nftables
from mydocker.runtime.network import firewall, leases
from mydocker.runtime.network.bridge import up_and_down
from mydocker.runtime.network.connections import give_back, listed, read_network_line
from mydocker.runtime.network.networks import HeldNetwork, load


def release_listed(run_dir: str) -> list[tuple[str, str]]:
    """Remove what a run that was killed has left in networks: the directory and the bridge of each. The caller has the
    exclusive lock of RUN_DIR."""
    found, ports = listed(run_dir)
    if found and os.geteuid() != 0:
        from mydocker.runtime.network.rootless.connections import release

        release(found, ports, run_dir)
        return []
    for lease in found:
        with netlink.Channel() as channel, suppress(OSError):  # it went with the container's network namespace
            channel.send(netlink.delete_link(lease.veth))
        with suppress(MydockerError):  # the network has been removed, or may not be changed from here
            give_back(lease, ports, run_dir)
    return [(lease.directory, lease.network.interface) for lease in found]


def forget(lines: list[str]) -> None:
    """Let firewalls forget the members that LINES describe, which `network_line` has written."""
    for line in lines:
        with suppress(OSError):  # the network goes as a whole later
            nftables.delete_elements(firewall.members(read_network_line(line)))


def take_down_idle(directory: str, interface: str) -> None:
    """Take down the bridge INTERFACE of the network on disk in DIRECTORY, unless a container uses it; the network
    goes with it, if a file defines it. What cannot be removed is a stray that `doctor` lists."""
    try:
        if _is_ownerless(directory, interface):
            up_and_down.take_down(directory, interface)
        else:
            _remove_transient(directory)
    except (MydockerError, OSError):
        pass


def _remove_transient(directory: str) -> None:
    networks, name = os.path.split(directory)
    if load(networks, name).transient:
        from mydocker.runtime.network import lifecycle  # which others have no need of

        lifecycle.remove_transient(directory, down=up_and_down.take_down_if_up)


def _is_ownerless(directory: str, interface: str) -> bool:
    """Whether the network has been removed, perhaps with its store, or made again with another bridge. Else its bridge
    is taken down unless it is used, while nobody can join."""
    try:
        with HeldNetwork(os.path.dirname(directory), os.path.basename(directory), exclusive=True) as held:
            if held.network.interface != interface:
                return True
            leases.remove_stale(directory)
            if not leases.live(directory):
                up_and_down.take_down(directory, interface)
            return False
    except NetworkError:
        return True
    except StoreError:  # damaged
        return not leases.live(directory)
