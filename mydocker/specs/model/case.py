"""CaseSpec: a container of a spec file, and how it takes part where several run.

That is the batch of `mydocker test`, or the sequence of `mydocker up`. A command line describes a container alone.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.errors import Origin, Problem
    from mydocker.specs.model import ContainerSpec
    from mydocker.specs.model.build import Build
    from mydocker.specs.model.expect import Expect
    from mydocker.specs.model.parts import Dependency, Service


class CaseSpec(Record):
    """`container` is what to run; everything else is for whoever runs it together with others, or judges it."""

    container: ContainerSpec
    build: Build | None = None  # how its image is built
    depends_on: tuple[Dependency, ...] = ()
    on_project: tuple[Dependency, ...] = ()  # those on services of a project that is up already
    service: Service | None = None  # of a Compose file or a Quadlet; None: of a file of mydocker's own form
    profiles: tuple[str, ...] = ()  # takes part if one of these is active; (): always
    expect: Expect | None = None  # what `mydocker test` checks
    tags: tuple[str, ...] = ()
    skip: str | None = None  # why a batch does not run it
    retries: int = 0  # how often a batch runs it again if it does not pass
    absent: tuple[Problem, ...] = ()  # what this machine lacks for it, such as a file of variables
    matrix: Mapping[str, str] = {}  # the matrix variables that distinguish it from the other specs of its document

    @property
    def name(self) -> str | None:
        return self.container.name

    @property
    def within(self) -> float | None:
        """Seconds within which what it expects of a running container must hold; None: nothing of that kind."""
        return self.expect.within if self.expect else None

    @property
    def origin(self) -> Origin:
        """Where its document begins."""
        return self.container.origin
