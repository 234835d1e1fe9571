"""Which containers a project has, and in which order they start: pure, from specs and names of services alone.

Names are those of Compose v2: PROJECT-SERVICE-NUMBER, unless the file sets `container_name`.
"""

from __future__ import annotations

from mydocker.errors import LaunchError, Origin, Problem, SpecError, UsageError
from mydocker.nearest import nearest
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import NUMBER, PROJECT, SERVICE
from mydocker.services.project import Instance, Project
from mydocker.specs.load.profiles import reduce, take_part, why_none
from mydocker.specs.model.build import default_name
from mydocker.specs.model.conditions import unmet
from mydocker.specs.model.dependencies import links
from mydocker.specs.model.parts import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from mydocker.specs.model.case import CaseSpec
    from mydocker.specs.model.conditions import Condition
    from mydocker.specs.model.parts import Dependency

SCALE_LIMIT = 1000


def is_project(cases: Sequence[CaseSpec]) -> bool:
    """Whether all of CASES are services, and so run together and not one after the other."""
    return bool(cases) and all(case.service for case in cases)


def project_of(cases: Sequence[CaseSpec], *, active: frozenset[str] = frozenset()) -> Project:
    """The project that CASES are the services of. Raises SpecError if they are of several, or two have one name."""
    name = service_of(cases[0]).project
    problems, seen = [], set()
    for case in cases:
        service = service_of(case)
        if service.project != name:
            why = f"service {service.name!r} belongs to project {service.project!r}, and others to {name!r}"
            problems.append(Problem(origin=case.origin, message=why, hint="-p NAME sets one name for all"))
        elif service.name in seen:
            problems.append(Problem(origin=case.origin, message=f"there are two services called {service.name!r}"))
        seen.add(service.name)
    if problems:
        raise SpecError(problems)
    return Project(name=name, services=tuple(cases), active=active)


def service_of(case: CaseSpec) -> Service:
    """What CASE, which is a service, is in its project."""
    assert case.service
    return case.service


def is_only_built(case: CaseSpec) -> bool:
    """Whether no registry has the image of CASE: it is built each time, or has the name that it gets where `image` is
    not set."""
    service, container = case.service, case.container
    if not case.build:
        return False
    is_unnamed = bool(service and container.image == default_name(service.project, service.name))
    return container.pull_policy == "build" or is_unnamed


def chosen(project: Project, names: Collection[str] = (), *, with_dependencies: bool = True) -> list[CaseSpec]:
    """The services called NAMES, by default all that take part, and those that they depend on, in the order in which
    they start: each after those that it depends on.

    The profiles of a service that is named are active, as in Compose. Raises UsageError for a name that no service has,
    SpecError for a circle, or for a service that another one needs and whose profile is not active.
    """
    known = {service_of(case).name: case for case in project.services}
    for name in names:
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near!r}?" if near else f"the services are {', '.join(known)}"
            raise UsageError(f"no such service: {name}", hint=hint)
    cases = project.services
    active = project.active.union(*(known[name].profiles for name in names))
    taking = [take_part(case, active) for case in cases]
    if not any(taking):
        origin = Origin(file=cases[0].origin.file)
        raise SpecError([Problem(origin=origin, message=why_none(cases, project.active))])
    if names and not with_dependencies:
        alone = [case for case in cases if service_of(case).name in names]
        return [case.replace(depends_on=_among(case, alone)) for case in alone]
    if names:
        there = {service_of(case).name: case for case, takes in zip(cases, taking, strict=True) if takes}
        needed = [*names]
        for name in needed:  # which grows
            needed += [each.name for each in there[name].depends_on if each.name in there and each.name not in needed]
        taking = [service_of(case).name in needed for case in cases]
    return _in_order(reduce(cases, taking))


def followers(project: Project | None, names: Collection[str]) -> list[str]:
    """The services that are restarted when those called NAMES are: `restart` of their dependency is on."""
    found = [*names]
    for name in found:  # which grows
        for case in project.services if project else ():
            own = service_of(case).name
            if own not in found and any(each.restart and each.name == name for each in case.depends_on):
                found.append(own)
    return found[len(names) :]


def _among(case: CaseSpec, cases: Sequence[CaseSpec]) -> tuple[Dependency, ...]:
    names = {service_of(each).name for each in cases}
    return tuple(each for each in case.depends_on if each.name in names)


def _in_order(cases: Sequence[CaseSpec]) -> list[CaseSpec]:
    """CASES, each after those that it depends on. Raises SpecError for a circle."""
    needs = [{link.on for link in own} for own in links(cases)]
    found: list[CaseSpec] = []
    done: set[int] = set()
    while len(done) < len(cases):
        ready = [number for number, others in enumerate(needs) if number not in done and others <= done]
        found += [cases[number] for number in ready]
        done.update(ready)
    return found


def instances(project: Project, cases: Sequence[CaseSpec], *, scale: Mapping[str, int] | None = None) -> list[Instance]:
    """The containers of CASES, services of PROJECT in their order. SCALE: the number of containers, by service, in
    place of those of the files.

    Raises UsageError for a service in SCALE that is not there, and for several containers of one container_name.
    """
    scale = scale or {}
    names = {service_of(case).name for case in cases}
    for name in scale:
        if name not in names:
            raise UsageError(f"--scale: no such service: {name}")
    return [
        instance
        for case in cases
        for instance in _of_service(project, case, scale.get(service_of(case).name, service_of(case).replicas))
    ]


def that_may_start(
    found: Sequence[Instance], environ: Mapping[str, str], skip: Callable[[Instance, Condition], None]
) -> list[Instance]:
    """Those of FOUND whose conditions hold; SKIP is called with each other one, and the first that does not. Raises
    LaunchError for an assert that does not hold."""
    kept = []
    for instance in found:
        condition = unmet(instance.conditions, environ)
        if condition is None:
            kept.append(instance)
        elif condition.is_assert:
            raise LaunchError(f"{instance.title} cannot start: {condition} does not hold")
        else:
            skip(instance, condition)
    return kept


def container_name(project: Project, name: str, number: int = 1) -> str:
    """The name of container NUMBER of the service called NAME."""
    own = next((service_of(case).container_name for case in project.services if service_of(case).name == name), None)
    return own or f"{project.name}-{name}-{number}"


def _of_service(project: Project, case: CaseSpec, count: int) -> Iterator[Instance]:
    service = service_of(case)
    if service.container_name and count > 1:
        message = f"service {service.name!r} has a container_name, which is for one container"
        raise UsageError(message, hint="leave out container_name, or --scale")
    mode = _of_container(project, case.container.network_mode)
    joined = {key: _of_container(project, other) for key, other in case.container.joined_namespaces.items()}
    for number in range(1, count + 1):
        name = container_name(project, service.name, number)
        labels = {PROJECT: project.name, SERVICE: service.name, NUMBER: str(number)}
        yield Instance(
            service=service.name,
            number=number,
            title=service.container_name or f"{service.name}-{number}",
            spec=case.container.replace(name=name, network_mode=mode, joined_namespaces=joined),
            labels=labels,
            depends_on=case.depends_on,
            attach=service.attach,
            is_pod=service.is_pod,
            conditions=service.conditions,
            host_commands=service.host_commands,
        )


def _of_container(project: Project, mode: str) -> str:
    """MODE, with the container of a service in place of `service:NAME`."""
    kind, _, name = mode.partition(":")
    return f"container:{container_name(project, name)}" if kind == "service" else mode
