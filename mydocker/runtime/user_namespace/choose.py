"""Which user namespace a container gets, of those that its spec may ask for; imported only where it asks for one."""

from __future__ import annotations

import os

from mydocker import idmap
from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network.joined_container import shares
from mydocker.runtime.user_namespace import ranges, words

if TYPE_CHECKING:
    from typing import Any

    from mydocker.idmap import IdMap
    from mydocker.image.model import StoredImage
    from mydocker.runtime.plan.host import Host
    from mydocker.specs.model import ContainerSpec


def with_ids(
    spec: ContainerSpec, image: StoredImage | None, host: Host, *, network: str
) -> tuple[Host, dict[str, Any]]:
    """HOST with the ids of the container of SPEC on IMAGE, and the fields of its plan that say more about them. NETWORK
    is the run directory of the container whose network it shares. Raises LaunchError."""
    if not words.wants_own(spec):
        return host, {}
    words.check(spec)
    _check_possible(spec, host)
    if spec.userns_mode.partition(":")[0] != "auto":
        ids = words.chosen(spec)
        _check_joined(spec, ids, network)
        return host.replace(own_ids=ids), {}
    for run_dir in _joined(spec, network):
        return host.replace(own_ids=idmap.of_process(_process(run_dir))), {}
    user = spec.user.user if spec.user else 0
    layers = image.lowerdirs if image and not image.file else ()
    asked = words.automatic(spec, ranges.size_for(layers, user))
    return host.replace(own_ids=ranges.first_ids(asked)), {"auto_ids": asked}


def _check_possible(spec: ContainerSpec, host: Host) -> None:
    what = f"userns_mode {spec.userns_mode}" if spec.userns_mode != "host" else ", ".join(words.maps_of(spec))
    if host.rootless:
        hint = "use keep-id, or run it as root: the kernel lets only root show an image with other owners"
        raise LaunchError(f"{what}: an ordinary user's containers have the user's own map", hint=hint)
    if spec.userns_mode == "nomap":
        raise LaunchError("userns_mode nomap is for ordinary users", hint="use auto")
    if "mount" not in spec.namespaces:
        raise LaunchError(f"{what} takes a mount namespace", hint="add `mount` to namespaces")
    if spec.rootfs == "/":
        raise LaunchError(f"{what}: the machine's own tree cannot be shown with other owners", hint="use an image")


def _joined(spec: ContainerSpec, network: str) -> list[str]:
    """The run directories of the containers that the one of SPEC shares a namespace with, if they have a user namespace
    of their own."""
    found = dict.fromkeys((*([network] if network else []), *spec.joined_namespaces.values()))
    return [run_dir for run_dir in found if not shares(run_dir, "user")]


def _check_joined(spec: ContainerSpec, ids: IdMap, network: str) -> None:
    for run_dir in _joined(spec, network):
        if not idmap.of_process(_process(run_dir)).is_same(ids):
            raise LaunchError(
                f"container {os.path.basename(run_dir)} has other user and group IDs, so its namespaces cannot be shared",
                hint="start both with the same map, or this one with --userns auto, which takes the other's",
            )


def _process(run_dir: str) -> int:
    return int(os.readlink(f"{run_dir}/process"))
