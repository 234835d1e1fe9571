"""Aliases: the names by which containers of one file, on a network that they share, know each other.

All resolve to this machine's own address, because the shared network is the host's. The names of all containers of
a file are one tuple, so that a file of a thousand services does not hold a million names.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mydocker.specs.model.case import CaseSpec


def share_names(specs: Sequence[CaseSpec]) -> list[CaseSpec]:
    """Return SPECS, the containers of one file and of those that it includes, with the aliases of all of them in each
    that has any."""
    aliases = [spec.container.aliases for spec in specs]
    names = tuple(dict.fromkeys(name for each in aliases if each for name in each.own))
    return [
        spec.replace(container=spec.container.replace(aliases=each.replace(known=names))) if each and names else spec
        for spec, each in zip(specs, aliases, strict=True)
    ]
