"""Several specs, run one after the other; those that others need, meanwhile."""

from __future__ import annotations

import time

from mydocker.errors import LaunchError, MydockerError, refused_by_host
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.command.outcome import Outcome
from mydocker.services.background import Services
from mydocker.services.case import Case, JudgedCase, cases_of
from mydocker.services.restarts import Restarts
from mydocker.services.schedule import Schedule
from mydocker.verdict.finding import PASSED, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mydocker.runtime.plan import LaunchPlan
    from mydocker.specs.model import ContainerSpec
    from mydocker.specs.model.case import CaseSpec


class SpecRun(Record):
    """How one spec of a sequence ended: `outcome`, or the `error` for which its command never ran."""

    spec: ContainerSpec
    plan: LaunchPlan | None = None  # none if it could not be prepared
    outcome: Outcome | None = None
    error: MydockerError | None = None
    released: bool = False  # it ran for others, and was stopped when no other needed it any more

    @property
    def status(self) -> int:
        """The exit code of this spec alone."""
        if self.outcome:
            return 0 if self.released else self.outcome.status
        return self.error.exit_code if self.error else 0

    @property
    def was_stopped(self) -> bool:
        """Whether a signal ended mydocker while it ran."""
        return self.outcome is not None and self.outcome.stopped and not self.released


class ContainerSequence:
    """The containers of several specs, and how each of them is run: PREPARE makes its plan, RUN carries it out.

    `mydocker up` judges nothing and skips nothing: what a batch is to do with a case is ignored.
    """

    def __init__(
        self,
        specs: Sequence[CaseSpec],
        *,
        prepare: Callable[[ContainerSpec], LaunchPlan],
        run: Callable[[LaunchPlan], Outcome],
        environ: Mapping[str, str],
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        """WARN gets warnings. Raises SpecError for what cannot be done."""
        self.cases = cases_of(specs)
        self.prepare, self.run, self.environ, self.warn = prepare, run, environ, warn
        self.schedule = Schedule(self.cases)

    def results(self, *, keep_going: bool) -> Iterator[SpecRun]:
        """Run all, one after the other but for those that others need, and yield each result at once; the first that
        fails is the last, unless `keep_going`; so is one during which a signal ended mydocker."""
        with Services(environ=self.environ, warn=self.warn) as services:
            yield from self._until_enough(services, keep_going=keep_going)
            for run in reversed([*services.running.values()]):
                yield self._conclude(run.case, services.stop(run.case.key))

    def _until_enough(self, services: Services, *, keep_going: bool) -> Iterator[SpecRun]:
        while self.schedule.waiting or services.running:
            for result in self._round(services):
                yield result
                if result.was_stopped or (result.status and not keep_going):
                    return

    def _round(self, services: Services) -> Iterator[SpecRun]:
        """What can be done now, or else the news that come."""
        self.schedule.see({run.case.number: run.seen for run in services.running.values()})
        for refused in self.schedule.hopeless():
            yield SpecRun(spec=refused.case.spec.container, error=LaunchError(refused.reason))
        begun = False
        for case, _ in self.schedule.take(slots=1):
            begun = True
            if self.schedule.is_service(case):
                yield from self._begin(case, services)
            else:
                result = _run_until_enough(case.spec, self.prepare, self.run)
                self._conclude(case, Finding(outcome=result.outcome))
                yield result
        released = [run.case for run in services.running.values() if self.schedule.is_released(run.case)]
        for case in released:
            yield self._conclude(case, services.stop(case.key))
        if services.running and not begun and not released:
            for case, finding in services.wait():
                yield self._conclude(case, finding)

    def _begin(self, case: Case, services: Services) -> Iterator[SpecRun]:
        try:
            self.prepare(case.spec.container)  # what must be pulled is pulled where progress is shown
        except MydockerError as error:
            self._conclude(case, Finding(problem=error.message))
            yield SpecRun(spec=case.spec.container, error=error)
            return
        services.begin(case, health=self.schedule.needs_health(case))

    def _conclude(self, case: Case, finding: Finding) -> SpecRun:
        self.schedule.conclude(JudgedCase(case=case, verdict=PASSED, finding=finding))
        error = None if finding.outcome else LaunchError(finding.problem, hint=finding.hint or None)
        released = finding.outcome is not None and finding.outcome.stopped
        return SpecRun(spec=case.spec.container, outcome=finding.outcome, error=error, released=released)


def _run_until_enough(
    spec: CaseSpec, prepare: Callable[[ContainerSpec], LaunchPlan], run: Callable[[LaunchPlan], Outcome]
) -> SpecRun:
    """The last of the runs that the restart policy of SPEC allows, each in a new container."""
    restarts = Restarts(spec.container.restart)
    while True:
        result = _run_once(spec.container, prepare, run)
        if result.outcome is None or result.was_stopped:
            return result
        pause = restarts.pause(status=result.status, seconds=result.outcome.wall)
        if pause is None:
            return result
        time.sleep(pause)


def _run_once(
    spec: ContainerSpec, prepare: Callable[[ContainerSpec], LaunchPlan], run: Callable[[LaunchPlan], Outcome]
) -> SpecRun:
    plan = None
    try:
        plan = prepare(spec)
        return SpecRun(spec=spec, plan=plan, outcome=run(plan))
    except MydockerError as error:
        return SpecRun(spec=spec, plan=plan, error=error)
    except OSError as error:
        return SpecRun(spec=spec, plan=plan, error=refused_by_host(error))
