"""A container that runs has got another name: by that, the others of its networks find it from now on."""

from __future__ import annotations

from contextlib import suppress

from mydocker.errors import HostError, LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.inspect.running import read_link
from mydocker.runtime.network import DEFAULT, joined_container, leases, names
from mydocker.runtime.network.connections import listed, network_line
from mydocker.runtime.network.upkeep.reconnect import kept, where_bridges_are
from mydocker.runtime.plan.networks import known_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.runtime.network import Lease


def rename(networks: str, run_dir: str, name: str, aliases: Mapping[str, tuple[str, ...]]) -> None:
    """The container with RUN_DIR, whose networks are in directory NETWORKS, is called NAME from now on, if it runs.
    ALIASES, by network, are names that it has whatever it is called.

    Raises HostError, NetworkError if it would have too many names.
    """
    old = read_link(run_dir, "name")
    with suppress(LaunchError, FileNotFoundError), kept(run_dir):  # it does not run, or ends now
        joined_container.replace_link(f"{run_dir}/name", name)
        found = [lease for lease in listed(run_dir)[0] if lease.network.name != DEFAULT]
        if not found:
            return
        try:  # what is changed are files, but the containers of an ordinary user may have given theirs to others
            where_bridges_are(networks, lambda: _rename(found, run_dir, old, name, aliases))
        except HostError:  # who holds the networks of this user has been killed
            _rename(found, run_dir, old, name, aliases)


def _rename(found: list[Lease], run_dir: str, old: str, name: str, aliases: Mapping[str, tuple[str, ...]]) -> None:
    for lease in found:
        stays = (*aliases.get(lease.network.name, ()), joined_container.hostname_of(run_dir))
        others = [each for each in lease.aliases if each != old or each in stays]
        new = lease.replace(aliases=known_by(name, *others))
        joined_container.replace_link(f"{run_dir}/network{leases.index_of(lease)}", network_line(new))
        names.rename(lease, new, run_dir)
