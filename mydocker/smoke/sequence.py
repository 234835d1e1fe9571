"""Several specs, run one after the other."""

from __future__ import annotations

import time

from mydocker.errors import MydockerError, refused_by_host
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mydocker.runtime.plan import LaunchPlan
    from mydocker.spec.container import ContainerSpec

# seconds: as Docker waits (docker container run, "Restart policies")
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 60.0
LONG = 10.0  # a run that took longer is followed by the first pause again


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
    `keep_going`; so is one during which we were asked to end."""
    for spec in specs:
        result = _run_until_enough(spec, prepare, run)
        yield result
        if _was_stopped(result) or (result.status and not keep_going):
            return


def _run_until_enough(
    spec: ContainerSpec, prepare: Callable[[ContainerSpec], LaunchPlan], run: Callable[[LaunchPlan], Outcome]
) -> Result:
    """The last of the runs that the key `restart` of SPEC asks for, each in a new container. Between them is time, as
    for Docker: more after each that was short."""
    pause, left = FIRST_PAUSE, spec.restart
    while True:
        result = _run_once(spec, prepare, run)
        if not result.status or not left or result.outcome is None or _was_stopped(result):
            return result
        left -= 1
        pause = FIRST_PAUSE if result.outcome.wall > LONG else pause
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _run_once(
    spec: ContainerSpec, prepare: Callable[[ContainerSpec], LaunchPlan], run: Callable[[LaunchPlan], Outcome]
) -> Result:
    plan = None
    try:
        plan = prepare(spec)
        return Result(spec=spec, plan=plan, outcome=run(plan))
    except MydockerError as error:
        return Result(spec=spec, plan=plan, error=error)
    except OSError as error:
        return Result(spec=spec, plan=plan, error=refused_by_host(error))


def _was_stopped(result: Result) -> bool:
    return result.outcome is not None and result.outcome.stopped
