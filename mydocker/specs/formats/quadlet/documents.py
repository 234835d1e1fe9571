"""Quadlet's units as documents of a spec file: a `.container` and a `.pod` become one each; other units say how
something that these refer to is made, and are only read.

See podman-systemd.unit(5).
"""

from __future__ import annotations

import os

from mydocker.nearest import nearest
from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.quadlet import container_file, pod_file, unit_files
from mydocker.specs.formats.quadlet.context import Context, unless_ignored
from mydocker.specs.formats.quadlet.resources import images, networks, volumes
from mydocker.specs.formats.quadlet.service import host_commands, service_section
from mydocker.specs.formats.quadlet.service_environment import service_variables
from mydocker.specs.formats.quadlet.specifiers import unset_variables
from mydocker.specs.formats.quadlet.systemd import conditions, install_section, unit_section
from mydocker.specs.formats.quadlet.unit_files import BUILD, CONTAINER, IMAGE, NETWORK, POD, VOLUME, last
from mydocker.specs.formats.quadlet.units import unit_of
from mydocker.specs.model.parts import Service
from mydocker.specs.nodes.from_python import data_at
from mydocker.specs.nodes.node import Scalar
from mydocker.specs.nodes.reader import unknown_key
from mydocker.specs.values.network_definition import read_definition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mydocker.specs.formats.quadlet.entries import Entries, Entry
    from mydocker.specs.formats.quadlet.unit_files import Settings
    from mydocker.specs.nodes.node import Mapping
    from mydocker.specs.nodes.reader import Reader
    from mydocker.specs.nodes.unit_file import Setting

_TOP = Scalar(line=1, column=1, text="", plain=False)


def document(raw: bytes, path: str, reader: Reader) -> Mapping | None:
    """The document that the unit at the absolute PATH stands for; None if it stands for no container."""
    kind = unit_files.kind_of(path)
    section = unit_files.SECTIONS[kind]
    settings, problems = unit_files.read_unit(path, raw)
    reader.problems.extend(problems)
    sections = unit_files.by_section(settings)
    if section not in sections:
        reader.refuse(_TOP, f"there is no [{section}] section")
        return None
    context = _context(path, sections, reader)
    if context.only_check:
        context = _without_unset(context)
    entries = _other_sections(settings, context)
    if kind in _READERS:
        _READERS[kind](context)
        return None
    if kind not in (CONTAINER, POD):
        why = "mydocker runs no Kubernetes YAML" if kind == unit_files.KUBE else "there are no artifacts"
        head = next(each for each in settings if each.section == section).key
        reader.refuse(head, f"units of the kind {kind} are not supported: {why}")
        return None
    if reader.file is not None:
        reader.file.services[""] = Service(
            name="",
            project="",
            is_pod=kind == POD,
            attach=kind != POD,
            conditions=conditions(context),
            host_commands=host_commands(context),
        )
    return container_file.document(context, entries) if kind == CONTAINER else pod_file.document(context, entries)


def _context(path: str, sections: dict[str, Settings], reader: Reader) -> Context:
    """The unit, an instance of a template if its name has one; it may use mydocker's variables, then its own."""
    kind = unit_files.kind_of(path)
    own = sections[unit_files.SECTIONS[kind]]
    name = unit_files.service_name(path, last(own, "ServiceName"))
    default = last(sections.get("Install", {}), "DefaultInstance")
    if name.endswith("@") and not default and kind == CONTAINER and reader.file is not None and reader.file.only_check:
        default = "INSTANCE"
    elif name.endswith("@") and not default and kind == CONTAINER:
        hint = f"run {name}INSTANCE{kind}, or set DefaultInstance"
        reader.refuse(_TOP, f"{os.path.basename(path)} is a template: {hint}")
    unit = unit_of(path, name, default if "@" in name else "", {**reader.scope.environ})
    context = Context(unit=unit, reader=reader, settings=own, sections=sections)
    found = service_variables(context)
    return context.replace(unit=unit.replace(variables={**reader.scope.environ, **found}), service_environment=found)


def _without_unset(context: Context) -> Context:
    """CONTEXT without the settings that use variables which nobody sets here, of a unit that is only checked."""
    own = unit_files.SECTIONS[unit_files.kind_of(context.unit.path)]
    found = _known_settings(context.settings, context)
    service = {key: each for key, each in context.sections.get("Service", {}).items() if key.startswith("Exec")}
    sections = {**context.sections, own: found}
    if service:
        sections["Service"] = {**context.sections["Service"], **_known_settings(service, context)}
    return context.replace(settings=found, sections=sections)


def _known_settings(keys: Settings, context: Context) -> Settings:
    found: Settings = {}
    for key, settings in keys.items():
        found[key] = []
        for each in settings:
            names = unset_variables(each.value.text, context.unit.variables)
            if names:
                context.warn(each.value, f"variable {names[0]} is not set, so {key} is not checked")
                if key not in ("Image", "Rootfs", "ImageTag"):
                    continue
                each = each.replace(value=each.value.replace(text="unknown"))
            found[key].append(each)
    return found


def _other_sections(settings: list[Setting], context: Context) -> Entries:
    """The entries of the sections for systemd."""
    heads = {setting.section: setting for setting in reversed(settings)}
    own = unit_files.SECTIONS[unit_files.kind_of(context.unit.path)]
    entries: Entries = []
    for section, keys in context.sections.items():
        read = _SECTIONS.get(section)
        if section == own or section.startswith("X-"):
            continue
        if section in unit_files.SECTIONS.values():
            context.reader.refuse(heads[section].key, f"section [{section}] does not belong into this kind of unit")
        elif read is None:
            near = nearest(section, (own, *_SECTIONS))
            hint = f"; did you mean [{near}]?" if near else ""
            context.warn(heads[section].key, f"unknown section [{section}], which has no effect{hint}")
        for key, found in keys.items():
            if read and found and not key.startswith("X-"):
                entries += [(found[-1], entry) for entry in unless_ignored(key, read(key, found, context), context)]
    return entries


def _quadlet(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    if key != "DefaultDependencies":
        context.reader.refuse(settings[-1].key, unknown_key(key, nearest(key, ("DefaultDependencies",))))
    yield from ()


def _check_network(context: Context) -> None:
    _, members = networks.network_of_unit(context)
    read_definition(data_at(context.top, members), context.reader)


_SECTIONS: dict[str, Callable[[str, list[Setting], Context], Iterator[Entry]]] = {
    "Unit": unit_section,
    "Install": install_section,
    "Service": service_section,
    "Quadlet": _quadlet,
}
_READERS: dict[str, Callable[[Context], object]] = {
    NETWORK: _check_network,
    VOLUME: volumes.read_volume,
    IMAGE: images.read_image,
    BUILD: images.read_build,
}
