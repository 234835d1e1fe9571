"""Several specs, run one after the other."""

from __future__ import annotations

from mydocker.errors import MydockerError, refused_by_host
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mydocker.runtime.plan import LaunchPlan
    from mydocker.spec.container import ContainerSpec


class Result(Record):
    """How one spec of a sequence ended: `outcome`, or the `error` for which its command never ran."""

    spec: ContainerSpec
    plan: LaunchPlan | None = None  # none if it could not be prepared
    outcome: Outcome | None = None
    error: MydockerError | None = None

    @property
    def status(self) -> int:
        """The exit code this spec alone would have given."""
        if self.outcome:
            return self.outcome.status
        return self.error.exit_code if self.error else 0


def run_in_order(
    specs: Iterable[ContainerSpec],
    *,
    prepare: Callable[[ContainerSpec], LaunchPlan],
    run: Callable[[LaunchPlan], Outcome],
    keep_going: bool,
) -> Iterator[Result]:
    """PREPARE and RUN each of SPECS and yield its result at once; the first that fails is the last, unless
    `keep_going`."""
    for spec in specs:
        plan = None
        try:
            plan = prepare(spec)
            result = Result(spec=spec, plan=plan, outcome=run(plan))
        except MydockerError as error:
            result = Result(spec=spec, plan=plan, error=error)
        except OSError as error:
            result = Result(spec=spec, plan=plan, error=refused_by_host(error))
        yield result
        if result.status and not keep_going:
            return
