"""Quadlet's `.container` files (podman-systemd.unit(5)), as a document of a spec file, to run without systemd and
Podman.

Every setting has an equivalent key, or has no effect here, or is refused where it is written. The tables list which;
values.py translates those that are more than a plain word.
"""

from __future__ import annotations

from functools import partial

from mydocker.record import TYPE_CHECKING
from mydocker.specs.fields import FIELDS, Field
from mydocker.specs.formats.quadlet.context import Context, boolean, resolve, resolve_words
from mydocker.specs.formats.quadlet.systemd import (
    LEAST,
    dependencies,
    install_section,
    restarts,
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
    from mydocker.specs.nodes.reader import Reader

    Entry = tuple[str, Node]
    Settings = dict[str, list[Setting]]


_ROWS = {row.quadlet: row for row in FIELDS if row.quadlet}
_SPLIT = ("AddCapability", "DropCapability", "Environment", "Label", "Sysctl")  # several in one setting
# for other programs than the container's: systemd's reloading and start-up messages, and documentation
_IDLE = ("Notify", "ReloadCmd", "ReloadSignal", "ServiceName", "StartWithPod")
_OFF = ("EnvironmentHost", "HttpProxy", "SecurityLabelNested")  # accepted when they are switched off
_NO_EQUAL = """
    Annotation CgroupsMode ContainersConfModule GIDMap GlobalArgs HealthLogDestination
    HealthMaxLogCount HealthMaxLogSize HealthOnFailure HealthStartupCmd HealthStartupInterval HealthStartupRetries
    HealthStartupSuccess HealthStartupTimeout Mask Pod
    RemapGid RemapUid RemapUidSize RemapUsers Retry RetryDelay Secret SecurityLabelFileType SubGIDMap SubUIDMap UIDMap
"""
CONTAINER = frozenset((*_ROWS, *_IDLE, *_OFF, *SPECIAL, *_NO_EQUAL.split()))


def document(raw: bytes, path: str, reader: Reader) -> Mapping | None:
    """The document that the file at the absolute PATH stands for; None if it is not a unit."""
    settings, problems = parse_unit(raw)
    reader.problems.extend(problems)
    top = Scalar(line=1, column=1, text="", plain=False)
    for directory in drop_ins(path):
        reader.refuse(top, f"{directory}: drop-ins are not supported yet")
    sections: dict[str, Settings] = {}
    heads = {setting.section: setting for setting in reversed(settings)}
    for setting in settings:
        _add(sections.setdefault(setting.section, {}), setting)
    if "Container" not in sections:
        reader.refuse(top, "there is no [Container] section")
        return None
    unit = _unit(path, sections, reader)
    context = Context(unit=unit, reader=reader, settings=sections["Container"])
    entries: list[tuple[Setting | None, Entry]] = [(None, ("name", text_at(top, unit.name)))]
    entries += dependencies(sections.get("Unit", {}), context, top)
    for section, keys in sections.items():
        read = _SECTIONS.get(section)
        if read is None and not section.startswith("X-"):
            reader.refuse(heads[section].key, f"section [{section}] is not supported")
        for key in sorted(keys, key=lambda key: key == "PodmanArgs"):  # Podman puts these flags after all others
            if read and keys[key] and not key.startswith("X-"):
                entries += [(keys[key][-1], entry) for entry in read(key, keys[key], context)]
    entries += restarts(sections, context)
    return Mapping(line=1, column=1, entries=tuple(_joined(entries, top)))


def _add(settings: Settings, setting: Setting) -> None:
    """Add a setting; an empty value resets those before it."""
    before = settings.setdefault(setting.key.text, [])
    if setting.value.text:
        before.append(setting)
    else:
        before.clear()


def _unit(path: str, sections: dict[str, Settings], reader: Reader) -> Unit:
    """The unit, an instance of a template if its name has one; it may use mydocker's variables, then its own."""
    service_name = sections["Container"].get("ServiceName")
    name = unit_name(path, service_name[-1].text if service_name else "")
    default = sections.get("Install", {}).get("DefaultInstance")
    if name.endswith("@") and not default:
        top = Scalar(line=1, column=1, text="", plain=False)
        reader.refuse(
            top, f"{name}{UNIT_SUFFIX} is a template: link {name}INSTANCE{UNIT_SUFFIX} to it, or set DefaultInstance"
        )
    variables = dict(reader.scope.environ)
    for setting in sections.get("Service", {}).get("Environment", ()):
        pairs = reader.attempt(setting.value, partial(split_words, setting.value.text)) or []
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
        node = setting.key if setting else top
        if key in _LISTED:
            value = list_at(found[0][1], [each for _, each in found])
        elif isinstance(value, Mapping):
            value = value.replace(entries=tuple(entry for _, each in found for entry in getattr(each, "entries", ())))
        yield Scalar(line=node.line, column=node.column, text=key, plain=True), value


_LISTED = frozenset(
    row.key for row in FIELDS if row.repeatable and row.flags and row.key not in ("networks", "logging")
)


def _container(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    last = settings[-1]
    if key in SPECIAL:
        yield from SPECIAL[key](settings, context)
    elif key in _ROWS:
        yield from _of_row(_ROWS[key], settings, context)
    elif key not in _IDLE and not (key in _OFF and not boolean(last, context)):
        yield from _refuse(key, last, context)


def _of_row(row: Field, settings: list[Setting], context: Context) -> Iterator[Entry]:
    """The entries of a field whose value is one word: all settings, or the last one if it can be set only once."""
    for each in settings if row.repeatable else settings[-1:]:
        if not row.metavar:
            yield row.key, data_at(each.value, boolean(each, context))
            continue
        words = resolve_words(each, context) if row.quadlet in _SPLIT else [resolve(each, context)]
        yield from ((row.key, text_at(each.value, word)) for word in words)


def _refuse(key: str, setting: Setting, context: Context) -> Iterator[Entry]:
    """Refuse a KEY of [Container]; an image that was probably meant counts as set, so as not to be reported missing as
    well."""
    meant = None if key in CONTAINER else nearest(key, CONTAINER)
    context.reader.refuse(setting.key, f"{key} is not supported" if key in CONTAINER else unknown_key(key, meant))
    if meant in ("Image", "Rootfs") and not context.settings.get(meant):
        yield "image", text_at(setting.value, "unknown")


def _quadlet(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    if key != "DefaultDependencies":
        context.reader.refuse(settings[-1].key, unknown_key(key, nearest(key, ("DefaultDependencies",))))
    yield from ()


_SECTIONS: dict[str, Callable[[str, list[Setting], Context], Iterator[Entry]]] = {
    "Container": _container,
    "Unit": unit_section,
    "Install": install_section,
    "Service": service_section,
    "Quadlet": _quadlet,
}
