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

OF_IMAGES = 65536  # files of an image have owners below that


def with_ids(
    spec: ContainerSpec, image: StoredImage | None, host: Host, *, network: str
) -> tuple[Host, dict[str, Any]]:
    """HOST with the ids of the container of SPEC on IMAGE, and the fields of its plan that say more about them. NETWORK
    is the run directory of the container whose network it shares. Raises LaunchError."""
    if not words.wants_own(spec):
        return host, {}
    words.check(spec)
    _check_possible(spec, host)
    if host.ids:
        return host.replace(ids=_changed(spec, host.ids)), {}
    joined = list(dict.fromkeys((*([network] if network else []), *spec.joined_namespaces.values())))
    is_automatic = spec.userns_mode.partition(":")[0] == "auto"
    if joined:
        ids = _shared(joined)
        if not (is_automatic or ids.is_same(words.chosen(spec))):
            raise LaunchError(
                f"container {os.path.basename(joined[0])} has other user and group IDs, so no namespace can be shared",
                hint="start both with the same map, or this one with --userns auto, which takes the other's",
            )
        return host.replace(own_ids=ids), {}
    if not is_automatic:
        return host.replace(own_ids=words.chosen(spec)), {}
    user = spec.user.user if spec.user else 0
    layers = image.lowerdirs if image and not image.file else ()
    asked = words.automatic(spec, ranges.size_for(layers, user))
    return host.replace(own_ids=ranges.first_ids(asked)), {"auto_ids": asked}


def _check_possible(spec: ContainerSpec, host: Host) -> None:
    what = f"userns_mode {spec.userns_mode}" if spec.userns_mode != "host" else ", ".join(spec.id_maps)
    if host.rootless and not (spec.uidmap or spec.gidmap):
        hint = "use keep-id, or run it as root: the kernel lets only root show an image with other owners"
        raise LaunchError(f"{what}: an ordinary user's containers have the user's own map", hint=hint)
    if spec.userns_mode == "nomap":
        raise LaunchError("userns_mode nomap is for ordinary users", hint="use auto")
    if "mount" not in spec.namespaces:
        raise LaunchError(f"{what} takes a mount namespace", hint="add `mount` to namespaces")


def _changed(spec: ContainerSpec, own: IdMap) -> IdMap:
    """The map of SPEC for an ordinary user, with OWN otherwise, by which the files of images have their owners. It may
    lack ids of that, and have more of those that no image has. LaunchError if it has another one."""
    if spec.subuidname or spec.subgidname:
        raise LaunchError("subuidname and subgidname are for root", hint="leave them out: the user's ids are there")
    ids = words.changed(spec, own)
    words.check_map(ids)
    for kind, new, old in (("user", ids.users, own.users), ("group", ids.groups, own.groups)):
        for extent in new:  # each of which is within one of OLD, on the side of the host
            if extent.inside < OF_IMAGES and idmap.looked_up(old, extent.inside) != extent.outside:
                raise LaunchError(
                    f"the map gives {kind} id {extent.inside} of the container another owner than that of the image",
                    hint=f"an ordinary user's map may leave ids out, and add some from {OF_IMAGES} on; see keep-id",
                )
    return ids


def _shared(run_dirs: list[str]) -> IdMap:
    """The ids of the user namespace that the containers with RUN_DIRS are in. LaunchError if that is the host's, or not
    one for all: what is shared belongs to it."""
    process = {run_dir: int(os.readlink(f"{run_dir}/process")) for run_dir in run_dirs}
    for run_dir in run_dirs:
        if shares(run_dir, "user"):
            raise LaunchError(
                f"container {os.path.basename(run_dir)} has the host's ids, so no namespace of it can be shared",
                hint="start that one with --userns auto, and this one as well",
            )
    spaces = {os.stat(f"/proc/{pid}/ns/user").st_ino for pid in process.values()}
    if len(spaces) > 1:
        names = ", ".join(os.path.basename(run_dir) for run_dir in run_dirs)
        raise LaunchError(f"containers {names} are in different user namespaces", hint="share those of one of them")
    return idmap.of_process(process[run_dirs[0]])
