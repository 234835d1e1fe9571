"""`--volumes-from`: the volumes of a container in the background, for another one that starts."""

from __future__ import annotations

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers.find import find_kept
from mydocker.specs.model import BindMount, VolumeMount

if TYPE_CHECKING:
    from mydocker.image.store import Store
    from mydocker.specs.model import ContainerSpec, Mount


def with_volumes(spec: ContainerSpec, store: Store) -> ContainerSpec:
    """SPEC, with the binds and volumes of the containers that its `volumes_from` names in place of that. Raises
    LaunchError for a container that is not there, or that has a volume without a name, which is its own."""
    found: dict[str, Mount] = {}
    for each in spec.volumes_from:
        name = each.container.partition(":")[2] or each.container
        for mount in find_kept(store, name).config.spec.volumes:
            if isinstance(mount, VolumeMount) and not mount.volume:
                hint = "give the volume a name"
                raise LaunchError(
                    f"the volume at {mount.target} of container {name} has no name, and is its own", hint=hint
                )
            if isinstance(mount, BindMount | VolumeMount):
                found[mount.target] = each.of(mount)
    own = {mount.target for mount in spec.volumes}
    inherited = tuple(mount for target, mount in found.items() if target not in own)
    return spec.replace(volumes=(*inherited, *spec.volumes), volumes_from=())
