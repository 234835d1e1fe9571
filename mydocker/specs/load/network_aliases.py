"""Aliases: the names by which the containers of one file know each other, in the network that they share.

Those that name no network share one of their own, as in Compose: PROJECT_default. So do containers of mydocker's own
files that have aliases, or of which one needs the other, which then knows it by its name. Where this host cannot give
them one, they share the host's, and there all names resolve to this machine's own address. The names of all containers
of a file are one tuple, so that a file of a thousand services does not hold a million names.
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model import BRIDGE, ContainerSpec
from mydocker.specs.model.parts import LOOPBACK, Aliases, NetworkAttachment, NetworkDefinition
from mydocker.specs.values.hosts import host
from mydocker.specs.values.project import project_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mydocker.specs.model.case import CaseSpec
    from mydocker.specs.nodes.reader import OpenFile
    from mydocker.specs.values import Scope


def share_network(specs: Sequence[CaseSpec], file: OpenFile, scope: Scope) -> list[CaseSpec]:
    """Return SPECS, the containers of FILE and of those that it includes, with the aliases of all of them in each that
    has any, and in the file's network."""
    specs = _with_names(specs)
    aliases = [spec.container.aliases for spec in specs]
    names = tuple(dict.fromkeys(name for each in aliases if each for name in each.own))
    if not names:
        return [*specs]
    network = file.default_network or NetworkAttachment(
        name=f"{project_name(scope)}_default", definition=NetworkDefinition()
    )
    return [spec.replace(container=_sharing(spec.container, names, network)) for spec in specs]


def _with_names(specs: Sequence[CaseSpec]) -> list[CaseSpec]:
    """SPECS, in which those that need others, and those others, have their names as aliases, if they set no network."""
    needed = {dependency.name for spec in specs for dependency in spec.depends_on}
    return [_named(spec) if spec.depends_on or spec.name in needed else spec for spec in specs]


def _named(spec: CaseSpec) -> CaseSpec:
    container, name = spec.container, spec.name or ""
    is_free = container.network_mode == ContainerSpec.network_mode and not container.networks
    if not is_free or container.aliases or not _is_host_name(name):
        return spec
    networks = (NetworkAttachment(name=BRIDGE, aliases=(name,)),)
    return spec.replace(container=container.replace(aliases=Aliases(own=(name,)), networks=networks))


def _is_host_name(name: str) -> bool:
    try:
        host(name, LOOPBACK)
    except UsageError:
        return False
    return True


def _sharing(spec: ContainerSpec, names: tuple[str, ...], network: NetworkAttachment) -> ContainerSpec:
    if not spec.aliases:
        return spec
    spec = spec.replace(aliases=spec.aliases.replace(known=names))
    if spec.network_mode != ContainerSpec.network_mode or [each.name for each in spec.networks] != [BRIDGE]:
        return spec
    return spec.replace(networks=(network.replace(aliases=spec.networks[0].aliases),))
