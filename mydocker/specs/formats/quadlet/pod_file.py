"""Quadlet's `.pod` files (podman-systemd.unit(5), "Pod units [Pod]"): a pod is a container that does nothing but hold
the network of those that are in it, and their shared memory.

It has what the pod has of a network: its networks, addresses and published ports, its host name and /etc/hosts.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.quadlet.context import Context, neighbour_of, once, refuse_keys, resolve, resolve_words
from mydocker.specs.formats.quadlet.entries import joined
from mydocker.specs.formats.quadlet.remap import REMAP, remap
from mydocker.specs.formats.quadlet.resources.networks import networks
from mydocker.specs.formats.quadlet.resources.volumes import volumes
from mydocker.specs.formats.quadlet.service import restarts
from mydocker.specs.formats.quadlet.systemd import dependencies, need
from mydocker.specs.formats.quadlet.unit_files import POD, last
from mydocker.specs.formats.quadlet.units import container_of, pod_name
from mydocker.specs.nodes.from_python import data_at
from mydocker.specs.nodes.node import text_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.specs.formats.quadlet.entries import Entries, Entry
    from mydocker.specs.nodes.node import Mapping
    from mydocker.specs.nodes.unit_file import Setting

OF_NETWORK = {
    "AddHost": "extra_hosts",
    "DNS": "dns",
    "DNSOption": "dns_opt",
    "DNSSearch": "dns_search",
    "HostName": "hostname",
    "IP": "ip",
    "IP6": "ip6",
    "NetworkAlias": "aliases",
    "PublishPort": "ports",
    "ShmSize": "shm_size",
    "StopTimeout": "stop_grace_period",
}
OF_USERS = {"UserNS": "userns_mode", "UIDMap": "uidmap", "GIDMap": "gidmap", "SubUIDMap": "subuidname"}
OF_USERS |= {"SubGIDMap": "subgidname"}
_ACCEPTED = (*OF_NETWORK, *OF_USERS, *REMAP, "ExitPolicy", "Label", "Network", "PodName", "Volume")
_PAUSE = ("sleep", "infinity")
LABEL = "io.podman.pod"  # the pod that a container is in, or holds the network of


def document(context: Context, entries: Entries) -> Mapping:
    """The document of the pod of CONTEXT; ENTRIES are those of the sections for systemd. Its containers take part."""
    refuse_keys(context, accepted=_ACCEPTED)
    if (policy := last(context.settings, "ExitPolicy")) and policy not in ("stop", "continue"):
        context.reader.refuse(context.settings["ExitPolicy"][-1].value, f"{policy!r}: expected stop or continue")
    top = context.top
    name = container_of(context.unit.path, context.settings, context.unit)
    label = f"{LABEL}={pod_name(context.unit.path, context.settings, context.unit)}"
    fixed: dict[str, object] = {"name": name, "rootfs": "/", "entrypoint": _PAUSE, "command": []}
    found: Entries = [(None, (key, data_at(top, value))) for key, value in fixed.items()]
    found.append((None, ("labels", text_at(top, label))))
    found += dependencies(context)
    found += entries
    once(context, _of_members)
    found += ((None, entry) for entry in once(context, _of_users))
    found += _entries(context)
    found += restarts(context)
    for member in context.units.members(context.unit.path):
        need(member, context)
    return joined(found, top)


def _entries(context: Context) -> Iterator[tuple[Setting, Entry]]:
    for key, settings in context.settings.items():
        if key == "Network":
            yield from ((each, entry) for each in settings for entry in networks([each], context))
        elif key == "Label":
            yield from (
                (each, ("labels", text_at(each.value, w))) for each in settings for w in resolve_words(each, context)
            )
        elif key in OF_NETWORK:
            yield from ((each, (OF_NETWORK[key], text_at(each.value, resolve(each, context)))) for each in settings)


def pod(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """The entries of a container for its setting `Pod`: the pod's network, and what the pod sets for all in it."""
    setting = settings[-1]
    name = resolve(setting, context)
    if not name.endswith(POD):
        context.reader.refuse(setting.value, f"pod {name} is not a Quadlet: expected NAME.pod")
        return
    unit = context.units.find(name, context.directory)
    other = neighbour_of(setting, name, context)
    if unit is None or other is None:
        return
    need(unit, context)
    yield "network_mode", text_at(setting.value, f"service:{unit.container}")
    condition = {"condition": "service_started", "bound": True}
    yield "depends_on", data_at(setting.value, {unit.container: condition})
    pod_of = pod_name(other.unit.path, other.settings, other.unit)
    yield "labels", text_at(setting.value, f"{LABEL}={pod_of}")
    if not context.settings.get("ShmSize"):  # else it has a /dev/shm of its own
        yield "ipc", text_at(setting.value, f"service:{unit.container}")
    yield from once(other, _of_members)


def _of_members(context: Context) -> list[Entry]:
    """What the pod of CONTEXT sets for each container in it."""
    return [*volumes(context.settings.get("Volume", []), context), *once(context, _of_users)]


def _of_users(context: Context) -> list[Entry]:
    """What it sets for the user namespace that all of them share."""
    found: list[Entry] = []
    for key in REMAP:
        if settings := context.settings.get(key):
            found += remap(settings, context)
    for key, name in OF_USERS.items():
        found += ((name, text_at(each.value, resolve(each, context))) for each in context.settings.get(key, ()))
    return found
