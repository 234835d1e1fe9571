"""One spec, from its image to its outcome: the entry point of this folder."""

from __future__ import annotations

import os

from mydocker.errors import HostError
from mydocker.image.resolve import resolve
from mydocker.image.store import Store
from mydocker.record import TYPE_CHECKING
from mydocker.reference import Platform
from mydocker.runtime.launch.parent import launch
from mydocker.runtime.launch.run_directory import sweep
from mydocker.runtime.plan import DEFAULT_PATH, LaunchPlan, plan
from mydocker.runtime.plan.host import inspect_host
from mydocker.specs.model import DEFAULT_MODE, JOINING_MODES, CdiDevice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from mydocker.image.model import StoredImage
    from mydocker.image.model.progress import Step
    from mydocker.runtime.cgroup.hierarchy import Cgroup
    from mydocker.runtime.command.outcome import Outcome
    from mydocker.runtime.command.supervise import Companion
    from mydocker.runtime.inspect.container_view import ViewReceiver
    from mydocker.runtime.launch.cleanup_process import CleanupProcess
    from mydocker.runtime.plan.host import Host
    from mydocker.runtime.plan.operations import Operation
    from mydocker.specs.model import ContainerSpec


def prepare(
    spec: ContainerSpec,
    *,
    environ: Mapping[str, str],
    progress: Callable[[Step], None] | None = None,
    lend_program: bool = False,
    inspect_only: bool = False,
) -> LaunchPlan:
    """Get the image that SPEC names, pulling it if necessary, and plan the launch. `lend_program`, `inspect_only`: see
    `plan`."""
    store = open_store(environ)
    image = get_image(spec, store=store, environ=environ, progress=progress)
    return plan_launch(spec, image, store=store, lend_program=lend_program, inspect_only=inspect_only)


def open_store(environ: Mapping[str, str]) -> Store:
    """The store that ENVIRON names, with the directories that a run needs."""
    store = Store.open(environ)
    store.prepare_containers()
    return store


def host_of(store: Store) -> Host:
    """This host, for containers whose images are in STORE."""
    return inspect_host(ids=store.ids, file_system=store.state_file_system)


def get_image(
    spec: ContainerSpec,
    *,
    store: Store,
    environ: Mapping[str, str],
    progress: Callable[[Step], None] | None = None,
) -> StoredImage | None:
    """The image that SPEC names, pulled if necessary; None if SPEC has a `rootfs` instead."""
    if not spec.image:
        return None
    refuse_other_system(spec)
    policy, age = spec.pull_policy, None
    if policy == "build":  # which has been done
        policy = "missing"
    elif policy not in ("missing", "always", "never"):
        from mydocker.specs.values.duration import pull_interval

        policy, age = "missing", pull_interval(policy)
    return resolve(
        spec.image,
        platform=spec.platform or Platform.host(),
        policy=policy,
        store=store,
        environ=environ,
        progress=progress,
        age=age,
    )


def refuse_other_system(spec: ContainerSpec) -> None:
    """Raise HostError if SPEC is for a platform that is not Linux: a file may have one, and nothing can run it."""
    if spec.platform and spec.platform.os != "linux":
        raise HostError(
            f"platform {spec.platform}: containers here are for linux",
            hint="WebAssembly needs a runtime such as wasmedge, which mydocker does not call",
        )


def plan_launch(
    spec: ContainerSpec,
    image: StoredImage | None,
    *,
    store: Store,
    host: Host | None = None,
    lend_program: bool = False,
    inspect_only: bool = False,
    container_id: str = "",
    scratch: str = "",
) -> LaunchPlan:
    """Plan the launch of SPEC on IMAGE, of `get_image`, and on HOST, of `host_of`. `lend_program`, `inspect_only`: see
    `plan`. CONTAINER_ID and SCRATCH, for what it writes, are those of a container that is started again and again."""
    if image and spec.expand:
        from mydocker.runtime.plan.expand_variables import expanded

        spec = expanded(spec, image.config.env, path=DEFAULT_PATH)
    containers = store.containers
    host = host or host_of(store)
    container_id = container_id or new_id()
    spec, changes = _settled(spec, host, containers)
    if spec.userns_mode != "host" or spec.id_maps:
        host = _with_ids(spec, image, host, changes)
    spec, hooks = _with_devices(spec, image)
    planned = plan(
        spec,
        image,
        host=host,
        container_id=container_id,
        cgroups=_cgroups(spec, host, container_id) if spec.limited or "pid" not in spec.namespaces else (),
        containers=containers,
        store=store.root,
        lend_program=lend_program,
        inspect_only=inspect_only,
    )
    changes |= {"operations": (*planned.operations, *hooks)} if hooks else {}
    if scratch:
        changes |= {"scratch": scratch, "root": planned.root.lasting()}
    planned = planned.replace(**changes) if changes else planned
    return _with_earlier_ids(planned) if planned.auto_ids else planned


def _with_ids(spec: ContainerSpec, image: StoredImage | None, host: Host, changes: dict[str, Any]) -> Host:
    """HOST with the ids of the container of SPEC, if it gets others; what its plan says of them goes into CHANGES."""
    from mydocker.runtime.user_namespace.choose import with_ids

    host, found = with_ids(spec, image, host, network=changes.get("joined", ""))
    changes |= found
    return host


def _with_earlier_ids(plan: LaunchPlan) -> LaunchPlan:
    """PLAN with the ids of its last start, if it has had one."""
    from mydocker.runtime.user_namespace.ranges import settled

    return settled(plan)


def _settled(spec: ContainerSpec, host: Host, containers: str) -> tuple[ContainerSpec, dict[str, Any]]:
    """SPEC with what it gets on HOST, and of the containers that run; and the fields of its plan that say so."""
    spec, no_network, joined = _network(spec, host, containers)
    spec = _join(spec, containers, rootless=host.rootless, network=joined)
    return spec, {"no_network": no_network, "joined": joined} if no_network or joined else {}


def _with_devices(spec: ContainerSpec, image: StoredImage | None) -> tuple[ContainerSpec, tuple[Operation, ...]]:
    """SPEC, with what the devices that it names by CDI need, and their hooks."""
    if not (spec.gpus or spec.runtime or any(isinstance(device, CdiDevice) for device in spec.devices)):
        return spec, ()
    from mydocker.runtime.cdi.devices import with_devices

    return with_devices(spec, image.config.env if image else ())


def new_id(draw: Callable[[int], bytes] = os.urandom) -> str:
    """A container's ID, of bytes that DRAW returns. Its first digits, the host name, are not all decimal: resolvers
    take such a name for an address (gethostbyname(3)), so Docker chooses another one as well."""
    while True:
        container_id = draw(32).hex()
        if not container_id[:12].isdigit():
            return container_id


def _network(spec: ContainerSpec, host: Host, containers: str) -> tuple[ContainerSpec, str, str]:
    """SPEC with the network mode that it gets on HOST, and the fields `no_network` and `joined` of its plan.
    In the network of another container, it has the host name of that, as with Docker."""
    if spec.network_mode == DEFAULT_MODE:
        from mydocker.runtime.network.default_mode import settle

        return (*settle(spec, host), "")
    if spec.network_mode.startswith(JOINING_MODES):
        from mydocker.runtime.network.joined_container import find, hostname_of, shares_network

        other = find(containers, spec.network_mode.partition(":")[2])
        spec = spec.replace(hostname=hostname_of(other)) if "uts" in spec.namespaces else spec
        return (spec.replace(network_mode="host"), "", "") if shares_network(other) else (spec, "", other)
    return spec, "", ""


def _join(spec: ContainerSpec, containers: str, *, rootless: bool, network: str) -> ContainerSpec:
    """SPEC, with the run directories of the containers whose namespaces it shares. NETWORK is that of the one whose
    network it shares. Raises LaunchError if one does not run."""
    if not spec.joined_namespaces:
        return spec
    from mydocker.runtime.join.namespaces import find_joined

    return spec.replace(joined_namespaces=find_joined(spec, containers, rootless=rootless, network=network))


def _cgroups(spec: ContainerSpec, host: Host, container_id: str) -> tuple[Cgroup, ...]:
    from mydocker.runtime.cgroup.controllers import demands
    from mydocker.runtime.cgroup.hierarchy import choose, hold

    name, limits = f"mydocker-{container_id[:12]}", demands(spec)
    return choose(limits, name=name, rootless=host.rootless) if limits else hold(name=name)


def run(
    plan: LaunchPlan,
    *,
    view_receiver: ViewReceiver | None = None,
    cleanup_process: CleanupProcess | None = None,
    ended: Callable[[], None] | None = None,
    companion: Companion | None = None,
) -> Outcome:
    """Launch PLAN and wait for its end, after removing what killed runs have left. See `launch`."""
    sweep(plan.containers)
    if plan.networks:  # before this process is copied: each page that an import changes is copied then
        import mydocker.runtime.network.connections  # noqa: F401

    def run_once() -> Outcome:
        return launch(
            plan, view_receiver=view_receiver, cleanup_process=cleanup_process, ended=ended, companion=companion
        )

    if not plan.volumes:
        return run_once()
    from mydocker.runtime.volume.store import HeldVolumes

    with HeldVolumes(plan.volumes):
        return run_once()
