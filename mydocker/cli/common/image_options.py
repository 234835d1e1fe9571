"""--frozen, --offline and --lock-file: where images may come from, the same for run, up, test and pull."""

from __future__ import annotations

import os

from mydocker.errors import ImageNotFoundError, Problem, SpecError, UsageError
from mydocker.image.lock_file import NAME, pinned, read
from mydocker.record import TYPE_CHECKING
from mydocker.reference import Platform

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from mydocker.specs.model import ContainerSpec
    from mydocker.specs.model.case import CaseSpec


def add_supply(parser: argparse.ArgumentParser) -> None:
    """The options of a command that takes spec files."""
    parser.add_argument("--frozen", action="store_true", help="use the images of the lock file, and no others")
    parser.add_argument(
        "--offline", action="store_true", help="use no registry: an image that the store lacks is an error"
    )
    parser.add_argument("--lock-file", metavar="FILE", default=NAME, help=f"the lock file (default: {NAME})")


def supplied(
    specs: Sequence[ContainerSpec], *, frozen: bool, offline: bool, lock_file: str = NAME
) -> list[ContainerSpec]:
    """SPECS with their images as these options require. Raises SpecError with all images that the lock file lacks."""
    lock = read(lock_file) if frozen else None
    found, problems = [], []
    for spec in specs:
        if lock and spec.image:
            try:
                image = pinned(lock, spec.image, spec.platform or Platform.host(), environ=os.environ)
            except ImageNotFoundError as error:
                problems.append(Problem(origin=spec.origin, message=f"{error.message}; {error.hint}"))
                continue
            spec = spec.replace(image=image)
        found.append(spec.replace(pull_policy=_offline(spec)) if offline else spec)
    if problems:
        raise SpecError(problems)
    return found


def supplied_cases(cases: Sequence[CaseSpec], *, frozen: bool, offline: bool, lock_file: str = NAME) -> list[CaseSpec]:
    """The same for the containers of CASES. No lock file has images that are built."""
    pulled = [case for case in cases if not case.build]
    made = [case for case in cases if case.build]
    locked = supplied([case.container for case in pulled], frozen=frozen, offline=offline, lock_file=lock_file)
    others = supplied([case.container for case in made], frozen=False, offline=offline)
    found = {id(case): container for case, container in zip((*pulled, *made), (*locked, *others), strict=True)}
    return [case.replace(container=found[id(case)]) for case in cases]


def _offline(spec: ContainerSpec) -> str:
    if spec.pull_policy == "always":
        raise UsageError(f"{spec.origin}: it is to be pulled always, which --offline rules out")
    return "build" if spec.pull_policy == "build" else "never"
