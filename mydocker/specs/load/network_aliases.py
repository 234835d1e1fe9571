"""Aliases: the names by which containers of one file, on a network that they share, know each other.

All resolve to this machine's own address, because the shared network is the host's. The names of all containers of
a file are one tuple, so that a file of a thousand services does not hold a million names.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mydocker.specs.model import ContainerSpec


def share_names(specs: Sequence[ContainerSpec]) -> list[ContainerSpec]:
    """Return SPECS, the containers of one file and of those that it includes, with the aliases of all of them in each
    that has any."""
    names = tuple(dict.fromkeys(name for spec in specs if spec.aliases for name in spec.aliases.own))
    return [
        spec.replace(aliases=spec.aliases.replace(known=names)) if spec.aliases and names else spec for spec in specs
    ]
