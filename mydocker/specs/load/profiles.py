"""Profiles: groups of containers that take part only when their profile is active. Compose, "Profiles"."""

from __future__ import annotations

import os

from mydocker.errors import Problem, SpecError
from mydocker.paths import absolute
from mydocker.record import TYPE_CHECKING
from mydocker.specs.load.files import scope_of
from mydocker.specs.model.dependencies import links, origin_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mydocker.specs.model.case import CaseSpec
    from mydocker.specs.model.parts import Dependency

VARIABLE = "COMPOSE_PROFILES"
ALL = "*"


def active_profiles(options: Iterable[str], environ: Mapping[str, str]) -> frozenset[str]:
    """The profiles of OPTIONS, from the command line, and of the environment; each may be several, joined by commas."""
    words = [word for text in (*options, environ.get(VARIABLE, "")) for word in text.split(",")]
    return frozenset(word.strip() for word in words if word.strip())


def profiles_of_env_files(files: Iterable[str], environ: Mapping[str, str]) -> frozenset[str]:
    """The profiles that the `.env` next to one of FILES sets, if the environment sets none."""
    if VARIABLE in environ:
        return frozenset()
    directories = {os.path.dirname(absolute(path)): path for path in files if path != "-"}
    found = (scope_of(path, environ).environ for path in directories.values())
    return frozenset().union(*(active_profiles((), environ) for environ in found))


def take_part(spec: CaseSpec, active: frozenset[str]) -> bool:
    """Whether SPEC takes part with the profiles ACTIVE. As in Compose, an empty one is active where no other is."""
    if not active and "" in spec.profiles:
        return True
    return not spec.profiles or ALL in active or bool(active.intersection(spec.profiles))


def select(specs: Sequence[CaseSpec], active: frozenset[str]) -> list[CaseSpec]:
    """Those of SPECS that take part with the profiles ACTIVE. Raises SpecError if one depends on one that does not, or
    two services have one container_name."""
    kept = reduce(specs, [take_part(spec, active) for spec in specs])
    if problems := [*_same_names(kept)]:
        raise SpecError(problems)
    return kept


def reduce(specs: Sequence[CaseSpec], taking: Sequence[bool]) -> list[CaseSpec]:
    """Return those of SPECS that are TAKING part. Raises SpecError if one of them depends on one that does not.

    A dependency that is not required, and takes no part, is left out.
    """
    kept, problems = [], []
    for spec, own, takes in zip(specs, links(specs), taking, strict=True):
        absent = [link for link in own if takes and not taking[link.on]]
        for link in absent:
            if link.dependency.required:
                problems.append(_problem(spec, specs[link.on], link.dependency))
        gone = [link.dependency for link in absent]
        if takes:
            kept.append(spec.replace(depends_on=tuple(each for each in spec.depends_on if each not in gone)))
    if problems:
        raise SpecError(problems)
    return kept


def _same_names(specs: Iterable[CaseSpec]) -> Iterator[Problem]:
    taken: dict[tuple[str, str], str] = {}
    for spec in specs:
        service = spec.service
        if service is None or (name := service.container_name) is None:
            continue
        if (other := taken.setdefault((service.project, name), service.name)) != service.name:
            message = f"container_name {name!r} is also that of service {other!r}, whose profile is active too"
            yield Problem(origin=spec.origin, message=message)


def refuse_absent(specs: Sequence[CaseSpec]) -> None:
    """Raise SpecError if this machine lacks something for one of SPECS, which are to start, or two have one name."""
    if problems := [*(problem for spec in specs for problem in spec.absent), *_same_names(specs)]:
        raise SpecError(problems)


def why_none(specs: Iterable[CaseSpec], active: frozenset[str]) -> str:
    """Why none of SPECS, of which each has profiles, takes part with the profiles ACTIVE."""
    names = sorted({profile for spec in specs for profile in spec.profiles})
    condition = f"with --profile {' --profile '.join(sorted(active))}" if active else "without --profile"
    return f"no container takes part {condition}: the profiles are {', '.join(names)}"


def _problem(spec: CaseSpec, other: CaseSpec, dependency: Dependency) -> Problem:
    profiles = " or ".join(other.profiles)
    return Problem(
        origin=origin_of(spec, dependency), message=f"{other.name!r} takes part only with --profile {profiles}"
    )
