"""`mydocker config --to FORM`: containers of any files as a Compose file or as Quadlet units."""

from __future__ import annotations

import json
import os

from mydocker.cli.common import say
from mydocker.cli.common.table import columns
from mydocker.errors import HostError, UsageError
from mydocker.kernel.disk import replace_file
from mydocker.nearest import did_you_mean
from mydocker.record import TYPE_CHECKING
from mydocker.specs.load.profiles import select, take_part
from mydocker.specs.nodes.yaml import escape
from mydocker.specs.render.compose.document import compose_file
from mydocker.specs.render.normal_form import normal_form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mydocker.cli.project.options import LoadedCases
    from mydocker.specs.model.case import CaseSpec
    from mydocker.specs.render.compose.document import ComposeFile

    Units = Mapping[str, str]  # by the names of their files

LISTS: dict[str, str] = {
    "services": "print the names of the services",
    "images": "print the image of each service",
    "volumes": "print the keys of the volumes",
    "networks": "print the keys of the networks",
    "profiles": "print the names of the profiles",
}


def with_dependencies(loaded: LoadedCases) -> list[CaseSpec]:
    """The containers that are named, or all, and those that they depend on."""
    if not loaded.names:
        return [*loaded.cases]
    needed, known = set(loaded.names), {case.name: case for case in loaded.cases if case.name}
    for name in loaded.names:
        if name not in known:
            raise UsageError(f"no such service: {name}{did_you_mean(name, known)}")
    left = [*needed]
    while left:
        case = known.get(left.pop())
        names = {each.name for each in case.depends_on} - needed if case else set()
        needed |= names
        left += names
    return [case for case in loaded.cases if case.name in needed]


def listed(kind: str, cases: Sequence[CaseSpec], active: frozenset[str]) -> list[str]:
    """What the option KIND prints, a line each, as `docker compose config` does: of containers that take part with the
    profiles ACTIVE, but all profiles."""
    if kind == "profiles":
        return sorted({name for case in cases for name in case.profiles if name})
    taking = [case for case in cases if take_part(case, active)]
    if kind == "images":
        return [case.container.image.familiar for case in taking if case.container.image]
    file = compose_file(select(cases, active))
    return [*(file.services if kind == "services" else file.top[kind])]


def variables_text(rows: Sequence[tuple[str, bool, str, str]], *, as_json: bool) -> str:
    """A table of variables: name, whether it is needed, default, and what stands for it where it is set."""
    keys = ("Name", "Required", "DefaultValue", "PresenceValue")
    if as_json:
        return json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2) + "\n"
    cells = [("NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE")]
    cells += [(name, str(needed).lower(), default, other) for name, needed, default, other in rows]
    return "".join(f"{line}\n" for line in columns(cells))


def compose_text(cases: Sequence[CaseSpec], *, as_json: bool) -> str:
    """A Compose file; JSON has no comments, so that what is lost is said on standard error."""
    file: ComposeFile = compose_file(cases)
    written = json_text(file.document)
    if not as_json:
        return file.text()
    for line in file.comments:
        say(f"warning: {line.removeprefix('# ')}")
    return written


def json_text(document: object) -> str:
    """DOCUMENT, plain data, as JSON without variables. Raises UsageError if no file can hold it."""
    return checked(json.dumps(escape(document), indent=2, ensure_ascii=False) + "\n")


def checked(text: str) -> str:
    """TEXT, if it is UTF-8. Raises UsageError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError("a value is not UTF-8, so no file can hold it") from None
    return text


def quadlet_units_of(cases: Sequence[CaseSpec], active: frozenset[str]) -> Units:
    """The units of CASES that take part with the profiles ACTIVE, for systemd has none; the others are named."""
    from mydocker.specs.render.quadlet.units import quadlet_units

    taking = select(cases, active)
    for case in cases:
        if not take_part(case, active):
            say(f"warning: {case.name} is left out: it takes part with --profile {' or '.join(case.profiles)} only")
    json_text([normal_form(case) for case in taking])  # a unit could hold other bytes, but who reads it takes text
    return {name: checked(text) for name, text in quadlet_units(taking).items()}


def units_text(units: Units) -> str:
    """UNITS one after the other, several with the name of each."""
    texts = units.values() if len(units) == 1 else [f"# {name}\n{text}" for name, text in units.items()]
    return "\n".join(texts)


def write_units(units: Units, directory: str, *, force: bool, written: Callable[[str], None]) -> None:
    """Put UNITS into DIRECTORY, each file as a whole, and call WRITTEN with its path. Raises HostError if one is there
    already and FORCE is not set; then nothing is written."""
    paths = {os.path.join(directory, name): text for name, text in units.items()}
    there = [path for path in paths if os.path.lexists(path)]
    if there and not force:
        raise HostError(f"{there[0]} is there already", hint="remove it, or use --force")
    for path, text in paths.items():
        try:
            replace_file(path, text, is_new=not force)
        except OSError as error:
            raise HostError(f"cannot write {path}: {(error.strerror or '').lower()}") from None
        written(path)
