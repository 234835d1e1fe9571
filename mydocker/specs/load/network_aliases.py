"""Aliases: the names by which the containers of one file know each other, in the network that they share.

Those that name no network share one of their own, as in Compose: PROJECT_default. Where this host cannot give them
one, they share the host's, and there all names resolve to this machine's own address. The names of all containers of
a file are one tuple, so that a file of a thousand services does not hold a million names.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.model import BRIDGE, ContainerSpec
from mydocker.specs.model.parts import NetworkAttachment, NetworkDefinition
from mydocker.specs.values.project import project_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mydocker.specs.model.case import CaseSpec
    from mydocker.specs.nodes.reader import OpenFile
    from mydocker.specs.values import Scope


def share_network(specs: Sequence[CaseSpec], file: OpenFile, scope: Scope) -> list[CaseSpec]:
    """Return SPECS, the containers of FILE and of those that it includes, with the aliases of all of them in each that
    has any, and in the file's network."""
    aliases = [spec.container.aliases for spec in specs]
    names = tuple(dict.fromkeys(name for each in aliases if each for name in each.own))
    if not names:
        return [*specs]
    network = file.default_network or NetworkAttachment(
        name=f"{project_name(scope)}_default", definition=NetworkDefinition()
    )
    return [spec.replace(container=_sharing(spec.container, names, network)) for spec in specs]


def _sharing(spec: ContainerSpec, names: tuple[str, ...], network: NetworkAttachment) -> ContainerSpec:
    if not spec.aliases:
        return spec
    spec = spec.replace(aliases=spec.aliases.replace(known=names))
    if spec.network_mode != ContainerSpec.network_mode or [each.name for each in spec.networks] != [BRIDGE]:
        return spec
    return spec.replace(networks=(network.replace(aliases=spec.networks[0].aliases),))
