"""Files of Quadlet units: which kind each is, which file a name means, and its settings with those of its drop-ins.

See systemd.unit(5), "Unit File Load Path" and "Description" (drop-ins, templates), and podman-systemd.unit(5),
"Template files".
"""

from __future__ import annotations

import os

from mydocker.errors import Origin, Problem
from mydocker.paths import current_directory
from mydocker.record import TYPE_CHECKING
from mydocker.specs.nodes.unit_file import Setting, parse_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Settings = dict[str, list[Setting]]

CONTAINER, POD, NETWORK, VOLUME, IMAGE, BUILD, KUBE, ARTIFACT = KINDS = (
    *(".container", ".pod", ".network", ".volume", ".image", ".build", ".kube", ".artifact"),
)
SECTIONS = {kind: kind[1:].capitalize() for kind in KINDS}
_SERVICES = {kind: "" if kind in (CONTAINER, KUBE) else f"-{kind[1:]}" for kind in KINDS}  # what a service's name adds
SERVICE_SUFFIX = ".service"
BOOLEANS = {  # parse_boolean of systemd
    **dict.fromkeys(("1", "yes", "y", "true", "t", "on"), True),
    **dict.fromkeys(("0", "no", "n", "false", "f", "off"), False),
}
SIZE_LIMIT = 1 << 20


def kind_of(path: str) -> str:
    """The suffix of the file at PATH, if it is that of a Quadlet unit; else empty."""
    suffix = os.path.splitext(path)[1]
    return suffix if suffix in KINDS else ""


def stem(path: str) -> str:
    """The name of a unit without its suffix."""
    return os.path.splitext(os.path.basename(path))[0]


def service_name(path: str, own: str = "") -> str:
    """The name of the service, without its suffix, that stands for the unit at PATH; OWN is its ServiceName."""
    return own.removesuffix(SERVICE_SUFFIX) or f"{stem(path)}{_SERVICES[kind_of(path)]}"


def names_of_services(stems: Iterable[str], kind: str) -> Iterator[str]:
    """The stems that a unit of KIND cannot have: its service would be that of a container whose unit has one of
    STEMS."""
    ending = _SERVICES[kind]
    return (each.removesuffix(ending) for each in stems if each.endswith(ending))


def file_of_unit(path: str) -> str:
    """The file of the unit at PATH: that, or for an instance without a file of its own, that of its template."""
    directory, name = os.path.split(path)
    prefix, at, rest = name.partition("@")
    if at and not os.path.exists(path):
        template = os.path.join(directory, f"{prefix}@{os.path.splitext(rest)[1]}")
        return template if os.path.exists(template) else path
    return path


def shown(path: str) -> str:
    """The absolute PATH as messages have it: relative to the current directory where it is below that."""
    here = current_directory()
    return path.removeprefix(f"{here}/") if here else path


def read_unit(path: str, raw: bytes | None = None) -> tuple[list[Setting], list[Problem]]:
    """The settings of the unit at the absolute PATH, and of its drop-ins after them. RAW: the bytes of its own file, if
    it is the one that is being read. OSError if it cannot be read."""
    file = ""
    if raw is None:
        file = shown(file_of_unit(path))
        with open(file_of_unit(path), "rb") as opened:
            raw = opened.read(SIZE_LIMIT)
    settings, problems = parse_unit(raw, file)
    for drop_in in drop_ins(path):
        try:
            with open(drop_in, "rb") as opened:
                more, wrong = parse_unit(opened.read(SIZE_LIMIT), shown(drop_in))
        except OSError as error:
            origin = Origin(file=shown(drop_in), line=1, column=1)
            problems.append(Problem(origin=origin, message=f"cannot read it: {(error.strerror or '').lower()}"))
            continue
        settings += more
        problems += wrong
    return settings, problems


def drop_ins(path: str) -> list[str]:
    """The files that change the unit at PATH, in the order of their names. They are in directories for all units of its
    kind, for those that share a prefix of its name up to a dash, for its template, and for itself; of two files with
    one name, that of the directory for fewer units counts."""
    found: dict[str, str] = {}
    for directory in _drop_in_directories(path):
        for name in _names(directory):
            if name.endswith(".conf"):
                found[name] = os.path.join(directory, name)
    return [found[name] for name in sorted(found)]


def _drop_in_directories(path: str) -> Iterator[str]:
    """The directories, those for the most units first."""
    directory, file_name = os.path.split(path)
    name, suffix = os.path.splitext(file_name)
    template, at, _ = name.partition("@")
    dashes = [position for position, letter in enumerate(template) if letter == "-"]
    prefixes = [name[: position + 1] for position in dashes] + ([template + at] if at else [])
    for each in dict.fromkeys([suffix[1:], *(prefix + suffix for prefix in prefixes), file_name]):
        yield os.path.join(directory, f"{each}.d")


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def neighbours(directory: str) -> list[str]:
    """The paths of the units in DIRECTORY, in the order of their names."""
    return [os.path.join(directory, name) for name in sorted(_names(directory)) if kind_of(name)]


def by_section(settings: list[Setting]) -> dict[str, Settings]:
    """SETTINGS by their sections and keys; an empty value resets those before it."""
    sections: dict[str, Settings] = {}
    for setting in settings:
        keys = sections.setdefault(setting.section, {})
        if not setting.key.text:  # the head of a section
            continue
        before = keys.setdefault(setting.key.text, [])
        if setting.value.text:
            before.append(setting)
        else:
            before.clear()
    return sections


def last(settings: Settings, key: str) -> str:
    """The last value of KEY; empty if it is not set."""
    found = settings.get(key)
    return found[-1].text if found else ""
