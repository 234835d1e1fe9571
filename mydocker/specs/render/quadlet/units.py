"""CaseSpecs as Quadlet units: a file for each container, and those that they refer to. What is lost is in comments at
the top of each file."""

from __future__ import annotations

from mydocker.errors import printable
from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.quadlet.unit_files import POD, names_of_services
from mydocker.specs.model.parts import NetworkDefinition
from mydocker.specs.render.names import Names, named
from mydocker.specs.render.quadlet.container_unit import Unit, Writer, pod_stem
from mydocker.specs.render.quadlet.resources import Resources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mydocker.specs.model.case import CaseSpec
    from mydocker.specs.render.names import Named

_EXTERNAL = NetworkDefinition(external=True)


def quadlet_units(cases: Sequence[CaseSpec]) -> dict[str, str]:
    """The text of each unit, by the name of its file: those of CASES, then those of volumes, networks and builds."""
    found: dict[str, str] = {}
    units = units_of(cases)
    resources = Resources([unit.stem for unit in units.values() if not unit.is_pod])
    definitions = _definitions(cases)
    order = "order: mydocker runs these containers one after the other; systemd starts each by itself"
    is_sequence = len(cases) > 1 and any(case.service is None for case in cases)
    for unit in units.values():
        others = {own: units[name] for own, name in unit.named.names.items()}
        writer = Writer(unit, others, resources, definitions)
        text = writer.text()
        notes = [*([order] if is_sequence and not found else []), *writer.notes]
        found[unit.file] = "".join(f"# {printable(note)}\n" for note in notes) + text
    return found | resources.texts


def units_of(cases: Sequence[CaseSpec]) -> dict[str, Unit]:
    """The units by the names that their containers have here."""
    all_named = named(cases)
    awaited: dict[str, set[str]] = {}
    referred: set[str] = set()
    for each in all_named:
        for dependency in each.case.depends_on:
            if dependency.name in each.names:
                awaited.setdefault(each.names[dependency.name], set()).add(dependency.condition)
        modes = (each.case.container.network_mode, *each.case.container.joined_namespaces.values())
        referred |= {each.mode(mode).removeprefix("service:") for mode in modes if mode.startswith("service:")}
    stems, pods = Names(), Names(names_of_services((each.name for each in all_named), POD))
    found: dict[str, Unit] = {}
    for each in all_named:
        unit = _unit(each, stems, pods)
        found[each.name] = unit.replace(
            awaited=frozenset(awaited.get(each.name, ())), is_referred_to=each.name in referred
        )
    return found


def _unit(each: Named, stems: Names, pods: Names) -> Unit:
    service = each.case.service
    container = each.container_name or each.name
    if service and service.is_pod:
        return Unit(named=each, stem=pods.free(pod_stem(container)), container=container)
    return Unit(named=each, stem=stems.free(each.name), container=container)


def _definitions(cases: Sequence[CaseSpec]) -> dict[str, NetworkDefinition]:
    """How each network is made, by its name."""
    found: dict[str, NetworkDefinition] = {}
    for case in cases:
        for each in case.container.networks:
            before = found.get(each.name, _EXTERNAL)
            found[each.name] = (each.definition or _EXTERNAL) if before.external else before
    return found
