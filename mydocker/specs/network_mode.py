"""The networks of a container: its network mode and its attachments, from all the keys that concern them.

Docker's rules: `ip`, `ip6` and `mac_address` are for the first network that is named (the client's parseNetworkOpts);
what the network of another container decides cannot be set (the daemon's runconfig.ValidateNetMode). Unlike Docker's,
`aliases` hold in all of a container's networks.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.model import BRIDGE, JOINING_MODES
from mydocker.specs.model.parts import NetworkAttachment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_WORDS = ("default", BRIDGE, "none", "host")  # of `--network`, which are modes and not names
_FOR_THE_FIRST = {"ip": "address", "ip6": "address6", "mac_address": "mac"}
_OF_THE_OTHER = {  # keys that a container cannot have in the network of another one
    "hostname": "the host name",
    "dns": "the name servers",
    "extra_hosts": "/etc/hosts",
    "ports": "the published ports",
    "publish_all": "the published ports",
    "expose": "the ports",
}


def attach(values: Mapping[str, Any]) -> tuple[str, tuple[NetworkAttachment, ...]]:
    """(network_mode, networks) of VALUES that have no contradictions."""
    mode, listed = _listed(values)
    if mode not in ("default", BRIDGE, "networks"):
        return mode, ()
    plain = NetworkAttachment(name=BRIDGE)
    first, *others = listed or [plain]
    first = first.replace(**{name: values[key] for key, name in _FOR_THE_FIRST.items() if values.get(key)})
    first, *others = (_with_aliases(each, values.get("aliases") or ()) for each in (first, *others))
    ordered = tuple(sorted((first, *others), key=lambda each: -each.priority))
    if listed:
        return mode, ordered if mode != BRIDGE or first != plain else ()
    if mode == "default" and (first.address or first.address6 or first.mac):
        mode = BRIDGE  # the host's network would be no substitute
    return mode, (first,) if first != plain else ()


def _listed(values: Mapping[str, Any]) -> tuple[str, list[NetworkAttachment]]:
    """The mode, and the networks that are named; `network_mode: default` is for those of `networks` where this host can
    give them."""
    mode = values.get("network_mode")
    networks = [
        NetworkAttachment(name=each) if isinstance(each, str) else each for each in values.get("networks") or () if each
    ]
    if mode is not None and not is_mode(mode):
        return "networks", [NetworkAttachment(name=mode)]
    if mode is None and networks and is_mode(networks[0].name):
        return networks[0].name, networks if networks[0].name == BRIDGE else []
    return mode or ("networks" if networks else "default"), networks


def is_mode(name: str) -> bool:
    """Whether a word of `--network` is a mode, and not the name of a network."""
    return name in _WORDS or name.startswith(JOINING_MODES)


def _with_aliases(attachment: NetworkAttachment, aliases: tuple[str, ...]) -> NetworkAttachment:
    return attachment.replace(aliases=tuple(dict.fromkeys((*attachment.aliases, *aliases))))


def contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """As in assemble.py."""
    networks = [each for each in values.get("networks") or () if each]
    if networks and values.get("network_mode") not in (None, "default"):
        yield "networks", "networks and network_mode exclude each other"
        return
    names = [each if isinstance(each, str) else each.name for each in networks]
    yield from (("networks", f"network {name!r} is named twice") for name in _repeated(names))
    for name in names:
        if len(names) > 1 and is_mode(name):
            yield "networks", f"{name} cannot be combined with other networks"
    mode, listed = _listed(values)
    attached = [each for each in networks if not isinstance(each, str)]
    if mode in ("none", "host") or mode.startswith(JOINING_MODES):
        yield from _without_network(values, mode, attached)
    for key, name in _FOR_THE_FIRST.items():
        if values.get(key) and listed and getattr(listed[0], name):
            yield key, f"{key} and the same option of network {listed[0].name} exclude each other"


def _without_network(
    values: Mapping[str, Any], mode: str, attached: list[NetworkAttachment]
) -> Iterator[tuple[str, str]]:
    """What a container cannot have that is in no network: with `none`, `host` and the network of another one."""
    for key in _FOR_THE_FIRST:
        if values.get(key):
            yield key, f"{key} needs a network such as bridge, and network_mode is {mode!r}"
    if any(each != NetworkAttachment(name=each.name) for each in attached):
        yield "networks", f"{mode} takes no options"
    if not mode.startswith(JOINING_MODES):
        return
    for key, what in _OF_THE_OTHER.items():
        if values.get(key):
            yield key, f"{key} and network_mode {mode!r} exclude each other: the other container has {what}"


def _repeated(names: list[str]) -> list[str]:
    return [name for number, name in enumerate(names) if names.index(name) < number]
