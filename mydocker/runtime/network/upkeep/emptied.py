"""Networks in use whose firewall somebody has emptied, as it is done where nftables is restarted: published ports and
the way out are gone then. A container that starts there, or joins, restores it; so does this, for all networks."""

from __future__ import annotations

import os

from mydocker.errors import HostError, NetworkError
from mydocker.kernel import netlink
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import bridge, leases, networks
from mydocker.runtime.network.connections import restore_firewall
from mydocker.runtime.network.firewall import ruleset

if TYPE_CHECKING:
    from mydocker.runtime.network import Network


def restore(directory: str) -> list[str]:
    """Load the firewalls again that were emptied, of networks in DIRECTORY: the names of these. Only root's are in the
    host's network. Raises MydockerError."""
    if os.geteuid() != 0:
        return []
    return [network.name for network in networks.intact(directory) if _is_emptied(directory, network)]


def _is_emptied(directory: str, network: Network) -> bool:
    """Whether the firewall of NETWORK was emptied, which it is not any more when this returns."""
    if not _is_up(f"{directory}/{network.name}", network) or ruleset.is_complete(network.interface):
        return False
    try:
        with networks.HeldNetwork(directory, network.name, exclusive=True) as held:
            if not _is_up(held.directory, held.network) or ruleset.is_complete(held.network.interface):
                return False  # it has been taken down meanwhile, or restored
            restore_firewall(held)
            return True
    except NetworkError:  # it has been removed
        return False


def _is_up(directory: str, network: Network) -> bool:
    """Whether containers use NETWORK on this host."""
    try:
        with netlink.Channel() as channel:
            link = netlink.get_link(channel, network.interface)
    except OSError as error:
        raise HostError(f"cannot look for the bridge of network {network.name}: {error.strerror}") from None
    return bool(link and link.is_up and bridge.is_of(link, directory) and leases.live(directory))
