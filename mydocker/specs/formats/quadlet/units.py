"""Other units that a Quadlet file refers to: which container each of them is, and which of them start first.

Units that are to run together are those that were named for it; those in the same directory are known by name as well,
as Quadlet itself would find them there.
"""

from __future__ import annotations

import os

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.formats.quadlet.specifiers import Unit, expand
from mydocker.specs.nodes.unit_file import Setting, parse_unit, split_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UNIT_SUFFIX = ".container"
SERVICE_SUFFIX = ".service"
_BEFORE = (("Unit", "Before"), ("Install", "RequiredBy"), ("Install", "WantedBy"), ("Install", "UpheldBy"))


class Neighbour(Record):
    """A unit: the names of its `container` and of its `service`, without the suffix, and what it comes `before`."""

    container: str
    service: str
    before: tuple[str, ...]


class Units:
    """The units of one load: PATHS are those that were named to run."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = [os.path.abspath(path) for path in paths if path.endswith(UNIT_SUFFIX)]
        self._read: dict[str, Neighbour | None] = {}
        self._services: dict[str, dict[str, Neighbour]] = {}  # by directory; under "" those that were named
        self._before: dict[str, list[Neighbour]] | None = None

    def find(self, text: str, directory: str) -> Neighbour | None:
        """The unit that TEXT, NAME.container or NAME.service, means in a file of DIRECTORY."""
        stem, dot, suffix = text.rpartition(".")
        if dot + suffix == UNIT_SUFFIX:
            named = next((path for path in self.paths if os.path.basename(path) == text), None)
            return self._neighbour(named or os.path.join(directory, text))
        if dot + suffix != SERVICE_SUFFIX:
            return None
        if found := self._by_service("", self.paths).get(stem):
            return found
        neighbour = self._neighbour(os.path.join(directory, f"{stem}{UNIT_SUFFIX}"))
        if neighbour and neighbour.service == stem:
            return neighbour
        return self._by_service(directory, self._files(directory)).get(stem)

    def first(self, service: str) -> list[Neighbour]:
        """Those of the units to run that declare themselves to start before the unit of SERVICE."""
        if self._before is None:
            self._before = {}
            for unit in self._by_service("", self.paths).values():
                for word in unit.before:
                    self._before.setdefault(word, []).append(unit)
        names = (f"{service}{SERVICE_SUFFIX}", f"{service}{UNIT_SUFFIX}")
        return [unit for name in names for unit in self._before.get(name, ())]

    def _by_service(self, key: str, paths: Iterable[str]) -> dict[str, Neighbour]:
        if key not in self._services:
            units = (self._neighbour(path) for path in paths)
            self._services[key] = {unit.service: unit for unit in units if unit}
        return self._services[key]

    def _files(self, directory: str) -> Iterator[str]:
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            return
        yield from (os.path.join(directory, name) for name in names if name.endswith(UNIT_SUFFIX))

    def _neighbour(self, path: str) -> Neighbour | None:
        if path not in self._read:
            self._read[path] = _read(path)
        return self._read[path]


def _read(path: str) -> Neighbour | None:
    try:
        with open(path, "rb") as file:
            settings, _ = parse_unit(file.read())
    except OSError:
        return None
    service = unit_name(path, last(settings, "Container", "ServiceName"))
    unit = unit_of(path, service)
    container = _expanded(last(settings, "Container", "ContainerName"), unit)
    before = [word for section, key in _BEFORE for word in _words(settings, section, key, unit)]
    return Neighbour(container=container or service, service=service, before=tuple(before))


def unit_name(path: str, service_name: str) -> str:
    """The name of the unit of the file at PATH, which may set another one."""
    return service_name.removesuffix(SERVICE_SUFFIX) or os.path.basename(path).removesuffix(UNIT_SUFFIX)


def drop_ins(path: str) -> list[str]:
    """The directories whose files change the unit at PATH (podman-systemd.unit(5), "Drop-in"): of all units of its
    kind, of those that share a prefix of its name up to a dash, of its template, and its own."""
    directory, file_name = os.path.split(path)
    name, suffix = os.path.splitext(file_name)
    template, at, _ = name.partition("@")
    dashes = [position for position, letter in enumerate(template) if letter == "-"]
    prefixes = [name[: position + 1] for position in dashes] + ([template + at] if at else [])
    names = dict.fromkeys([suffix[1:], *(prefix + suffix for prefix in prefixes), file_name])
    return [f"{each}.d" for each in names if _has_drop_in(os.path.join(directory, f"{each}.d"))]


def _has_drop_in(directory: str) -> bool:
    try:
        return any(name.endswith(".conf") for name in os.listdir(directory))
    except OSError:
        return False


def unit_of(path: str, name: str, instance: str = "", variables: dict[str, str] | None = None) -> Unit:
    prefix, _, own = name.partition("@")
    return Unit(path=path, prefix=prefix, instance=own or instance, variables=variables or {})


def last(settings: list[Setting], section: str, key: str) -> str:
    """The last value of KEY; an empty one if there is none."""
    found = (each.text for each in reversed(settings) if (each.section, each.key.text) == (section, key))
    return next(found, "")


def _words(settings: list[Setting], section: str, key: str, unit: Unit) -> Iterator[str]:
    for each in settings:
        if (each.section, each.key.text) == (section, key):
            try:
                yield from (_expanded(word, unit) for word in split_words(each.value.text))
            except UsageError:  # which is reported where that file itself is read
                continue


def _expanded(text: str, unit: Unit) -> str:
    try:
        return expand(text, unit)
    except UsageError:
        return text
