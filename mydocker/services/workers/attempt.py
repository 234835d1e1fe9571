"""One attempt at a case: its worker, what has been received from it, and, where it is watched, whether its time has
come.

With `within`, the expectations that can come true while a container runs are judged again and again, as soon as it
runs; once they hold, or the time has passed, it is stopped, and soon after that killed.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from mydocker.kernel.processes import has_ended
from mydocker.kernel.signals import send, signal
from mydocker.message import decode
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.command.outcome import Outcome
from mydocker.services.case import Case
from mydocker.services.workers.messages import (
    REPORTS,
    ContainerEnded,
    Failed,
    ImageMetadata,
    Inspected,
    Kept,
    Observed,
    PreStopEnded,
    Pulling,
    PullWarning,
    WatcherEnded,
    WatcherStarted,
)
from mydocker.services.workers.worker import KEEP_IT
from mydocker.verdict.finding import Failure, Finding
from mydocker.verdict.judge import UnjudgedError, unmet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from mydocker.record import Record
    from mydocker.services.workers.worker import Worker

KEPT = 8 << 20  # bytes of each output
INSIST = 0.1  # seconds after which a container that was stopped is stopped again, and so killed (supervise.py)
LAST_RESORT = 3.0  # seconds after which a worker that an ended batch has stopped is killed
CLEARING = 60.0  # the same for one whose container was started, which may have much to inspect and clear away
STUCK = 2.0  # seconds after which one that was killed and does not end, in the kernel, is waited for no more
COURTESY = 1.0  # seconds between stopping a container whose expectations hold, and killing it
_CHUNK = 1 << 16


class Attempt:
    """One attempt at CASE. `live` are the failures of the expectations that were watched; None if they were not.

    A `service` is not stopped before it is released. `within`: what is expected is judged while it runs, for so many
    seconds; None: it is not. `kept`: bytes of each output, of which more is dropped.
    """

    def __init__(
        self,
        case: Case,
        worker: Worker,
        *,
        attempt: int,
        slot: int = 0,
        kept: int = KEPT,
        service: bool = False,
        within: float | None = None,
    ) -> None:
        self.case, self.worker, self.attempt, self.slot, self.kept = case, worker, attempt, slot, kept
        self.service, self.held, self.within = service, service, within
        self.alone = True  # whether nothing else ran meanwhile
        self.crowded = False  # whether the host had no process or descriptor left meanwhile
        self.stop_requested = self.parting = False  # the latter: the commands of `pre_stop` are executed before
        self.kill_at: float | None = None  # when its worker is killed, if it has not ended by then
        self.killed = False
        self.began = time.monotonic()
        pipes = (worker.stdout, worker.stderr, worker.finding)
        self.received = {descriptor: bytearray() for descriptor in pipes if descriptor >= 0}
        self.decision = worker.decision
        self.watcher = 0  # its pid, until there is a pidfd
        self.watching = -1  # that pidfd
        self.cut: list[int] = []
        self.due: float | None = None  # when the time is over; then, when to insist
        self.live: tuple[Failure, ...] | None = None
        self.unjudged = ""  # why there is no verdict on what was watched
        self.news = False
        self.over = False  # the finding has ended, so all is cleared away
        self.outcome: Outcome | None = None
        self.failure: Failed | None = None  # why it never ran
        self.metadata: dict[str, Any] = {}
        self.facts: dict[str, Any] = {}  # what was inspected after its end
        self.seen: dict[str, Any] = {}  # by the watcher, while the container runs
        self.watched = False  # the watcher has ended normally
        self.image = ""  # the one that is being pulled
        self.warnings: list[str] = []
        self.storage = Kept()
        self.has_ended = False  # it has been inspected, too, though perhaps it is not cleared away

    def receive(self, descriptor: int) -> bool:
        """Take what has come; False at the end, or when nothing more is there."""
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        room = self.kept - len(self.received[descriptor])
        if descriptor != self.worker.finding and len(data) > room:
            self.cut.append(descriptor)
            data, more = data[:room], True
        else:
            more = bool(data)
        self.received[descriptor] += data
        if descriptor == self.worker.finding:
            self.over = not data
            self._understand()
        self.news = True
        return more

    def _understand(self) -> None:
        """Take the whole lines of the finding."""
        *lines, rest = bytes(self.received[self.worker.finding]).split(b"\n")
        self.received[self.worker.finding][:] = rest
        for line in lines:
            message = decode(line, *REPORTS)
            if message:  # else the watcher was killed in the middle of a line
                self._take(message)
        watcher, self.watcher = self.watcher, 0
        if watcher:
            try:
                self._watch_over(os.pidfd_open(watcher))
            except OSError:  # it has ended already, or there is no descriptor left
                self._miss_watcher()

    def _watch_over(self, pidfd: int) -> None:
        """PIDFD is of the watcher. After a restart it takes the number of the one before, which may be polled."""
        if self.watching < 0:
            self.watching = pidfd
        else:
            os.dup2(pidfd, self.watching, inheritable=False)
            os.close(pidfd)

    def _take(self, message: Record) -> None:
        match message:
            case Outcome():
                self.outcome = message
            case Failed():
                self.failure = message
            case Pulling():
                self.image = message.image
            case PullWarning():
                self.warnings.append(message.text)
            case ImageMetadata():
                self.metadata = message.metadata
            case Inspected():
                self.facts = message.facts
            case ContainerEnded():
                self.has_ended = True
            case Kept():
                self.storage = message
            case _:
                self._take_from_watcher(message)

    def _take_from_watcher(self, message: Record) -> None:
        match message:
            case WatcherStarted():
                self.watcher, self.watched = message.pid, False
            case Observed():
                self.seen.update(message.facts)
            case PreStopEnded():
                if message.failure:
                    self.warnings.append(f"warning: {self.case.title}: {message.failure}")
                self._go_on_to_stop()
            case WatcherEnded():
                self.watched = True
                if message.failure and not self.unjudged:
                    self._give_up(message.failure)
                self._go_on_to_stop()

    def end_of_watcher(self) -> bool:
        """The watcher may have ended; False if it has not: another one has begun meanwhile. The worker reports before
        that it is not needed any more; else it was killed."""
        if not has_ended(self.watching):
            return False
        self._miss_watcher()
        return True

    def _miss_watcher(self) -> None:
        while self.receive(self.worker.finding):
            pass
        if not self.watched and not self.unjudged and not self.over:
            self._give_up("the watcher of the container was killed")

    def _give_up(self, why: str) -> None:
        """Nothing more will be observed of it; who waits for it, as for a service, is not to wait for ever."""
        self.unjudged, self.live, self.held, self.parting = why, (), False, False
        self._request_stop()

    @property
    def awaits_decision(self) -> bool:
        """Whether the worker waits to learn if it is to keep what its container wrote."""
        return self.decision >= 0 and self.outcome is not None

    @property
    def pulling(self) -> str:
        """The image that is pulled for it now, or nothing."""
        return "" if "began" in self.seen or self.outcome else self.image

    @property
    def has_reported_all(self) -> bool:
        """False of a worker that is dying: its pipes end before its death is noticed."""
        return self.outcome is not None or self.failure is not None

    def preview(self) -> Finding:
        """What will have been found, of a worker that awaits the decision: its container has ended, and has written all
        it will."""
        for descriptor in (self.worker.stdout, self.worker.stderr):
            while self.receive(descriptor):
                pass
        return self._found(self._lasting_facts())

    def _lasting_facts(self) -> dict[str, Any]:
        """What is still a fact after its end: what was inspected then, and the results of commands meanwhile."""
        executed = {name: facts for name, facts in self.seen.items() if name.startswith("exec ")}
        return {**executed, **self.facts}

    def decide(self, *, keep: bool) -> None:
        """Let the worker go on."""
        if keep:
            with suppress(BrokenPipeError):
                os.write(self.decision, KEEP_IT)
        os.close(self.decision)
        self.decision = -1

    def watch(self) -> None:
        """Judge what can be judged while it runs, if there is news or the time is over; act on it."""
        if not (self.news or self.patience() == 0):
            return
        self.news = False
        if self.stop_requested and self.patience() == 0:  # it did not end when it was stopped
            self.insist()
            self.due = time.monotonic() + INSIST
        elif self.within is not None and self.live is None:
            self._judge()

    def patience(self) -> float | None:
        """Seconds until something is due, if anything is."""
        return None if self.due is None else max(0.0, self.due - time.monotonic())

    def _judge(self) -> None:
        if "began" not in self.seen:  # the container is not there yet
            return
        if self.due is None:
            self.due = time.monotonic() + (self.within or 0)
        failures: tuple[Failure, ...] = ()
        try:
            failures = unmet(self.case.spec, self._found(self.seen))
        except UnjudgedError as error:
            self.unjudged = str(error)
        if not failures or self.patience() == 0:
            self.live, self.due = failures, None
            self._request_stop()

    def release(self) -> None:
        """No other needs it any more. Its own expectations still have their time."""
        if not self.held:
            return
        self.held = False
        if self.within is None or self.live is not None:
            self._request_stop()

    def insist(self) -> None:
        """Stop it once more, the second time of which its container is killed; in the end kill the worker, which
        may be stopped. Its cleanup process ends the container then."""
        self.killed = self.kill_at is not None and time.monotonic() >= self.kill_at
        send(self.worker.pidfd, signal.SIGKILL if self.killed else signal.SIGINT)

    def is_stuck(self) -> bool:
        """Whether its worker was killed and still holds its pipes, or another process does: it is waited for no
        more."""
        return self.killed and self.kill_at is not None and time.monotonic() > self.kill_at + STUCK

    def end_within(self, seconds: float) -> None:
        """After SECONDS, `insist` kills its worker."""
        until = time.monotonic() + seconds
        self.kill_at = until if self.kill_at is None else min(until, self.kill_at)

    def _request_stop(self) -> None:
        """Stop it, after the commands of `pre_stop`, which its watcher executes if it has begun and is watched."""
        if self.held or self.parting:
            return
        is_watched = "began" in self.seen and not self.unjudged
        if self.case.spec.container.pre_stop and is_watched and not has_ended(self.watching):
            self.parting = True
            send(self.watching, signal.SIGTERM)
        else:
            self._stop()

    def _go_on_to_stop(self) -> None:
        if self.parting:
            self.parting = False
            self._stop()

    def _stop(self) -> None:
        self.stop_requested = True
        self.end_within(CLEARING)
        self.due = time.monotonic() + COURTESY
        send(self.worker.pidfd, signal.SIGTERM)

    def finish(self) -> Finding:
        """What was found, after the end of a worker that ran this alone."""
        with suppress(ChildProcessError):  # this program has SIGCHLD ignored, or waits for all its children elsewhere
            os.waitpid(self.worker.pid, 0)
        os.close(self.worker.pidfd)
        return self.conclude()

    def conclude(self) -> Finding:
        """What was found, once all is cleared away."""
        for descriptor in self.received:
            while self.receive(descriptor):
                pass
            os.close(descriptor)
        if self.watching >= 0:
            os.close(self.watching)
        if self.decision >= 0:  # it has never awaited it
            self.decide(keep=False)
        finding = self._found(self._lasting_facts())
        if self.killed and not self.unjudged:
            self.unjudged = "its worker did not end when it was stopped, and was killed"
        if finding.outcome is None and not finding.problem:
            return finding.replace(problem="worker was killed before it reported a result")
        return finding

    def _found(self, facts: Mapping[str, Any]) -> Finding:
        """What is known by now, with FACTS."""
        failure = self.failure or Failed(kind="", hint="", message="")
        return Finding(
            problem=failure.message,
            hint=failure.hint,
            kind=failure.kind,
            exit_code=failure.exit_code,
            shortage=failure.shortage,
            kept=self.storage.name,
            not_kept=self.storage.lost,
            facts={**facts, "metadata": self.metadata} if self.metadata else {**facts},
            outcome=self.outcome,
            stdout=self.received.get(self.worker.stdout, b"").decode(errors="surrogateescape"),
            stderr=self.received.get(self.worker.stderr, b"").decode(errors="surrogateescape"),
            cut=tuple(name for name in ("stdout", "stderr") if getattr(self.worker, name) in self.cut),
            seconds=time.monotonic() - self.began,
        )
