"""Quadlet's `.container` files (podman-systemd.unit(5)), as a document of ours: run without systemd and without Podman.

Every setting either has an equal, or is one that says nothing here, or is refused at its place. The tables say which is
which; what becomes of those that are no plain word is in values.py.
"""

from __future__ import annotations

from functools import partial

from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.quadlet.context import Context, boolean, resolve, resolve_words
from mydocker.specs.formats.quadlet.systemd import (
    LEAST,
    dependencies,
    install_section,
    refuse_restarts,
    service_section,
    unit_section,
)
from mydocker.specs.formats.quadlet.units import UNIT_SUFFIX, drop_ins, unit_name, unit_of
from mydocker.specs.formats.quadlet.values import SPECIAL
from mydocker.specs.model.unsupported import nearest
from mydocker.specs.nodes.from_python import data_at
from mydocker.specs.nodes.node import Mapping, Node, Scalar, list_at, text_at
from mydocker.specs.nodes.reader import unknown_key
from mydocker.specs.nodes.unit_file import Setting, parse_unit, split_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mydocker.specs.formats.quadlet.specifiers import Unit
    from mydocker.specs.nodes.reader import Reading

    Entry = tuple[str, Node]
    Given = dict[str, list[Setting]]


_LAST = {
    **{"HostName": "hostname", "WorkingDir": "working_dir", "ContainerName": "name", "Pull": "pull_policy"},
    **{"Memory": "mem_limit", "PidsLimit": "pids_limit", "ShmSize": "shm_size", "UserNS": "userns_mode"},
    **{"StopSignal": "stop_signal", "StopTimeout": "stop_grace_period", "Network": "network_mode"},
}
_EACH = {
    **{"AddHost": "extra_hosts", "DNS": "dns", "GroupAdd": "group_add", "Tmpfs": "tmpfs", "Ulimit": "ulimits"},
}
_WORDS = {
    **{"AddCapability": "cap_add", "DropCapability": "cap_drop", "Sysctl": "sysctls"},
    **{"Environment": "environment", "Label": "labels"},
}
_SWITCHES = {"RunInit": "init"}
# for other programs than the container's: systemd's reloading and start-up messages, and documentation
_IDLE = ("ExposeHostPort", "Notify", "ReloadCmd", "ReloadSignal", "ServiceName", "StartWithPod")
_OFF = ("EnvironmentHost", "HttpProxy", "SecurityLabelNested")  # accepted when they are switched off
_NO_EQUAL = """
    Annotation CgroupsMode ContainersConfModule DNSOption DNSSearch GIDMap GlobalArgs HealthLogDestination
    HealthMaxLogCount HealthMaxLogSize HealthOnFailure HealthStartupCmd HealthStartupInterval HealthStartupRetries
    HealthStartupSuccess HealthStartupTimeout IP IP6 LogOpt Mask NetworkAlias Pod
    RemapGid RemapUid RemapUidSize RemapUsers Retry RetryDelay Secret SecurityLabelFileType SubGIDMap SubUIDMap UIDMap
"""
CONTAINER = frozenset((*_LAST, *_EACH, *_WORDS, *_SWITCHES, *_IDLE, *_OFF, *SPECIAL, *_NO_EQUAL.split()))


def document(raw: bytes, path: str, reading: Reading) -> Mapping | None:
    """The document that the file at the absolute PATH stands for; None if it is no unit at all."""
    settings, problems = parse_unit(raw)
    reading.problems.extend(problems)
    top = Scalar(line=1, column=1, text="", plain=False)
    for directory in drop_ins(path):
        reading.refuse(top, f"{directory}: drop-ins are not supported yet")
    sections: dict[str, Given] = {}
    heads = {setting.section: setting for setting in reversed(settings)}
    for setting in settings:
        _add(sections.setdefault(setting.section, {}), setting)
    if "Container" not in sections:
        reading.refuse(top, "there is no [Container] section")
        return None
    unit = _unit(path, sections, reading)
    context = Context(unit=unit, reading=reading, given=sections["Container"])
    entries: list[tuple[Setting | None, Entry]] = [(None, ("name", text_at(top, unit.name)))]
    entries += dependencies(sections.get("Unit", {}), context, top)
    for section, given in sections.items():
        read = _SECTIONS.get(section)
        if read is None and not section.startswith("X-"):
            reading.refuse(heads[section].key, f"section [{section}] is not supported")
        for key in sorted(given, key=lambda key: key == "PodmanArgs"):  # Podman puts these flags after all others
            if read and given[key] and not key.startswith("X-"):
                entries += [(given[key][-1], entry) for entry in read(key, given[key], context)]
    refuse_restarts(sections, context)
    return Mapping(line=1, column=1, entries=tuple(_joined(entries, top)))


def _add(given: Given, setting: Setting) -> None:
    """An empty value forgets those before it."""
    before = given.setdefault(setting.key.text, [])
    if setting.value.text:
        before.append(setting)
    else:
        before.clear()


def _unit(path: str, sections: dict[str, Given], reading: Reading) -> Unit:
    """The unit, an instance of a template if its name has one; what it may use are our variables, then its own."""
    service_name = sections["Container"].get("ServiceName")
    name = unit_name(path, service_name[-1].text if service_name else "")
    default = sections.get("Install", {}).get("DefaultInstance")
    if name.endswith("@") and not default:
        top = Scalar(line=1, column=1, text="", plain=False)
        reading.refuse(
            top, f"{name}{UNIT_SUFFIX} is a template: link {name}INSTANCE{UNIT_SUFFIX} to it, or give DefaultInstance"
        )
    variables = dict(reading.place.environ)
    for setting in sections.get("Service", {}).get("Environment", ()):
        pairs = reading.attempt(setting.value, partial(split_words, setting.value.text)) or []
        variables |= {word.partition("=")[0]: word.partition("=")[2] for word in pairs}
    instance = default[-1].text if default and "@" in name else ""
    return unit_of(path, name, instance, variables)


def _joined(entries: list[tuple[Setting | None, Entry]], top: Node) -> Iterator[tuple[Scalar, Node]]:
    """One entry for each key: the items of what is a list, the members of what is a mapping, the least of what both
    Podman and systemd limit, else the last."""
    nodes: dict[str, list[tuple[Setting | None, Node]]] = {}
    for setting, (key, node) in entries:
        nodes.setdefault(key, []).append((setting, node))
    for key, found in nodes.items():
        setting, value = LEAST[key](found) if key in LEAST else found[-1]
        place = setting.key if setting else top
        if key in _LISTED:
            value = list_at(found[0][1], [each for _, each in found])
        elif isinstance(value, Mapping):
            value = value.replace(entries=tuple(entry for _, each in found for entry in getattr(each, "entries", ())))
        yield Scalar(line=place.line, column=place.column, text=key, plain=True), value


_LISTED = frozenset(
    (*_EACH.values(), *_WORDS.values(), "volumes", "devices", "env_file", "security_opt", "inject", "ports")
)


def _container(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    last, reading = settings[-1], context.reading
    if key in SPECIAL:
        yield from SPECIAL[key](settings, context)
    elif key in _LAST:
        if key == "Network" and len(settings) > 1:
            reading.refuse(last.key, "several networks are not supported yet")
        yield _LAST[key], text_at(last.value, resolve(last, context))
    elif key in _EACH:
        yield from ((_EACH[key], text_at(each.value, resolve(each, context))) for each in settings)
    elif key in _WORDS:
        for each in settings:
            yield from ((_WORDS[key], text_at(each.value, word)) for word in resolve_words(each, context))
    elif key in _SWITCHES:
        yield _SWITCHES[key], data_at(last.value, boolean(last, context))
    elif key not in _IDLE and not (key in _OFF and not boolean(last, context)):
        yield from _refuse(key, last, context)


def _refuse(key: str, setting: Setting, context: Context) -> Iterator[Entry]:
    """Refuse a KEY of [Container]; an image that was meant counts as given, so as not to be missed as well."""
    meant = None if key in CONTAINER else nearest(key, CONTAINER)
    context.reading.refuse(setting.key, f"{key} is not supported" if key in CONTAINER else unknown_key(key, meant))
    if meant in ("Image", "Rootfs") and not context.given.get(meant):
        yield "image", text_at(setting.value, "unknown")


def _quadlet(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    if key != "DefaultDependencies":
        context.reading.refuse(settings[-1].key, unknown_key(key, nearest(key, ("DefaultDependencies",))))
    yield from ()


_SECTIONS: dict[str, Callable[[str, list[Setting], Context], Iterator[Entry]]] = {
    "Container": _container,
    "Unit": unit_section,
    "Install": install_section,
    "Service": service_section,
    "Quadlet": _quadlet,
}
