"""Projects: the services of Compose files or Quadlets, which run together in containers of their own."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.model.parts import COMPLETED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.specs.model import ContainerSpec
    from mydocker.specs.model.case import CaseSpec
    from mydocker.specs.model.conditions import Condition
    from mydocker.specs.model.parts import Dependency, HostCommands


class Project(Record):
    """`services` are all of its files, in their order; those whose profiles are not `active` take no part unless they
    are named."""

    name: str
    services: tuple[CaseSpec, ...]
    active: frozenset[str] = frozenset()


class Instance(Record):
    """One container of a service, the `number` of it, from 1. `spec` has the name of the container, `title` is what its
    lines of output begin with. One that `is_pod` ends after those that depend on it; it starts if its `conditions`
    hold."""

    service: str
    number: int
    title: str
    spec: ContainerSpec
    labels: Mapping[str, str]
    depends_on: tuple[Dependency, ...] = ()
    attach: bool = True
    is_pod: bool = False
    conditions: tuple[Condition, ...] = ()
    host_commands: HostCommands | None = None

    @property
    def name(self) -> str:
        """The container's name."""
        return self.spec.name or ""

    @property
    def bound_to(self) -> tuple[str, ...]:
        """The services with whose end it is stopped; not those that are to end before it starts."""
        return tuple(each.name for each in self.depends_on if each.bound and each.condition != COMPLETED)
