"""The results of a batch that an engine runs, as they come, from the files that its parts write.

The engine is only asked whether parts are still there: what has a verdict has it from its file, whatever the engine
calls the end of its job.
"""

from __future__ import annotations

import select
import time
from contextlib import suppress

from mydocker.errors import HostError, UsageError
from mydocker.kernel.signals import STOPPING, Signals, signal
from mydocker.record import TYPE_CHECKING
from mydocker.testing.engines.engine import Presence
from mydocker.testing.parts.merge import Merge
from mydocker.testing.parts.part import Part, cases_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mydocker.services.case import Case, JudgedCase
    from mydocker.testing.engines.directory import Directory
    from mydocker.testing.engines.engine import Engine
    from mydocker.testing.parts.merge import Merged

_LOOK = 0.2  # seconds between two looks at the files
_ASK_AGAIN = 1.0  # seconds between two questions to the engine, while a part that has not reported all seems to be gone
_TIMES = 3  # how often in succession a part must not be there
_SILENCE = 600.0  # seconds in which an engine may fail to answer
_ENDING = 120.0  # seconds that parts have to end in after they were requested to


class Following:
    """The batch of CASES, which ENGINE has begun in COUNT parts that write into DIRECTORY.

    WARN gets what people should know, PROGRESS how many cases have ended and what the parts do.
    """

    def __init__(
        self,
        engine: Engine,
        directory: Directory,
        cases: Sequence[Case],
        *,
        count: int,
        warn: Callable[[str], None],
        progress: Callable[[int, str], None] = lambda done, state: None,
    ) -> None:
        self.engine, self.directory, self.cases, self.warn, self.progress = engine, directory, cases, warn, progress
        self.merge = Merge(warn)
        self.merge.add(*directory.heading())
        self.awaited = numbers_of_parts(cases, count)  # by part, the cases of which it has reported no verdict
        # those of which it has reported nothing
        self.unreported = {part: {*numbers} for part, numbers in self.awaited.items()}
        self.absent = dict.fromkeys(self.awaited, 0)  # by part, how often in succession it was not there
        self.reasons: dict[int, str] = {}
        self.done: set[int] = set()
        self.shown: dict[int, str] = {}  # by number, the verdict
        self.stopped = self.left = False  # by a signal: the parts were to end; or they were left to themselves
        self.deadline: float | None = None
        self.answered = time.monotonic()
        self.next = self.answered + engine.interval
        self.state, self.said = "", set[str]()

    def results(self) -> Iterator[JudgedCase]:
        """Results in the order of their cases, each as soon as all before it are there; in the end those for which that
        was never so, and again those that have another verdict by then. `merged` is the whole."""
        with Signals() as signals:
            poll = select.poll()
            poll.register(signals.descriptor, select.POLLIN)
            while True:
                self._read()
                if self._is_over():
                    break
                yield from self._ready()
                if time.monotonic() >= self.next:
                    self._ask()
                self.progress(len(self.done), self.state)
                if poll.poll(_LOOK * 1000):
                    self._take_signal(signals.take())
        self._conclude()
        for number, result in enumerate(self.merged.results):
            if self.shown.get(number) != result.verdict:
                yield result

    def _take_signal(self, number: int) -> None:
        if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:  # as nohup(1) has it
            return
        if number == signal.SIGHUP and self.engine.is_detached:  # the terminal is gone, which the parts do not need
            self.left = True
        elif number in STOPPING and self.stopped:
            self.deadline = 0.0
        elif number in STOPPING:
            self.stopped, self.deadline = True, time.monotonic() + _ENDING
            self.answered = self.next = time.monotonic()
            try:
                self.engine.stop()
            except HostError as error:
                self.warn(f"warning: {error.message}")

    def _read(self, *, torn: bool = False) -> None:
        for part, path, number, line in self.directory.new_lines(torn=torn):
            try:
                found = self.merge.add_line(path, number, line)
            except UsageError:
                self.reasons[part] = (
                    f"part {part} has run another batch: the spec files, or what they use, differ there"
                )
                continue
            if found and found.place.number in self.awaited.get(part, ()):
                self.unreported[part].discard(found.place.number)
                if found.result.has_ended:
                    self.awaited[part].discard(found.place.number)
                    self.done.add(found.place.number)

    def _ready(self) -> Iterator[JudgedCase]:
        while len(self.shown) < len(self.cases):
            number = len(self.shown)
            waiting = any(number in numbers for part, numbers in self.awaited.items() if not self._is_gone(part))
            if waiting:
                return
            result = self.merge.result(number)
            self.shown[number] = result.verdict if result and result.has_ended else ""
            if result and result.has_ended:
                yield result

    def _is_gone(self, part: int) -> bool:
        return self.absent[part] >= _TIMES

    def _is_over(self) -> bool:
        if self.left or (self.deadline is not None and time.monotonic() > self.deadline):
            return True
        if time.monotonic() - self.answered > _SILENCE:
            self.reasons = dict.fromkeys(self.awaited, "the engine has not answered for a long time") | self.reasons
            return True
        return all(self._is_gone(part) or not numbers for part, numbers in self.awaited.items())

    def _ask(self) -> None:
        try:
            presence = self.engine.presence()
        except HostError as error:
            self._say(f"warning: {error.message}; it is asked again")
            self.next = time.monotonic() + self.engine.interval
            return
        self.answered, self.state = time.monotonic(), presence.state
        for trouble in presence.troubles:
            self._say(f"warning: {trouble}")
        for part in self.awaited:
            self.absent[part] = 0 if part in presence.parts else self.absent[part] + 1
        self._note_ends([part for part, times in self.absent.items() if times == _TIMES and self.awaited[part]])
        self.next = self.answered + (_ASK_AGAIN if self._ends_soon(presence) else self.engine.interval)

    def _note_ends(self, parts: Sequence[int]) -> None:
        """Learn why PARTS, which are gone, have not reported all: when the others end, the engine may have forgotten
        it (slurm.conf(5), "MinJobAge")."""
        if parts:
            with suppress(HostError):
                known = self.engine.reasons()
                self.reasons = {part: known[part] for part in parts if part in known} | self.reasons

    def _ends_soon(self, presence: Presence) -> bool:
        """Whether a part seems to be gone, or has reported all that it will."""
        open_parts = [part for part, numbers in self.awaited.items() if numbers and not self._is_gone(part)]
        return self.stopped or any(part not in presence.parts or not self.unreported[part] for part in open_parts)

    def _say(self, text: str) -> None:
        if text not in self.said:
            self.said.add(text)
            self.warn(text)

    def _conclude(self) -> None:
        self._read(torn=True)
        self.merge.name_unread()
        if any(self.awaited.values()):
            with suppress(HostError):
                self.reasons = self.engine.reasons() | self.reasons
        self.merged: Merged = self.merge.finish(self.reasons)
        state = self.directory.state()
        if state and all(self._is_gone(part) or not numbers for part, numbers in self.awaited.items()):
            try:
                self.directory.keep(state.replace(reasons=self.reasons))
            except HostError as error:  # all is known here nevertheless
                self.warn(f"warning: {error.message}")


def numbers_of_parts(cases: Sequence[Case], count: int) -> dict[int, set[int]]:
    """The numbers of those of CASES that each of COUNT parts runs, by its number."""
    number_of = {case.key: number for number, case in enumerate(cases)}
    parts = (Part(number=number, count=count) for number in range(1, count + 1))
    return {part.number: {number_of[case.key] for case in cases_of(cases, part)} for part in parts}
