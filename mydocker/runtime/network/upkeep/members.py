"""Who is in a network: the containers that have a lease there, as their run directories describe them."""

from __future__ import annotations

import os

from mydocker.record import Record
from mydocker.runtime.network import Network, leases
from mydocker.runtime.network.addresses import mac_of
from mydocker.runtime.network.connections import listed


class Member(Record):
    """A container in a network. `id` is the beginning of its ID; without a `name`, that is the first by which others
    find it."""

    id: str
    name: str
    address: str
    address6: str
    mac: str
    run_dir: str


def members(directory: str, network: Network) -> list[Member]:
    """The containers in NETWORK, on disk in DIRECTORY, by their addresses."""
    found = []
    for address, run_dir in leases.live(directory):
        known = {lease.address: lease for lease in listed(run_dir)[0] if lease.directory == directory}
        lease = known.get(address)  # None: it has just taken the address
        container_id = os.path.basename(run_dir)
        found.append(
            Member(
                id=container_id,
                name=_name(run_dir) or (lease.aliases[0] if lease and lease.aliases else container_id),
                address=address,
                address6=lease.address6 if lease else "",
                mac=lease.mac if lease else mac_of(address),
                run_dir=run_dir,
            )
        )
    return found


def _name(run_dir: str) -> str:
    try:
        return os.readlink(f"{run_dir}/name")
    except OSError:
        return ""
