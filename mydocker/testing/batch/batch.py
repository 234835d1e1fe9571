"""The batch: cases are run, several at once, by one process with one loop; results come in the order in which cases
end.

Each case has a worker while it runs; the loop reads their pipes and mydocker's signals. Nothing else is shared, so
outputs cannot mix. A signal that ends mydocker stops all workers, and what they had found is still reported.
"""

from __future__ import annotations

import itertools
import os
import select
import time
from collections import deque
from contextlib import nullcontext, suppress
from functools import partial

from mydocker.errors import HostError, refused_by_host
from mydocker.kernel.processes import LONGEST_WAIT
from mydocker.kernel.signals import STOPPING, Signals, send, signal
from mydocker.record import TYPE_CHECKING, Record
from mydocker.services.case import Case, JudgedCase, Span
from mydocker.services.schedule import Schedule
from mydocker.services.workers.attempt import INSIST, LAST_RESORT, Attempt
from mydocker.services.workers.worker import Role, is_shortage
from mydocker.testing.batch.networks import specs_apart
from mydocker.testing.batch.pool import WorkerPool
from mydocker.verdict.finding import ERROR, FAILED, SKIPPED, Finding
from mydocker.verdict.judge import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from mydocker.testing.batch.spawner import Spawner

INTERRUPTED = "interrupted"
DESCRIPTORS = 8  # of the batch for a container, at most
KEPT_EARLIER = 1 << 16  # characters of an output of an attempt that is followed by another
KEPT_BACK = 32  # descriptors for all else
# for a container, at most: its worker, cleanup process, watcher and PID 1, and a few for what runs in it
PROCESSES = 7
WAIT, WAITS = 0.05, 20  # seconds, and how often, until the host has room again for what has ended


class Limits(Record):
    """How a batch goes: at most `jobs` containers at once; `max_failures`, after which no more is begun; seconds for
    all.

    With `keep`, what a container wrote that failed is kept; with `publish`, ports are published on the host.
    """

    jobs: int = 1
    max_failures: int | None = None
    timeout: float | None = None
    keep: bool = False
    publish: bool = False


class Batch:
    """The cases that wait, those that run, and why no more are begun, if so."""

    def __init__(
        self,
        cases: Sequence[Case],
        *,
        limits: Limits,
        spawner: Spawner,
        refused: Mapping[int, str] = {},
        follow: Callable[[int, int, list[str], list[str]], None] | None = None,
        warn: Callable[[str], None] = lambda words: None,
    ) -> None:
        """SPAWNER starts its workers. REFUSED: why a case cannot run, by its number. FOLLOW is called with how many are
        done, how many there are, the titles of those that run, and what is pulled for them; WARN with each warning of a
        pull, as often as there is one."""
        skipped = {case.number: case.spec.skip for case in cases if case.spec.skip}
        self.schedule = Schedule(cases, skipped=skipped, refused=refused)
        self.cases, self.total, self.follow, self.warn = cases, len(cases), follow, warn
        self.limits = limits
        self.slots = max(1, min(limits.jobs, _room() - self.schedule.services))  # services have slots besides
        self.pool = WorkerPool(
            specs_apart(cases),
            spawner=spawner,
            keep=limits.keep,
            follow=follow is not None,
            publish=limits.publish,
        )
        self.running: dict[int, Attempt] = {}  # by pidfd
        self.waits = WAITS  # how often a case may still be put back that cannot begin though nothing else runs
        self.spans: dict[int, list[Span]] = {}  # by the number of the case
        self.earlier: dict[int, list[JudgedCase]] = {}  # the same
        self.poll = select.poll()
        self.actions: dict[int, Callable[[], None]] = {}
        self.ready: deque[JudgedCase] = deque()
        self.stopped = ""  # why no more are begun
        self.ending = False  # whether those that run are to end as well
        self.bad = 0
        self.began = time.monotonic()

    def results(self) -> Iterator[JudgedCase]:
        """Run all; each result as soon as it is there. Abandoning the iterator kills what runs."""
        with Signals() as signals, _held(self.cases):
            self._on(signals.descriptor, lambda: self._take_signal(signals))
            try:
                while self.schedule.waiting or self.running:
                    self._begin_more()
                    self._release()
                    self._report_progress()
                    if self.running:
                        self._turn()
                    while self.ready:
                        yield self.ready.popleft()
            finally:
                for run in self.running.values():
                    send(run.worker.pidfd, signal.SIGKILL)
                self.pool.end()

    def _begin_more(self) -> None:
        while self.schedule.waiting and self.stopped:
            case, attempt = self.schedule.drop()
            verdict = ERROR if self.ending and attempt > 1 else SKIPPED  # it has run, and not passed
            reason = f"not run{' again' * (attempt > 1)}: {self.stopped}"
            result = JudgedCase(case=case, verdict=verdict, reason=reason, attempts=attempt - 1, unbegun=attempt == 1)
            cut_short = self.ending and attempt > 1
            self._conclude(result.replace(earlier=self._earlier(case), cut_short=cut_short))
        self.schedule.see({run.case.number: run.seen for run in self.running.values()})
        for result in self.schedule.hopeless():
            self._conclude(result)
        for case, attempt in self.schedule.take(slots=self.slots - self._taken()):
            self._begin(case, attempt)

    def _report_progress(self) -> None:
        if self.follow:
            runs = [*self.running.values()]
            pulled = dict.fromkeys(run.pulling for run in runs if run.pulling)
            done = self.total - len(self.schedule.waiting) - len(runs)
            self.follow(done, self.total, [run.case.title for run in runs], [*pulled])

    def _taken(self) -> int:
        """How many slots are taken. A container that has ended is cleared away while the next begins, one at a time,
        unless it depends on what is found of it whether there is a next."""
        mine = [run for run in self.running.values() if not run.service]
        waits = self.limits.max_failures is not None or self.limits.keep
        return len(mine) - (0 if waits else min(1, sum(run.has_ended for run in mine)))

    def _begin(self, case: Case, attempt: int) -> None:
        service = self.schedule.is_service(case)
        role = Role(service=service, health=self.schedule.needs_health(case))
        try:
            worker = self.pool.start(case.number, role=role)
        except OSError as error:
            refusal = refused_by_host(error)
            finding = Finding(problem=refusal.message, hint=refusal.hint or "", kind=HostError.__name__)
            if not (is_shortage(error) and self._try_again(case, attempt, alone=not self.running)):
                self._conclude(JudgedCase(case=case, verdict=ERROR, reason=finding.complaint, finding=finding))
            return
        slot = self._free_slot(service=service)
        run = Attempt(case, worker, attempt=attempt, slot=slot, service=service, within=case.spec.within)
        run.alone = not self.running
        for other in self.running.values():
            other.alone = False
        self.running[run.worker.pidfd] = run
        for descriptor in run.received:
            self._on(descriptor, partial(self._receive, run, descriptor))

    def _try_again(self, case: Case, attempt: int, *, alone: bool) -> bool:
        return self._try_with_fewer(case, attempt, alone=alone) or self._wait_for_room(case, attempt)

    def _try_with_fewer(self, case: Case, attempt: int, *, alone: bool) -> bool:
        """Put CASE back, for which the host had no process or descriptor left, and have fewer at once from now on.

        False if there can be no fewer: it was ALONE, or no other but services runs, which go on.
        """
        self.pool.end()
        mine = sum(not run.service for run in self.running.values())
        if self.stopped or alone or (self.slots == 1 and not mine):
            return False
        for run in self.running.values():
            run.crowded = True
        self.slots = max(1, min(self.slots - 1, mine // 2))  # so that some are left for what runs in the containers
        self.schedule.take_back(case, attempt)
        return True

    def _wait_for_room(self, case: Case, attempt: int) -> bool:
        """Put CASE back, which could not begin though nothing else runs, as long as processes that were killed may
        still be counted; False once they have had their time."""
        if self.running or self.stopped or not self.waits:
            return False
        self.waits -= 1
        time.sleep(WAIT)
        self.schedule.take_back(case, attempt)
        return True

    def _release(self) -> None:
        for run in self.running.values():
            if run.service and self.schedule.is_released(run.case):
                run.release()

    def _conclude(self, result: JudgedCase) -> None:
        self.schedule.conclude(result)
        self.ready.append(result)
        self.bad += result.verdict in (FAILED, ERROR)
        if self.limits.max_failures and self.bad >= self.limits.max_failures and not self.stopped:
            self.stopped = f"{self.bad} had failed"

    def _free_slot(self, *, service: bool) -> int:
        """Services have separate slots, after those of the others."""
        taken = {run.slot for run in self.running.values() if not run.has_ended}
        return next(slot for slot in itertools.count(self.slots if service else 0) if slot not in taken)

    def _on(self, descriptor: int, action: Callable[[], None]) -> None:
        self.actions[descriptor] = action
        self.poll.register(descriptor, select.POLLIN)

    def _forget(self, descriptor: int) -> None:
        if self.actions.pop(descriptor, None):
            self.poll.unregister(descriptor)

    def _turn(self) -> None:
        polled = {**self.actions}
        for descriptor, _ in self.poll.poll(self._patience()):
            # an earlier action of this turn may have forgotten it, and its number be that of another descriptor by now
            if descriptor in self.actions and self.actions[descriptor] is polled[descriptor]:
                self.actions[descriptor]()
        if self.limits.timeout is not None and not self.stopped and self._left() <= 0:
            self._stop(f"the batch was over its {self.limits.timeout:g} s")
        elif self.ending:
            self._request_stops()
        for run in [*self.running.values()]:
            run.watch()
            if run.is_stuck():
                self._end(run)

    def _left(self) -> float:
        return (self.limits.timeout or 0) - (time.monotonic() - self.began)

    def _patience(self) -> float | None:
        """Milliseconds until something is due."""
        due = [seconds for run in self.running.values() if (seconds := run.patience()) is not None]
        if self.ending:
            due.append(INSIST)
        elif self.limits.timeout is not None:
            due.append(self._left())
        return min(max(0.0, min(due)) * 1000 + 1, LONGEST_WAIT) if due else None

    def _receive(self, run: Attempt, descriptor: int) -> None:
        if not run.receive(descriptor):
            self._forget(descriptor)
        if run.watching >= 0 and run.watching not in self.actions:
            self._on(run.watching, partial(self._end_of_watcher, run))
        if run.over:
            self._end(run)
        elif run.awaits_decision:
            run.decide(keep=not self.ending and self._is_lost(run))

    def _end_of_watcher(self, run: Attempt) -> None:
        if run.end_of_watcher():
            self._forget(run.watching)

    def _is_lost(self, run: Attempt) -> bool:
        """Whether this attempt has failed, and is the last."""
        if self._has_tries_left(run):
            return False
        return judge(run.case.spec, run.preview(), live=run.live, stopped=run.stop_requested).verdict == FAILED

    def _has_tries_left(self, run: Attempt) -> bool:
        return run.attempt <= run.case.spec.retries and not run.service and not self.stopped

    def _end(self, run: Attempt) -> None:
        for descriptor in (*run.received, run.watching):
            self._forget(descriptor)
        del self.running[run.worker.pidfd]
        finding = run.conclude()
        for text in run.warnings:
            self.warn(text)
        self.pool.take_back(run.worker, reusable=run.has_reported_all and not (run.stop_requested or self.ending))
        if finding.shortage and not run.stop_requested and self._try_again(run.case, run.attempt, alone=run.alone):
            return
        if why := "; ".join(filter(None, [self.stopped if self.ending else "", run.unjudged])):
            result = JudgedCase(case=run.case, verdict=ERROR, reason=why, finding=finding, attempts=run.attempt)
            result = result.replace(cut_short=self.ending)
        else:
            result = _judged(run, finding)
        spans = self.spans.setdefault(run.case.number, [])
        spans.append(Span(slot=run.slot, began=run.began - self.began, seconds=finding.seconds))
        if result.verdict in (FAILED, ERROR) and self._has_tries_left(run):
            self.earlier.setdefault(run.case.number, []).append(_shortened(result))
            self.schedule.take_back(run.case, run.attempt + 1)
            return
        if result.verdict in (FAILED, ERROR) and run.crowded and not run.stop_requested and not self.stopped:
            self.schedule.take_back(run.case, run.attempt)  # the host may have had no process left for it
            return
        self.waits = WAITS
        self._conclude(result.replace(spans=tuple(spans), earlier=self._earlier(run.case)))

    def _earlier(self, case: Case) -> tuple[JudgedCase, ...]:
        """The attempts that did not pass, and were followed by another."""
        return tuple(self.earlier.pop(case.number, ()))

    def _take_signal(self, signals: Signals) -> None:
        if signals.take() in STOPPING:
            self._stop(INTERRUPTED)

    def _stop(self, reason: str) -> None:
        self.stopped, self.ending = reason, True
        self._request_stops()

    def _request_stops(self) -> None:
        """The second time, the container is killed; a worker that has none yet ends the first time."""
        for run in self.running.values():
            run.end_within(LAST_RESORT)
            run.insist()


def _judged(run: Attempt, finding: Finding) -> JudgedCase:
    verdict = judge(run.case.spec, finding, live=run.live, stopped=run.stop_requested)
    return JudgedCase(case=run.case, finding=finding, attempts=run.attempt, **verdict.as_dict())


def _shortened(result: JudgedCase) -> JudgedCase:
    """RESULT of an attempt that is followed by another, with the ends of its outputs."""
    finding = result.finding
    ends = {name: getattr(finding, name)[-KEPT_EARLIER:] for name in ("stdout", "stderr")}
    return result.replace(finding=finding.replace(**ends, facts={}))


def _room() -> int:
    """How many containers there may be at once, as far as descriptors and processes go (getrlimit(2))."""
    room = (os.sysconf("SC_OPEN_MAX") - KEPT_BACK) // DESCRIPTORS
    limit = os.sysconf("SC_CHILD_MAX")  # RLIMIT_NPROC, of which root has no need
    if limit < 0 or os.geteuid() == 0:
        return room
    return min(room, (limit - _own_threads()) // PROCESSES)


def _own_threads() -> int:
    """How many threads of this user there are, which is what RLIMIT_NPROC counts."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):  # it has ended
                owner = os.stat(f"/proc/{name}").st_uid
                count += os.stat(f"/proc/{name}/task").st_nlink - 2 if owner == os.getuid() else 0
    return count


def exit_code(results: Sequence[JudgedCase], *, interrupted: bool) -> int:
    """0 all passed (or were skipped), 1 some failed, 3 some could not be judged or had no turn, 130 interrupted."""
    verdicts = {result.verdict for result in results}
    if interrupted:
        return 130
    unjudged = ERROR in verdicts or any(result.unbegun for result in results)
    return 1 if FAILED in verdicts else 3 if unjudged else 0


def _held(cases: Sequence[Case]) -> AbstractContextManager[None]:
    """What keeps the images of CASES that are files mounted meanwhile."""
    images = {case.spec.container.image for case in cases}
    if not any(image and image.is_file_system for image in images):
        return nullcontext()
    from mydocker.runtime.image_file import HeldImageFiles

    return HeldImageFiles(images)
