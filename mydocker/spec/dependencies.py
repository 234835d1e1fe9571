"""Dependencies: which containers of the files given must be there, or have ended, before another one begins.

`depends_on` names them by their `name`, those of the same file first. Compose, "Services top-level elements".
"""

from __future__ import annotations

from mydocker.errors import SpecError, UsageError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.spec.later import nearest
from mydocker.spec.node import Mapping, Node, Scalar, Sequence
from mydocker.spec.reading import switch

if TYPE_CHECKING:
    import collections.abc

    from mydocker.spec.container import ContainerSpec
    from mydocker.spec.reading import Reading
    from mydocker.spec.words import Place

STARTED, HEALTHY, COMPLETED = CONDITIONS = (
    "service_started",
    "service_healthy",
    "service_completed_successfully",
)
KEYS = ("condition", "required", "restart")
CHAIN_LIMIT = 100  # containers that wait for each other in turn


class Dependency(Record):
    """On the container called `name`. Unless it is `required`, it is of no matter if there is none of that name.

    `line` and `column` are where it is written; `file` is empty where that is the file of the container itself.
    """

    name: str
    condition: str = STARTED
    required: bool = True
    line: int
    column: int
    file: str = ""


class Link(Record):
    """A dependency, and the index of the spec that it is on."""

    dependency: Dependency
    on: int


def read_depends_on(node: Node, reading: Reading) -> tuple[Dependency, ...]:
    """A list of names, or a mapping of names to their conditions."""
    if isinstance(node, Sequence):
        return tuple(_dependency(item, reading.text(item)) for item in node.items)
    if isinstance(node, Mapping):
        return tuple(_long(key, value, reading) for key, value in node.entries)
    reading.refuse(node, "want a list of names, or a mapping of names to conditions")
    return ()


def _dependency(node: Node, name: str, *, condition: str = STARTED, required: bool = True) -> Dependency:
    return Dependency(name=name, condition=condition, required=required, line=node.line, column=node.column)


def _long(key: Scalar, node: Node, reading: Reading) -> Dependency:
    if not isinstance(node, Mapping) or all(name.text != "condition" for name, _ in node.entries):
        reading.refuse(node, f"want a mapping with a condition: {', '.join(CONDITIONS)}")
        return _dependency(key, key.text)
    members = reading.members(node, KEYS)
    if "restart" in members and reading.word(members["restart"], switch):
        reading.refuse(members["restart"], "restart: nothing is ever restarted because of another container")
    return _dependency(
        key,
        key.text,
        condition=reading.word(members["condition"], _condition) if "condition" in members else STARTED,
        required=reading.word(members["required"], switch) if "required" in members else True,
    )


def _condition(word: str, place: Place) -> str:
    if word not in CONDITIONS:
        raise UsageError(f"{word!r}: want {', '.join(CONDITIONS)}")
    return word


def links(specs: collections.abc.Sequence[ContainerSpec]) -> list[tuple[Link, ...]]:
    """For each of SPECS those that it depends on.

    Raises SpecError with each unknown name, with a circle, and with a chain that is too long.
    """
    problems: list[str] = []
    found = []
    named = _by_name(specs) if any(spec.depends_on for spec in specs) else {}
    for spec in specs:
        own = []
        for dependency in spec.depends_on:
            on, problem = _find(spec, dependency, specs, named)
            if on is not None:
                own.append(Link(dependency=dependency, on=on))
            elif dependency.required:
                problems.append(f"{place(spec, dependency)}: {problem}")
        found.append(tuple(own))
    problems = problems or [*_endless(specs, found)]
    if problems:
        raise SpecError(problems)
    return found


def place(spec: ContainerSpec, dependency: Dependency) -> str:
    """file:line:column of a DEPENDENCY of SPEC."""
    return f"{dependency.file or _file(spec)}:{dependency.line}:{dependency.column}"


def _file(spec: ContainerSpec) -> str:
    return spec.origin.rpartition(":")[0]


def _by_name(specs: collections.abc.Sequence[ContainerSpec]) -> dict[tuple[str, str], list[int]]:
    """(file, name) -> those of that file that are called so; ("", name) -> those of any."""
    found: dict[tuple[str, str], list[int]] = {}
    for number, spec in enumerate(specs):
        for file in (_file(spec), "") if spec.name else ():
            found.setdefault((file, spec.name or ""), []).append(number)
    return found


def _find(
    spec: ContainerSpec,
    dependency: Dependency,
    specs: collections.abc.Sequence[ContainerSpec],
    named: dict[tuple[str, str], list[int]],
) -> tuple[int | None, str]:
    """(the index of what DEPENDENCY of SPEC is on, "") or (None, why there is none)."""
    near = named.get((_file(spec), dependency.name)) or named.get(("", dependency.name), [])
    fitting = [number for number in near if _agree(spec, specs[number])]
    if len(fitting) == 1:
        return fitting[0], ""
    if fitting:
        return None, f"there are {len(fitting)} containers called {dependency.name!r}"
    return None, _unknown(dependency.name, [other.name for other in specs if other.name])


def _unknown(name: str, known: collections.abc.Iterable[str]) -> str:
    meant = nearest(name, known)
    return f"there is no container called {name!r}" + (f"; did you mean {meant!r}?" if meant else "")


def unknown_names(
    dependencies: collections.abc.Iterable[Dependency], names: collections.abc.Collection[str]
) -> collections.abc.Iterator[str]:
    """A line for each of DEPENDENCIES, all with their files, that is required and on none of NAMES."""
    for each in dependencies:
        if each.required and each.name not in names:
            yield f"{each.file}:{each.line}:{each.column}: {_unknown(each.name, names)}"


def _agree(one: ContainerSpec, other: ContainerSpec) -> bool:
    """Whether the variables that both have from a `matrix` have the same values."""
    return all(one.matrix[name] == value for name, value in other.matrix.items() if name in one.matrix)


def _endless(
    specs: collections.abc.Sequence[ContainerSpec], found: list[tuple[Link, ...]]
) -> collections.abc.Iterator[str]:
    """A line for the first circle, with which nothing can begin, or for the first chain that is too long."""
    lengths: dict[int, int] = {}
    for start, spec in enumerate(specs):
        path = _path_back(start, found, lengths)
        if path:
            dependency = next(link.dependency for link in found[path[-2]] if link.on == path[-1])
            names = " -> ".join(str(specs[number].name or specs[number].origin) for number in path)
            yield f"{place(specs[path[-2]], dependency)}: a circle: {names}"
            return
        if lengths[start] > CHAIN_LIMIT:
            chain = f"a chain of more than {CHAIN_LIMIT} containers that depend on others"
            yield f"{place(spec, spec.depends_on[0])}: {chain}"
            return


def _path_back(start: int, found: list[tuple[Link, ...]], lengths: dict[int, int]) -> list[int]:
    """A way from some spec, reached from START, back to it; empty if there is none.

    What has none gets into LENGTHS: how many specs, one needing the next, begin with it.
    """
    path: list[int] = []
    stack = [(start, False)]
    while stack:
        number, left = stack.pop()
        if left:
            lengths[path.pop()] = 1 + max((lengths[link.on] for link in found[number]), default=0)
        elif number in path:
            return [*path[path.index(number) :], number]
        elif number not in lengths:
            path.append(number)
            stack += [(number, True), *((link.on, False) for link in found[number])]
    return []
