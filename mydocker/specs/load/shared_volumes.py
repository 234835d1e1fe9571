"""`volumes_from`: a container has the volumes and binds of another one of its files, at the same places, over which its
own win (docker run, --volumes-from). Those of a container that runs already are looked up when it starts.

A volume without a name gets one, that of the project and of the container that has it, so that both have the same.
"""

from __future__ import annotations

from mydocker.errors import Problem
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model import BindMount, VolumeMount
from mydocker.specs.values.project import project_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mydocker.specs.model import ContainerSpec, Mount
    from mydocker.specs.model.case import CaseSpec
    from mydocker.specs.values import Scope

SERVICE = "service:"


def share_volumes(specs: Sequence[CaseSpec], scope: Scope) -> list[CaseSpec]:
    """SPECS, those with `volumes_from` with the volumes of the others. A name that none has is reported elsewhere: it
    is a dependency, too."""
    sources = {_other(each.container) for spec in specs for each in spec.container.volumes_from} - {""}
    if not sources:
        return [*specs]
    project = project_name(scope)
    named = [
        _with_names(spec, spec.service.project if spec.service else project) if spec.name in sources else spec
        for spec in specs
    ]
    by_name = {spec.name: spec.container for spec in named if spec.name}
    return [spec.replace(container=_shared(spec.container, by_name, ())) for spec in named]


def nothing_to_share(specs: Sequence[CaseSpec]) -> Iterator[Problem]:
    """A warning for each `volumes_from` of SPECS that names a container without volumes: Docker would share those that
    its image declares, which nobody knows yet."""
    without = {spec.name for spec in specs if not spec.container.volumes and not spec.container.volumes_from}
    for spec in specs:
        for each in spec.container.volumes_from:
            if (name := _other(each.container)) in without:
                message = f"volumes_from: {name!r} has no volumes; those that its image may declare are not shared"
                yield Problem(origin=spec.origin.replace(file=""), message=message)


def _other(name: str) -> str:
    return name.removeprefix(SERVICE) if name.startswith(SERVICE) else ""


def _with_names(spec: CaseSpec, project: str) -> CaseSpec:
    return spec.replace(
        container=spec.container.replace(
            volumes=tuple(_named(mount, f"{project}_{spec.name}") for mount in spec.container.volumes)
        )
    )


def _named(mount: Mount, prefix: str) -> Mount:
    if not isinstance(mount, VolumeMount) or mount.volume:
        return mount
    return mount.replace(volume=f"{prefix}_{mount.target.strip('/').replace('/', '_')}")


def _shared(spec: ContainerSpec, by_name: dict[str, ContainerSpec], chain: tuple[str, ...]) -> ContainerSpec:
    """SPEC with the mounts of the others; CHAIN: the names that led here, which a circle does not lead to again."""
    if not spec.volumes_from:
        return spec
    found: dict[str, Mount] = {}
    for each in spec.volumes_from:
        name = _other(each.container)
        if name in by_name and name not in chain:
            other = _shared(by_name[name], by_name, (*chain, name))
            found |= {
                mount.target: each.of(mount) for mount in other.volumes if isinstance(mount, BindMount | VolumeMount)
            }
    own = {mount.target for mount in spec.volumes}
    inherited = tuple(mount for target, mount in found.items() if target not in own)
    left = tuple(each for each in spec.volumes_from if not _other(each.container))
    return spec.replace(volumes=(*inherited, *spec.volumes), volumes_from=left)
