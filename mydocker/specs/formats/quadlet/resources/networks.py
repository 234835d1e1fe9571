"""Networks of Quadlet files: `Network=`, which may name a unit `NAME.network` in the same directory.

See podman-systemd.unit(5), "Network=" and "Network units [Network]", and podman-run(1), --network.
"""

from __future__ import annotations

from mydocker.nearest import did_you_mean
from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.quadlet.context import (
    Context,
    boolean,
    default_name,
    described,
    refuse_keys,
    resolve,
    resolve_words,
)
from mydocker.specs.formats.quadlet.unit_files import CONTAINER, NETWORK, last, stem
from mydocker.specs.nodes.from_python import data_at
from mydocker.specs.values.network import format_attachment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mydocker.specs.formats.quadlet.entries import Entry
    from mydocker.specs.model.parts import NetworkAttachment
    from mydocker.specs.nodes.unit_file import Setting

_WITHOUT_OPTIONS = ("container", "ns", "slirp4netns", "pasta", "host", "none", "private")  # what they have is other
# programs that connect an ordinary user's container (podman-run(1), --network), and options of no consequence here
_STACKS = {"pasta": ("--mtu", "-m"), "slirp4netns": ("port_handler", "mtu", "enable_ipv6")}
_OPTIONS = {  # of podman run --network, as members of an entry of `networks`
    "alias": "aliases",
    "ip": "ipv4_address",
    "ip6": "ipv6_address",
    "mac": "mac_address",
    "interface_name": "interface_name",
}
_SWITCHES = {"Internal": "internal", "IPv6": "enable_ipv6"}
_POOL = {"Subnet": "subnet", "Gateway": "gateway", "IPRange": "ip_range"}
_PAIRS = {"Label": "labels", "Options": "driver_opts"}
_IDLE = ("InterfaceName", "NetworkDeleteOnStop")
_REFUSED = ("DNS",)
_READ = (*_SWITCHES, *_POOL, *_PAIRS, "DisableDNS", "Driver", "IPAMDriver", "NetworkName")


def networks(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """An entry of `networks` for each setting."""
    for each in settings:
        text = resolve(each, context)
        if _is_own_stack(text):
            context.warn(each.value, f"Network={text} is the default network here")
            continue
        name, members = _network(each, text, context)
        yield "networks", data_at(each.value, {name: members})


def _is_own_stack(text: str) -> bool:
    """Whether TEXT is the network of an ordinary user's container with a program of its own, and no option of that
    changes what the container reaches, or who reaches it."""
    name, _, options = text.partition(":")
    return name in _STACKS and {word.partition("=")[0] for word in options.split(",")} <= {"", *_STACKS[name]}


def network_of_flag(setting: Setting, value: str | NetworkAttachment) -> Entry:
    """The entry of `networks` for the value of a flag."""
    if isinstance(value, str):
        return "networks", data_at(setting.value, {value: None})
    return "networks", data_at(setting.value, {value.name: format_attachment(value)})


def _network(setting: Setting, text: str, context: Context) -> tuple[str, Any]:
    """The name, and the members that it has in a spec file."""
    name, colon, options = text.partition(":")
    if name.endswith(CONTAINER) and not colon:
        return f"container:{_container_of_unit(setting, name, context)}", None
    is_unit = name.endswith(NETWORK)
    if not is_unit and name in _WITHOUT_OPTIONS:
        return text, None
    members = _members(setting, options, context) if colon else {}
    if is_unit:
        unit = described(setting, name, context, network_of_unit)
        if unit is not None:
            name, members["create"] = unit
    return name, members or None


def _container_of_unit(setting: Setting, name: str, context: Context) -> str:
    """The name of the container that the unit NAME describes."""
    found = context.units.find(name, context.directory)
    if found is None:
        context.reader.refuse(setting.value, f"cannot read {name}: no such file or directory")
    return found.container if found else stem(name)


def _members(setting: Setting, options: str, context: Context) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in options.split(","):
        key, _, value = word.partition("=")
        if key not in _OPTIONS:
            context.reader.refuse(
                setting.value,
                f"option {word!r} of a network is not supported" + did_you_mean(key, _OPTIONS),
            )
        elif key == "alias":
            found.setdefault("aliases", []).append(value)
        else:
            found[_OPTIONS[key]] = value
    return found


def network_of_unit(context: Context) -> tuple[str, dict[str, Any]]:
    """The name of the network that the unit of CONTEXT describes (its NetworkName, else from the unit's name), and how
    it is made."""
    refuse_keys(context, accepted=(*_READ, *_IDLE), refused=_REFUSED)
    found: dict[str, Any] = {}
    pools: dict[str, list[str]] = {}
    for key, settings in context.settings.items():
        for each in settings:
            if key in _SWITCHES:
                found[_SWITCHES[key]] = boolean(each, context)
            elif key in _POOL:
                pools.setdefault(_POOL[key], []).append(resolve(each, context))
            elif key in _PAIRS:
                words = resolve_words(each, context) if key == "Label" else resolve(each, context).split(",")
                found.setdefault(_PAIRS[key], []).extend(words)
            elif key == "Driver":
                found["driver"] = resolve(each, context)
            elif key == "IPAMDriver" and each.text != "host-local":
                context.reader.refuse(each.value, f"IPAMDriver={each.text} is not supported: expected host-local")
            elif key == "DisableDNS" and boolean(each, context):
                context.reader.refuse(each.key, "DisableDNS is not supported")
    if pools:
        _check_pools(pools, context)
        found["ipam"] = {"config": _pools(pools)}
    name = last(context.settings, "NetworkName")
    return name or default_name(context), found


def _check_pools(texts: dict[str, list[str]], context: Context) -> None:
    """Each gateway and each range belongs to a subnet (podman-systemd.unit(5), "Gateway=", "IPRange=")."""
    for key, name in _POOL.items():
        if len(texts.get(name, ())) > len(texts.get("subnet", ())):
            context.reader.refuse(context.settings[key][-1].key, f"{key} needs a Subnet: there are fewer of these")


def _pools(texts: dict[str, list[str]]) -> list[dict[str, str]]:
    """The gateways and ranges belong to the subnets in their order."""
    count = max(map(len, texts.values()))
    return [{key: values[at] for key, values in texts.items() if at < len(values)} for at in range(count)]
