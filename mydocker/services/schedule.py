"""The schedule: which case of a batch can begin, and which can never, by the results of the others.

A case that others need while they run is a service: it begins when the first of them is about to, and takes none of the
slots of the batch. Everything else is begun in the order of the cases, as soon as what it needs is there.
"""

from __future__ import annotations

import heapq

from mydocker.record import TYPE_CHECKING
from mydocker.services.case import Case, JudgedCase, Need
from mydocker.services.health import HEALTHY, UNHEALTHY
from mydocker.specs.model.parts import COMPLETED, STARTED
from mydocker.specs.model.parts import HEALTHY as IS_HEALTHY
from mydocker.verdict.finding import ERROR, SKIPPED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    Key = tuple[str, str]

UNUSED = "not run: no case that needs it was run"


class Schedule:
    """The cases that wait, each with the number of its attempt, and the results of others.

    A case is reconsidered when something that it needs has changed, and not otherwise: the work grows as the cases and
    their needs do.
    """

    def __init__(
        self, cases: Sequence[Case], *, skipped: Mapping[int, str] = {}, refused: Mapping[int, str] = {}
    ) -> None:
        """SKIPPED: the reason why a case is not to run, by its number; REFUSED: why it cannot."""
        self.skipped, self.refused = skipped, refused
        self.waiting = {case.number: (case, 1) for case in cases}
        self.results: dict[int, JudgedCase] = {}
        self.seen: dict[int, Mapping[str, Any]] = {}  # of those that run: the facts of their watchers
        self.health: dict[int, str] = {}  # as reported to the cases that need them
        self.engaged: dict[int, list[int]] = {}  # those that wait for services begun for them, and all that they need
        numbers = {case.key: case.number for case in cases}
        self.needs = {case.number: [(need, numbers[need.case.key]) for need in case.needs] for case in cases}
        self.users: dict[int, dict[int, str]] = {}  # case -> those that need it while they run, and how
        self.followers: dict[int, list[int]] = {}  # case -> those that need it at all
        for user, needs in self.needs.items():
            for need, number in needs:
                self.followers.setdefault(number, []).append(user)
                if need.condition != COMPLETED:
                    self.users.setdefault(number, {})[user] = need.condition
        self.unfinished = {number: len(users) for number, users in self.users.items()}
        # those that may never begin; of a thousand cases that are independent of each other, none is considered twice
        self.doubtful = dict.fromkeys(
            case.number
            for case in cases
            if case.number in (*self.skipped, *self.refused) or case.needs or self.is_service(case)
        )
        self.parked: dict[int, list[int]] = {}  # case -> those that wait for its end before they are reconsidered
        self.ranks = {case.number: rank for rank, case in enumerate(cases)}
        self.first = 0  # the lowest rank
        self.queue = [(rank, number) for number, rank in self.ranks.items() if number not in self.users]

    @property
    def services(self) -> int:
        """How many are services."""
        return len(self.users)

    def is_service(self, case: Case) -> bool:
        return case.number in self.users

    def needs_health(self, case: Case) -> bool:
        return IS_HEALTHY in self.users.get(case.number, {}).values()

    def is_released(self, case: Case) -> bool:
        """Whether no case needs CASE any more."""
        return not self.unfinished.get(case.number)

    def see(self, seen: Mapping[int, Mapping[str, Any]]) -> None:
        """Take SEEN, what the watchers of those that run have reported, by their numbers."""
        self.seen = {**seen}
        for number, facts in seen.items():
            health = str(facts.get("health", ""))
            if number in self.users and health != self.health.get(number, ""):
                self.health[number] = health
                self._doubt(self.followers[number])

    def take_back(self, case: Case, attempt: int) -> None:
        """CASE is to be tried again, before the others."""
        self.waiting[case.number] = (case, attempt)
        self.first -= 1
        self.ranks[case.number] = self.first
        self._enqueue(case.number)
        if case.needs:
            self._doubt([case.number])

    def drop(self) -> tuple[Case, int]:
        """Take one out that is not to run at all."""
        return self.waiting.pop(next(iter(self.waiting)))

    def conclude(self, result: JudgedCase) -> None:
        number = result.case.number
        self.engaged.pop(number, None)
        is_new = number not in self.results
        self.results[number] = result
        self._doubt(self.followers.get(number, ()))
        for each in self.parked.pop(number, ()):
            self._enqueue(each)
        for _, needed in self.needs[number] if is_new else ():
            if number in self.users.get(needed, {}):
                self.unfinished[needed] -= 1
                if not self.unfinished[needed]:
                    self._doubt([needed])

    def _doubt(self, numbers: Sequence[int]) -> None:
        self.doubtful.update(dict.fromkeys(numbers))

    def _enqueue(self, number: int) -> None:
        if number not in self.users:
            heapq.heappush(self.queue, (self.ranks[number], number))

    def hopeless(self) -> Iterator[JudgedCase]:
        """The results of those that can never begin."""
        while self.doubtful:
            number = next(iter(self.doubtful))
            del self.doubtful[number]
            if number not in self.waiting:
                continue
            case, attempt = self.waiting[number]
            refusal = self._refusal(case)
            if refusal:
                del self.waiting[number]
                verdict, reason = refusal
                result = JudgedCase(case=case, verdict=verdict, reason=reason, attempts=attempt - 1)
                self.conclude(result)
                yield result

    def take(self, *, slots: int) -> list[tuple[Case, int]]:
        """Take out what can begin now: with SLOTS free ones, and the services that are waited for."""
        ready = [number for number in self.engaged if self._is_ready(number)]
        for number in ready:
            del self.engaged[number]
        slots -= len(self.engaged) + len(ready)
        while slots > 0 and self.queue:
            rank, number = heapq.heappop(self.queue)
            if number not in self.waiting or rank != self.ranks[number]:
                continue
            if self._is_ready(number):
                ready.append(number)
                slots -= 1
            elif (blocker := self._blocker(number)) is not None:
                self.parked.setdefault(blocker, []).append(number)
            else:
                self.engaged[number] = [each for each in self._below(number) if each not in self.results]
                slots -= 1
        return [self.waiting.pop(number) for number in (*ready, *self._services())]

    def _services(self) -> list[int]:
        """Those that cases which are engaged wait for, and that have what they need themselves."""
        services = dict.fromkeys(each for below in self.engaged.values() for each in below if each in self.waiting)
        return [number for number in services if number in self.users and self._is_ready(number)]

    def _is_ready(self, number: int) -> bool:
        return all(self._state(need, needed) for need, needed in self.needs[number])

    def _below(self, number: int) -> Iterator[int]:
        """What a case needs, and what those need; what it needs itself first."""
        found = {number}
        stack = [number]
        while stack:
            for _, needed in self.needs[stack.pop()]:
                if needed not in found:
                    found.add(needed)
                    stack.append(needed)
                    yield needed

    def _blocker(self, number: int) -> int | None:
        """Something that must be over before a case can begin, takes a slot, and is not over, if any."""
        for each in (number, *self._below(number)):
            for need, needed in self.needs[each]:
                if need.condition == COMPLETED and needed not in self.results and needed not in self.users:
                    return needed
        return None

    def _refusal(self, case: Case) -> tuple[str, str] | None:
        """(verdict, reason) of a case that cannot begin any more."""
        if case.number in self.skipped:
            return SKIPPED, self.skipped[case.number]
        if case.number in self.refused:
            return ERROR, self.refused[case.number]
        for need, number in self.needs[case.number]:
            if need.required and self._state(need, number) is False:
                result = self.results.get(number)
                verdict = SKIPPED if result and result.verdict == SKIPPED else ERROR
                return verdict, f"not run: it needs {need.case.title}, {self._why(need, number, result)}"
        if self.is_service(case) and self.is_released(case):
            return SKIPPED, UNUSED
        return None

    def _state(self, need: Need, number: int) -> bool | None:
        """Whether what is needed is there; False if it never will be, None as long as it may still come. What is not
        required is there once it never will be."""
        result = self.results.get(number)
        if result is None:
            state = self._running(need, number)
        elif result.finding.outcome is None:
            state = False
        elif need.condition == COMPLETED:
            state = result.finding.outcome.status == 0
        else:
            state = need.condition == STARTED and result.verdict != ERROR
        return True if state is False and not need.required else state

    def _running(self, need: Need, number: int) -> bool | None:
        seen = self.seen.get(number, {})
        if need.condition == IS_HEALTHY:
            return {HEALTHY: True, UNHEALTHY: False}.get(seen.get("health", ""))
        return True if need.condition == STARTED and "began" in seen else None

    def _why(self, need: Need, number: int, result: JudgedCase | None) -> str:
        """The end of a sentence about what is needed."""
        if result is None:
            return f"which is not healthy ({self.seen[number].get('health said', 'no output')})"
        outcome = result.finding.outcome
        if result.verdict == SKIPPED:
            return "which is skipped"
        if outcome is None:
            return "which did not begin"
        if need.condition == COMPLETED:
            return f"which ended with {_end(outcome.status)}"
        return f"which ended before it was healthy, with {_end(outcome.status)}"


def _end(status: int) -> str:
    return f"exit code {status}"


def with_needed(chosen: Sequence[Case]) -> list[Case]:
    """CHOSEN and all that they need, in the order that they had, numbered anew.

    One that others need while it runs may never end by itself, so the first of those is there, too.
    """
    found: dict[Key, Case] = {}
    needed = {need.case.key for case in chosen for need in case.needs}
    stack = [*chosen]
    while stack:
        case = stack.pop()
        key = case.key
        found[key] = case
        keys = [need.case.key for need in case.needs]
        needed.update(keys)
        stack += [need.case for need, each in zip(case.needs, keys, strict=True) if each not in found]
        if case.partner and key not in needed and not case.spec.within:
            stack.append(case.partner)
    ordered = sorted(found.values(), key=lambda case: case.number)
    return [case.replace(number=number) for number, case in enumerate(ordered)]
