"""Containers, and those that are read from another form of their file: what is different, and what should be named."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mydocker.record import Record
from mydocker.reference import Reference
from mydocker.specs.load.load import load_files
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.parts import NetworkDefinition
from mydocker.specs.render.compose.document import compose_file
from mydocker.specs.render.names import named
from mydocker.specs.render.normal_form import normal_form
from mydocker.specs.render.quadlet.units import quadlet_units, units_of

_APART = ("name", "networks", "network_mode", "aliases", "volumes", "tmpfs", "configs", "secrets", "depends_on")
_EXTERNAL = NetworkDefinition(external=True)
# how a note begins that names a difference of these keys, if not with the key itself
_NAMED_BY = {
    "image": ("rootfs",),
    "volumes": ("volume ", "tmpfs ", "configs ", "secrets ", "inject"),
    "network": ("aliases", "ip", "network "),
    "pid": ("namespaces",),
    "service": ("scale", "attach", "Condition", "Assert", "[Service]"),
    "gpus": ("gpus",),
    "devices": ("gpus",),
    "command": ("command []",),
    "security_opt": ("security_opt",),
}


def differences(
    before: Sequence[CaseSpec], after: Sequence[CaseSpec], names: Mapping[str, str]
) -> dict[str, dict[str, tuple[Any, Any]]]:
    """For each of BEFORE that differs from the same one of AFTER, its name there and what differs, by its key. NAMES:
    what those of BEFORE are called in AFTER, by their names; they are in the same order."""
    found = {}
    made = {
        each.name: each.definition
        for case in before
        for each in case.container.networks
        if each.definition and not each.definition.external
    }
    assert len(before) == len(after), ([each.name for each in before], [each.name for each in after])
    for one, other in zip(before, after, strict=True):
        left, right = _shape(one, names, made), _shape(other, {}, made)
        keys = [key for key in {**left, **right} if left.get(key) != right.get(key)]
        if keys:
            found[other.name or ""] = {key: (left.get(key), right.get(key)) for key in keys}
    return found


def unnamed(found: Mapping[str, Mapping[str, Any]], notes: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What of the differences FOUND no one of NOTES, by the names of containers, is about."""
    return {
        f"{name}: {key}": what
        for name, keys in found.items()
        for key, what in keys.items()
        if not any(note.startswith((key, *_NAMED_BY.get(key, ()))) for note in notes.get(name, ()))
    }


def _shape(case: CaseSpec, names: Mapping[str, str], made: Mapping[str, NetworkDefinition]) -> dict[str, Any]:
    """CASE as plain data, in which what means the same is the same."""
    spec, service = case.container, case.service
    form: dict[str, Any] = {key: value for key, value in normal_form(case).items() if key not in _APART}
    form["volumes"] = {mount.target: mount for mount in spec.volumes}
    form["network"] = _network(case, names, made)
    form["depends_on"] = {
        names.get(each.name, each.name): (each.condition, each.required, each.restart, each.bound)
        for each in case.depends_on
    }
    for key in ("pid", "ipc"):
        if key in form:
            form[key] = _mode(form[key], names)
    if service:
        form["service"] = (service.replicas, service.attach, service.conditions, service.host_commands)
    else:
        form["service"] = (1, True, (), None)
    if case.build:
        file = case.build.dockerfile and os.path.join(case.build.context, case.build.dockerfile)
        form["build"] = _plain(case.build.replace(origin=None, dockerfile=file))
    return {key: _plain(value) for key, value in form.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Reference):
        return str(value)
    if isinstance(value, Record):
        return {"": type(value).__name__, **{name: _plain(each) for name, each in value.as_dict().items()}}
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value


def _mode(text: str, names: Mapping[str, str]) -> str:
    kind, _, other = text.partition(":")
    return f"container:{names.get(other, other)}" if kind == "service" else text


def _network(case: CaseSpec, names: Mapping[str, str], made: Mapping[str, NetworkDefinition]) -> Any:
    """A container that names no network is in the default one of its file, or of the machine. MADE: how networks are
    made that some container of the file creates."""
    spec = case.container
    if spec.network_mode not in ("default", "networks", "bridge"):
        return _mode(spec.network_mode, names)
    found = {}
    for each in spec.networks:
        definition = made.get(each.name) or each.definition or _EXTERNAL
        found[each.name] = each.replace(aliases=(), definition=definition).as_dict()
        if each.name.endswith("_default") and definition == NetworkDefinition() and not each.address:
            del found[each.name]
    return found or ("bridge" if spec.network_mode == "bridge" else {})


def lost_aliases(before: Sequence[CaseSpec], after: Sequence[CaseSpec]) -> dict[str, set[str]]:
    """The names in networks that those of BEFORE have and the same ones of AFTER have not; they may have more."""
    found = {}
    for one, other in zip(before, after, strict=True):
        own = {name for each in one.container.networks for name in each.aliases}
        theirs = {name for each in other.container.networks for name in each.aliases}
        if own - theirs:
            found[other.name or ""] = own - theirs
    return found


class Conversion(Record):
    """What CASES become in another form, and what they are when that is read again: `after`, in the same order. `names`
    are those of `before` there, and `notes` what the files say is lost, by these names."""

    before: tuple[CaseSpec, ...]
    after: tuple[CaseSpec, ...]
    names: Mapping[str, str]
    notes: Mapping[str, tuple[str, ...]]
    texts: Mapping[str, str]

    @property
    def differences(self) -> dict[str, dict[str, tuple[Any, Any]]]:
        return differences(self.before, self.after, self.names)

    @property
    def unnamed(self) -> dict[str, Any]:
        """What differs and is not named."""
        aliases = {f"{name}: aliases": lost for name, lost in lost_aliases(self.before, self.after).items()}
        return unnamed(self.differences, self.notes) | aliases


def through_compose(cases: Sequence[CaseSpec], folder: Path, environ: Mapping[str, str]) -> Conversion:
    """CASES as a Compose file in FOLDER, which is read again."""
    file = compose_file(cases)
    path = folder / "again.yaml"
    path.write_text(file.text())
    after = load_files([str(path)], environ=environ)
    notes: dict[str, tuple[str, ...]] = {}
    for name, text in file.notes:
        notes[name] = (*notes.get(name, ()), text)
    names = {each.case.name or "": each.name for each in named(cases)}
    return Conversion(
        before=tuple(cases), after=tuple(after), names=names, notes=notes, texts={path.name: path.read_text()}
    )


def through_quadlet(cases: Sequence[CaseSpec], folder: Path, environ: Mapping[str, str]) -> Conversion:
    """CASES as Quadlets in the new directory FOLDER, which are read again."""
    folder.mkdir()
    texts = quadlet_units(cases)
    for name, text in texts.items():
        (folder / name).write_text(text)
    units = [*units_of(cases).values()]
    after = load_files([str(folder / unit.file) for unit in units], environ=environ)
    notes = {unit.container: tuple(_notes(texts[unit.file])) for unit in units}
    names = {unit.named.case.name or "": unit.container for unit in units}
    return Conversion(before=tuple(cases), after=tuple(after), names=names, notes=notes, texts=texts)


def _notes(text: str) -> list[str]:
    return [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]


WAYS = {"compose": through_compose, "quadlet": through_quadlet}
