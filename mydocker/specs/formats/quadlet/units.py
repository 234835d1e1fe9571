"""Other units that a Quadlet file refers to: which container each of them is, and which of them start first.

Units that are to run together are those that were named for it; those in the same directory are known by name as well,
as Quadlet itself would find them there.
"""

from __future__ import annotations

import os

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.formats.quadlet import unit_files
from mydocker.specs.formats.quadlet.specifiers import Unit, expand
from mydocker.specs.formats.quadlet.unit_files import CONTAINER, KINDS, POD, SERVICE_SUFFIX, last
from mydocker.specs.nodes.unit_file import split_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mydocker.specs.formats.quadlet.unit_files import Settings

_BEFORE = (("Unit", "Before"), ("Install", "RequiredBy"), ("Install", "WantedBy"), ("Install", "UpheldBy"))


class Neighbour(Record):
    """The unit at `path`: the name of its `service`, without the suffix, and of its `container`, which is the one that
    holds the network if it is a pod, and empty if it is none. `before`: the units that it starts before; `refers`:
    those that it needs, or starts after.

    `condition`: when it counts as started. `pod` is the file of its pod, and `joins` whether it starts with that.
    """

    path: str
    service: str
    container: str
    before: tuple[str, ...]
    condition: str = "service_started"
    pod: str = ""
    joins: bool = False
    refers: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The suffix of its file."""
        return unit_files.kind_of(self.path)


class Units:
    """The units of one load: PATHS are those that were named to run."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = [os.path.abspath(path) for path in paths if unit_files.kind_of(path)]
        self._read: dict[str, Neighbour | None] = {}
        self._services: dict[str, dict[str, Neighbour]] = {}  # by directory; under "" those that were named
        self._before: dict[str, list[Neighbour]] | None = None

    def find(self, text: str, directory: str) -> Neighbour | None:
        """The unit that TEXT, such as NAME.container or NAME.service, means in a file of DIRECTORY."""
        if unit_files.kind_of(text):
            named = next((path for path in self.paths if os.path.basename(path) == text), None)
            return self._neighbour(named or os.path.join(directory, text))
        if not text.endswith(SERVICE_SUFFIX):
            return None
        service = text.removesuffix(SERVICE_SUFFIX)
        found = self._by_service("", lambda: self.paths).get(service)
        found = found or self._by_service(directory, lambda: unit_files.neighbours(directory)).get(service)
        return found or self._instance(service, directory)

    def members(self, pod: str) -> list[Neighbour]:
        """The containers that start with the pod at the path POD: those that were named, and those next to it."""
        paths = dict.fromkeys((*self.paths, *unit_files.neighbours(os.path.dirname(pod))))
        found = [self._neighbour(path) for path in paths if unit_files.kind_of(path) == CONTAINER]
        return [each for each in found if each and each.joins and each.pod == os.path.basename(pod)]

    def first(self, service: str, file: str) -> list[Neighbour]:
        """Those of the units to run that declare themselves to start before the unit FILE, which is SERVICE."""
        if self._before is None:
            self._before = {}
            for unit in self._by_service("", lambda: self.paths).values():
                for word in unit.before:
                    self._before.setdefault(word, []).append(unit)
        names = dict.fromkeys((f"{service}{SERVICE_SUFFIX}", file))
        return [unit for name in names for unit in self._before.get(name, ()) if unit.container]

    def _instance(self, service: str, directory: str) -> Neighbour | None:
        """The instance of a template in DIRECTORY that SERVICE is, if it is one without a file of its own."""
        if "@" not in service:
            return None
        units = (self._neighbour(os.path.join(directory, f"{service}{kind}")) for kind in KINDS)
        return next((unit for unit in units if unit and unit.service == service), None)

    def _by_service(self, key: str, paths: Callable[[], Iterable[str]]) -> dict[str, Neighbour]:
        if key not in self._services:
            units = (self._neighbour(path) for path in paths())
            self._services[key] = {unit.service: unit for unit in units if unit}
        return self._services[key]

    def _neighbour(self, path: str) -> Neighbour | None:
        if path not in self._read:
            self._read[path] = _read(path)
        return self._read[path]


def _read(path: str) -> Neighbour | None:
    try:
        settings, _ = unit_files.read_unit(path)
    except OSError:
        return None
    sections = unit_files.by_section(settings)
    own = sections.get(unit_files.SECTIONS[unit_files.kind_of(path)], {})
    service = unit_files.service_name(path, last(own, "ServiceName"))
    unit = unit_of(path, service)
    before = [word for section, key in _BEFORE for word in _words(sections.get(section, {}), key, unit)]
    return Neighbour(
        path=path,
        service=service,
        container=container_of(path, own, unit),
        before=tuple(before),
        condition=_condition(own, sections.get("Service", {})),
        pod=last(own, "Pod"),
        joins=unit_files.BOOLEANS.get(last(own, "StartWithPod").lower(), True),
        refers=tuple(_refers(sections.get("Unit", {}), unit)),
    )


def _refers(settings: Settings, unit: Unit) -> Iterator[str]:
    for key in ("Requires", "Requisite", "BindsTo", "Wants", "Upholds", "After"):
        yield from _words(settings, key, unit)


def container_of(path: str, own: Settings, unit: Unit) -> str:
    """The name of the container of the unit at PATH, whose own section is OWN; empty if it has none."""
    kind = unit_files.kind_of(path)
    if kind == CONTAINER:
        return _expanded(last(own, "ContainerName"), unit) or unit.name
    return f"{pod_name(path, own, unit)}-infra" if kind == POD else ""


def pod_name(path: str, own: Settings, unit: Unit) -> str:
    """The name of the pod at PATH (podman-systemd.unit(5), "PodName=")."""
    return _expanded(last(own, "PodName"), unit) or f"systemd-{unit_files.stem(path)}"


def _condition(own: Settings, service: Settings) -> str:
    """A unit of the type oneshot has started when it has ended, and one that notifies when it is healthy, then."""
    if last(service, "Type") == "oneshot":
        return "service_completed_successfully"
    return (
        "service_healthy"
        if last(own, "Notify") == "healthy" and last(own, "HealthCmd") != "none"
        else "service_started"
    )


def unit_of(path: str, name: str, instance: str = "", variables: dict[str, str] | None = None) -> Unit:
    """The unit NAME of the file at PATH, as its specifiers need it."""
    prefix, _, own = name.partition("@")
    return Unit(path=path, prefix=prefix, instance=own or instance, variables=variables or {})


def _words(settings: Settings, key: str, unit: Unit) -> Iterator[str]:
    for each in settings.get(key, ()):
        try:
            yield from (_expanded(word, unit) for word in split_words(each.value.text))
        except UsageError:  # which is reported where that file itself is read
            continue


def _expanded(text: str, unit: Unit) -> str:
    try:
        return expand(text, unit)
    except UsageError:
        return text
