"""Aliases: the names by which containers of one file, on a network that they share, know each other.

All resolve to this machine's own address, because the shared network is the host's. The names of all containers of
a file are one tuple, so that a file of a thousand services does not hold a million names.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.model.parts import LOOPBACK
from mydocker.specs.values.hosts import host

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mydocker.specs.model.case import CaseSpec
    from mydocker.specs.values import Scope


def parse_alias(text: str, scope: Scope) -> str:
    return host(text, LOOPBACK)[0]


def share_names(specs: Sequence[CaseSpec]) -> list[CaseSpec]:
    """Return SPECS, the containers of one file and of those that it includes, with the aliases of all of them in each
    that has any."""
    aliases = [spec.container.aliases for spec in specs]
    names = tuple(dict.fromkeys(name for each in aliases if each for name in each.own))
    return [
        spec.replace(container=spec.container.replace(aliases=each.replace(known=names))) if each and names else spec
        for spec, each in zip(specs, aliases, strict=True)
    ]
