"""Networks of a batch: cases that need each other share those that their file defines, and no others are in them.

Two files may give the same name to different containers, and a batch may run twice at once: each network gets a name of
its own for each group of cases. One that has a subnet in its file keeps its name, as there is room for it once only.
"""

from __future__ import annotations

import os

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mydocker.services.case import Case
    from mydocker.specs.model.case import CaseSpec
    from mydocker.specs.model.parts import NetworkAttachment


def specs_apart(cases: Sequence[Case]) -> dict[int, CaseSpec]:
    """The specs of CASES by their numbers, in networks of their group's own."""
    groups = _groups(cases)
    return {case.number: _apart(case.spec, f"{os.getpid()}-{groups[case.number]}") for case in cases}


def _groups(cases: Sequence[Case]) -> dict[int, int]:
    """The group of each case by their numbers: the lowest number among those that it needs, or that need it."""
    group = {case.number: case.number for case in cases}
    numbers = {case.key: case.number for case in cases}  # what a case needs was numbered before some were chosen

    def first(number: int) -> int:
        while group[number] != number:
            number = group[number]
        return number

    for case in cases:
        for need in case.needs:
            one, other = sorted((first(case.number), first(numbers[need.case.key])))
            group[other] = one
    return {number: first(number) for number in group}


def _apart(spec: CaseSpec, mark: str) -> CaseSpec:
    networks = tuple(_renamed(each, mark) for each in spec.container.networks)
    return spec.replace(container=spec.container.replace(networks=networks)) if networks else spec


def _renamed(attachment: NetworkAttachment, mark: str) -> NetworkAttachment:
    definition = attachment.definition
    if definition is None or definition.external or definition.subnet or definition.subnet6:
        return attachment
    return attachment.replace(name=f"{attachment.name}-{mark}")
