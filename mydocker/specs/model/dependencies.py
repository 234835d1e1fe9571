"""Dependencies: which containers of the loaded files must have started, or ended, before another one starts.

`depends_on` names them by their `name`, those of the same file first. Compose, "Services top-level elements".
"""

from __future__ import annotations

from mydocker.errors import Origin, Problem, SpecError, UsageError
from mydocker.nearest import did_you_mean
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.model.parts import CONDITIONS, HEALTHY, STARTED, Dependency
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence
from mydocker.specs.nodes.reader import switch

if TYPE_CHECKING:
    import collections.abc

    from mydocker.specs.model.case import CaseSpec
    from mydocker.specs.nodes.reader import Reader
    from mydocker.specs.values import Scope

KEYS = ("condition", "required", "restart", "bound")
CHAIN_LIMIT = 100  # containers in a row that wait for the next one


class Link(Record):
    """A dependency, and the index of the spec that it is on."""

    dependency: Dependency
    on: int


def read_depends_on(node: Node, reader: Reader) -> tuple[Dependency, ...]:
    """A list of names, or a mapping of names to their conditions."""
    if isinstance(node, Sequence):
        return tuple(_dependency(item, reader.text(item)) for item in node.items)
    if isinstance(node, Mapping):
        return tuple(_long(key, value, reader) for key, value in node.entries)
    reader.refuse(node, "expected a list of names, or a mapping of names to conditions")
    return ()


def _dependency(node: Node, name: str, *, condition: str = STARTED, required: bool = True) -> Dependency:
    return Dependency(name=name, condition=condition, required=required, origin=node.origin)


def _long(key: Scalar, node: Node, reader: Reader) -> Dependency:
    if not isinstance(node, Mapping) or all(name.text != "condition" for name, _ in node.entries):
        reader.refuse(node, f"expected a mapping with a condition: {', '.join(CONDITIONS)}")
        return _dependency(key, key.text)
    members = reader.members(node, KEYS)
    dependency = _dependency(
        key,
        key.text,
        condition=reader.value(members["condition"], _condition) if "condition" in members else STARTED,
        required=reader.value(members["required"], switch) if "required" in members else True,
    )
    switches = {key: True for key in ("restart", "bound") if key in members and reader.value(members[key], switch)}
    return dependency.replace(**switches) if switches else dependency


def _condition(text: str, scope: Scope) -> str:
    if text not in CONDITIONS:
        raise UsageError(f"{text!r}: expected {', '.join(CONDITIONS)}")
    return text


def links(
    specs: collections.abc.Sequence[CaseSpec], *, others: collections.abc.Collection[str] = ()
) -> list[tuple[Link, ...]]:
    """For each of SPECS, the specs that it depends on. OTHERS are names that may have been meant, too.

    Raises SpecError with each unknown name, with a circle, and with a chain that is too long.
    """
    problems: list[Problem] = []
    found = []
    named = _by_name(specs) if any(spec.depends_on for spec in specs) else {}
    names = {name for file, name in named if not file}.union(others)
    for spec in specs:
        own = []
        for dependency in spec.depends_on:
            on = _find(spec, dependency, named)
            if len(on) == 1:
                own.append(Link(dependency=dependency, on=on[0]))
                if dependency.condition == HEALTHY and _has_no_healthcheck(specs[on[0]]):
                    why = f"{dependency.name!r} has no healthcheck, and so is never healthy"
                    problems.append(Problem(origin=origin_of(spec, dependency), message=why))
            elif dependency.required:
                several = f"there are {len(on)} containers called {dependency.name!r}" if on else ""
                why = several or _unknown(dependency.name, names)
                problems.append(Problem(origin=origin_of(spec, dependency), message=why))
        found.append(tuple(own))
    problems = problems or [*_endless(specs, found)]
    if problems:
        raise SpecError(problems)
    return found


def with_project(
    specs: collections.abc.Sequence[CaseSpec], services: collections.abc.Collection[str]
) -> list[CaseSpec]:
    """SPECS, whose dependencies on SERVICES of a project that is up are kept apart; a container of the same name that
    is among SPECS comes first."""
    names = {spec.name for spec in specs}
    found = []
    for spec in specs:
        outside = tuple(each for each in spec.depends_on if each.name in services and each.name not in names)
        inside = tuple(each for each in spec.depends_on if each not in outside)
        found.append(spec.replace(depends_on=inside, on_project=outside) if outside else spec)
    return found


def _has_no_healthcheck(spec: CaseSpec) -> bool:
    """Whether SPEC is known to have no healthcheck; an image may have one."""
    healthcheck = spec.container.healthcheck
    test = healthcheck.test if healthcheck else ()
    return test[:1] == ("NONE",) or (not test and spec.container.image is None)


def origin_of(spec: CaseSpec, dependency: Dependency) -> Origin:
    """Where a DEPENDENCY of SPEC is written."""
    return dependency.origin.within(spec.origin.file)


class _Namesakes:
    """Specs with one name, by their numbers and by the values of their `matrix` variables."""

    def __init__(self) -> None:
        self.specs: dict[tuple[str, ...], list[tuple[int, CaseSpec]]] = {}  # by the names of their variables
        self._by_values: dict[tuple[tuple[str, ...], tuple[str, ...]], dict[tuple[str, ...], list[int]]] = {}

    def add(self, number: int, spec: CaseSpec) -> None:
        self.specs.setdefault(tuple(sorted(spec.matrix)), []).append((number, spec))

    def agreeing(self, spec: CaseSpec) -> list[int]:
        """Those that have the values of SPEC for the variables that both have."""
        found = []
        for names, group in self.specs.items():
            shared = tuple(name for name in names if name in spec.matrix)
            if (names, shared) not in self._by_values:
                index = self._by_values.setdefault((names, shared), {})
                for number, other in group:
                    index.setdefault(tuple(other.matrix[name] for name in shared), []).append(number)
            found += self._by_values[names, shared].get(tuple(spec.matrix[name] for name in shared), [])
        return sorted(found)


def _by_name(specs: collections.abc.Sequence[CaseSpec]) -> dict[tuple[str, str], _Namesakes]:
    """(file, name) -> those of that file that are called so; ("", name) -> those of any."""
    found: dict[tuple[str, str], _Namesakes] = {}
    for number, spec in enumerate(specs):
        for file in (spec.origin.file, "") if spec.name else ():
            found.setdefault((file, spec.name or ""), _Namesakes()).add(number, spec)
    return found


def _find(spec: CaseSpec, dependency: Dependency, named: dict[tuple[str, str], _Namesakes]) -> list[int]:
    """The numbers of those that DEPENDENCY of SPEC may be on: those of the same file, if there are any."""
    near = named.get((spec.origin.file, dependency.name)) or named.get(("", dependency.name))
    return near.agreeing(spec) if near else []


def _unknown(name: str, known: collections.abc.Collection[str]) -> str:
    return f"there is no container called {name!r}" + did_you_mean(name, known)


def unknown_names(
    dependencies: collections.abc.Iterable[Dependency], names: collections.abc.Collection[str]
) -> collections.abc.Iterator[Problem]:
    """A problem for each of DEPENDENCIES, all with their files, that is required and on none of NAMES."""
    for each in dependencies:
        if each.required and each.name not in names:
            yield Problem(origin=each.origin, message=_unknown(each.name, names))


def _endless(
    specs: collections.abc.Sequence[CaseSpec], result: list[tuple[Link, ...]]
) -> collections.abc.Iterator[Problem]:
    """A problem for the first circle, with which nothing can start, or for the first chain that is too long."""
    lengths: dict[int, int] = {}
    for start, spec in enumerate(specs):
        path = _path_back(start, result, lengths)
        if path:
            dependency = next(link.dependency for link in result[path[-2]] if link.on == path[-1])
            names = " -> ".join(str(specs[number].name or specs[number].origin) for number in path)
            yield Problem(origin=origin_of(specs[path[-2]], dependency), message=f"a circle: {names}")
            return
        if lengths[start] > CHAIN_LIMIT:
            chain = f"a chain of more than {CHAIN_LIMIT} containers that depend on others"
            yield Problem(origin=origin_of(spec, spec.depends_on[0]), message=chain)
            return


def _path_back(start: int, result: list[tuple[Link, ...]], lengths: dict[int, int]) -> list[int]:
    """A way from some spec, reached from START, back to it; empty if there is none.

    What has none gets into LENGTHS: how many specs, one needing the next, begin with it.
    """
    path: dict[int, None] = {}  # in its order
    stack = [(start, False)]
    while stack:
        number, left = stack.pop()
        if left:
            del path[number]
            lengths[number] = 1 + max((lengths[link.on] for link in result[number]), default=0)
        elif number in path:
            way = [*path]
            return [*way[way.index(number) :], number]
        elif number not in lengths:
            path[number] = None
            stack += [(number, True), *((link.on, False) for link in result[number])]
    return []
