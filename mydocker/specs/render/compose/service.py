"""A container as a service of a Compose file: the keys that Compose has, and notes on those that it has not.

Which those are, the table of fields says; the values are those of the normal form, unless the table has others.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.field_types import plain
from mydocker.specs.fields import FIELDS
from mydocker.specs.model import NAMESPACES
from mydocker.specs.model.build import SERVICE, default_name, written
from mydocker.specs.model.healthcheck import format_healthcheck
from mydocker.specs.model.restart import docker_word
from mydocker.specs.render.compose.mounts import mount_entries
from mydocker.specs.render.docker_run import ROOTFS, image_of, known_hosts
from mydocker.specs.render.run_options import injected
from mydocker.specs.security.options import format_options
from mydocker.specs.values.duration import format_duration

if TYPE_CHECKING:
    from typing import Any

    from mydocker.specs.model.build import Build
    from mydocker.specs.model.case import CaseSpec
    from mydocker.specs.model.parts import RestartPolicy
    from mydocker.specs.render.compose.networks import Networks
    from mydocker.specs.render.compose.top import Top
    from mydocker.specs.render.names import Named
    from mydocker.specs.render.run_options import Notes

APART = (  # fields whose keys are not written by their row alone
    *("name", "origin", "image", "build", "rootfs", "entrypoint", "command", "volumes", "healthcheck", "restart"),
    *("namespaces", "joined_namespaces", "network_mode", "networks", "aliases", "security_opt", "depends_on"),
)
_ORDER = [row.key for row in FIELDS]
_FIRST = ("container_name", "scale", "attach")
_POD_IMAGE = "docker.io/library/busybox:latest"  # in place of this machine's own tree, which a pod's container has
_DOCKERS_CONDITIONS = {"always": "any", "unless-stopped": "any"}


def service_entry(container: Named, networks: Networks, notes: Notes) -> dict[str, Any]:
    """The keys of the service CONTAINER, in the order of the table of fields."""
    case, top = container.case, networks.top
    spec = case.container
    spec = spec.replace(extra_hosts=known_hosts(spec), volumes=injected(spec))
    if container.is_renamed:
        notes.append(f"name: {case.name!r} cannot be the name of a service")
    found = _of_service(container, notes) | _image(container, top, notes)
    for row in FIELDS:
        value = getattr(case if row.is_of_case else spec, row.name)
        if row.name in APART or row.key != row.name or value == row.default:
            continue
        if row.not_compose:
            notes.append(f"{row.key}: Compose has no key for it: {row.not_compose}")
        else:
            found[row.key] = (row.compose or row.normal or plain)(value)
    found |= _process(container)
    found |= mount_entries(spec, top, notes)
    found |= _namespaces(container, notes)
    found |= networks.entries(container, notes)
    found |= _security(case, notes)
    found |= _flow(container, notes)
    return {key: found[key] for key in (*_FIRST, *_ORDER, "deploy") if key in found}


def _of_service(container: Named, notes: Notes) -> dict[str, Any]:
    """What CONTAINER is in its project."""
    service, own = container.case.service, container.container_name
    if service is None:
        return {}
    if service.container_name and not own:
        notes.append(f"container_name: {service.container_name!r}: Docker takes two or more letters, digits, _ . and -")
    notes += [f"{each}: Compose starts a service whatever a machine has" for each in service.conditions]
    if service.host_commands:
        notes.append("[Service]: Compose executes no commands on the host, such as those of ExecStartPre")
    found: dict[str, Any] = {"container_name": own} if own else {}
    found |= {"scale": service.replicas} if service.replicas != 1 else {}
    return found | ({} if service.attach else {"attach": False})


def _image(container: Named, top: Top, notes: Notes) -> dict[str, Any]:
    case = container.case
    spec, service = case.container, case.service
    if service and service.is_pod:
        notes.append("rootfs: Compose has no pods: this image's sleep holds the network of the others")
        return {"image": _POD_IMAGE}
    if spec.image is None and spec.rootfs:
        return {"image": image_of(spec, notes, rootfs=f"{ROOTFS}-{container.name.lower()}")}
    found = {"image": image_of(spec, notes)} if spec.image else {}
    if case.build is None:
        return found
    is_usual = service and container.name == service.name and top.project == service.project
    if is_usual and service and spec.image == default_name(service.project, service.name):
        found = {}
    return {"build": _build(case.build, container, top), **found}


def _build(build: Build, container: Named, top: Top) -> dict[str, Any]:
    """With each secret as an entry at the top of the file."""
    found = written(build)
    if secrets := found.pop("secrets", None):
        found["secrets"] = []
        for each in secrets:
            source = each.pop("source")
            key = top.key("secrets", source, each)
            found["secrets"].append(key if key == source else {"source": key, "target": source})
    contexts = found.get("additional_contexts", {})
    for name, context in contexts.items():
        if context.startswith(SERVICE):
            other = context.removeprefix(SERVICE)
            contexts = {**contexts, name: f"{SERVICE}{container.names.get(other, other)}"}
    return {**found, **({"additional_contexts": dict(contexts)} if contexts else {})}


def _process(container: Named) -> dict[str, Any]:
    spec = container.case.container
    found: dict[str, Any] = {} if spec.entrypoint is None else {"entrypoint": [*spec.entrypoint]}
    if spec.command is not None and (spec.command or spec.entrypoint is None):
        found["command"] = [*spec.command]
    return found


def _namespaces(container: Named, notes: Notes) -> dict[str, Any]:
    """The keys of the namespaces that are the host's, or another container's."""
    spec = container.case.container
    found: dict[str, Any] = {name: container.mode(mode) for name, mode in spec.joined_namespaces.items()}
    for name in NAMESPACES:
        if name == "mount" and name not in spec.namespaces:
            notes.append("namespaces: Docker always makes a mount namespace")
        elif name not in ("mount", "net", *spec.namespaces, *found):
            found[name] = "host"
    return found


def _security(case: CaseSpec, notes: Notes) -> dict[str, Any]:
    security = case.container.security_opt
    if security.mask or security.unmask:
        notes.append("security_opt: Docker has no mask=PATH and unmask=PATH; Podman has")
    options = format_options(security.replace(mask=(), unmask=()))
    return {"security_opt": options} if options else {}


def _flow(container: Named, notes: Notes) -> dict[str, Any]:
    """When the service starts, and whether it starts again."""
    case = container.case
    spec = case.container
    found: dict[str, Any] = {}
    if spec.healthcheck:
        check = format_healthcheck(spec.healthcheck.replace(on_failure=""))
        found |= {"healthcheck": check} if check else {}
        if spec.healthcheck.on_failure:
            notes.append(f"healthcheck: on_failure: {spec.healthcheck.on_failure}: Compose has no key for it")
    if spec.restart:
        found |= _restart(spec.restart, notes)
    conditions: dict[str, Any] = {}
    for each in case.depends_on:
        if each.name not in container.names:
            continue
        conditions[container.names[each.name]] = {
            "condition": each.condition,
            **({} if each.required else {"required": False}),
            **({"restart": True} if each.restart else {}),
        }
        if each.bound:
            notes.append(f"depends_on: Compose does not stop this one when {each.name!r} ends")
    return found | ({"depends_on": conditions} if conditions else {})


def _restart(policy: RestartPolicy, notes: Notes) -> dict[str, Any]:
    """The key `restart`, or what only `deploy` has."""
    if policy.burst:
        notes.append(f"restart: burst and interval: Compose has no limit of {policy.burst} starts within a time")
        policy = policy.replace(burst=0, interval=0.0)
    if word := docker_word(policy):
        return {"restart": word}
    if policy.delay is not None or policy.window is not None:
        notes.append("restart: delay and window have an effect in clusters alone: docker compose waits as Docker does")
    found: dict[str, Any] = {"condition": _DOCKERS_CONDITIONS.get(policy.name, policy.name)}
    found |= {"max_attempts": policy.attempts} if policy.attempts else {}
    times = {"delay": policy.delay, "window": policy.window}
    found |= {key: format_duration(value) for key, value in times.items() if value is not None}
    return {"deploy": {"restart_policy": found}}
