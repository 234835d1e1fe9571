"""The schedule: which case of a batch can begin, and which can never, by what the others have come to.

A case that others need while they run is a service: it begins when the first of them is about to, and takes none of the
places that a batch has. Everything else is begun in the order of the cases, as soon as what it needs is there.
"""

from __future__ import annotations

from collections import OrderedDict

from mydocker.record import TYPE_CHECKING
from mydocker.smoke.case import ERROR, SKIPPED, Case, Need, Result
from mydocker.smoke.health import HEALTHY, UNHEALTHY
from mydocker.spec.dependencies import COMPLETED, STARTED
from mydocker.spec.dependencies import HEALTHY as IS_HEALTHY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    Key = tuple[str, str]

UNUSED = "not run: nothing that needs it has come to run"


class Schedule:
    """The cases that wait, each with the number of its attempt, and what others have come to."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.waiting = OrderedDict((case.number, (case, 1)) for case in cases)
        self.numbers = {case.key: case.number for case in cases}
        self.results: dict[Key, Result] = {}
        self.seen: dict[Key, Mapping[str, Any]] = {}  # of those that run: the facts of their watchers
        self.engaged: set[int] = set()  # those that wait for services that have been begun for them
        self.needed: dict[Key, dict[Key, str]] = {}  # case -> those that need it while they run, and how
        for case in cases:
            for need in case.needs:
                if need.condition != COMPLETED:
                    self.needed.setdefault(need.case.key, {})[case.key] = need.condition
        # those that may never begin; of a thousand cases that know nothing of each other, none is looked at twice
        self.doubtful = [case.number for case in cases if case.spec.skip or case.needs or self.is_service(case)]

    def is_service(self, case: Case) -> bool:
        return case.key in self.needed

    def wants_health(self, case: Case) -> bool:
        return IS_HEALTHY in self.needed.get(case.key, {}).values()

    def is_released(self, case: Case) -> bool:
        """Whether nobody needs CASE any more."""
        return all(key in self.results for key in self.needed.get(case.key, {}))

    def take_back(self, case: Case, attempt: int) -> None:
        """CASE is to be tried again, before the others."""
        self.waiting[case.number] = (case, attempt)
        self.waiting.move_to_end(case.number, last=False)
        if case.needs:
            self.doubtful.append(case.number)

    @property
    def services(self) -> int:
        """How many are services."""
        return len(self.needed)

    def conclude(self, result: Result) -> None:
        self.results[result.case.key] = result
        self.engaged.discard(result.case.number)

    def hopeless(self) -> Iterator[Result]:
        """The results of those that can never begin."""
        self.doubtful = [number for number in self.doubtful if number in self.waiting]
        for number in self.doubtful:
            case, attempt = self.waiting[number]
            refusal = self._refusal(case)
            if refusal:
                del self.waiting[number]
                verdict, reason = refusal
                result = Result(case=case, verdict=verdict, reason=reason, attempts=attempt - 1)
                self.conclude(result)
                yield result

    def take(self, *, places: int) -> list[tuple[Case, int]]:
        """Take out what can begin now: with PLACES that are free, and the services that are waited for."""
        ready = [number for number in self.engaged if self._is_ready(self.waiting[number][0])]
        self.engaged.difference_update(ready)
        places -= len(self.engaged) + len(ready)
        for number, (case, _) in self.waiting.items() if places > 0 else ():
            if places <= 0:
                break
            if self.is_service(case) or number in self.engaged or number in ready:
                continue
            if self._is_ready(case):
                ready.append(number)
                places -= 1
            elif not self._is_behind(case):
                self.engaged.add(number)
                places -= 1
        return [self.waiting.pop(number) for number in (*ready, *self._services())]

    def _services(self) -> list[int]:
        """Those that cases which are engaged wait for, and that have what they need themselves."""
        wanted = dict.fromkeys(
            self.numbers[case.key] for number in self.engaged for case in _below(self.waiting[number][0])
        )
        waiting = [self.waiting[number][0] for number in wanted if number in self.waiting]
        return [case.number for case in waiting if self.is_service(case) and self._is_ready(case)]

    def _is_ready(self, case: Case) -> bool:
        return all(self._state(need) for need in case.needs)

    def _is_behind(self, case: Case) -> bool:
        """Whether something must be over that takes a place of its own, and is not."""
        return any(
            need.condition == COMPLETED and need.case.key not in self.results and not self.is_service(need.case)
            for each in (case, *_below(case))
            for need in each.needs
        )

    def _refusal(self, case: Case) -> tuple[str, str] | None:
        """(verdict, reason) of a case that cannot begin any more."""
        if case.spec.skip:
            return SKIPPED, case.spec.skip
        for need in case.needs:
            if need.required and self._state(need) is False:
                result = self.results.get(need.case.key)
                verdict = SKIPPED if result and result.verdict == SKIPPED else ERROR
                return verdict, f"not run: it needs {need.case.title}, {self._why(need, result)}"
        if self.is_service(case) and self.is_released(case):
            return SKIPPED, UNUSED
        return None

    def _state(self, need: Need) -> bool | None:
        """Whether what is needed is there; False if it never will be, None as long as it may still come. What is not
        required is there once it never will be."""
        result = self.results.get(need.case.key)
        if result is None:
            state = self._running(need)
        elif result.finding.outcome is None:
            state = False
        elif need.condition == COMPLETED:
            state = result.finding.outcome.status == 0
        else:
            state = need.condition == STARTED
        return True if state is False and not need.required else state

    def _running(self, need: Need) -> bool | None:
        seen = self.seen.get(need.case.key, {})
        if need.condition == IS_HEALTHY:
            return {HEALTHY: True, UNHEALTHY: False}.get(seen.get("health", ""))
        return True if need.condition == STARTED and "began" in seen else None

    def _why(self, need: Need, result: Result | None) -> str:
        """The end of a sentence about what is needed."""
        if result is None:
            return f"which is not healthy ({self.seen[need.case.key].get('health said', 'it says nothing')})"
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


def _below(case: Case) -> list[Case]:
    """All that CASE needs, and what those need."""
    found: dict[Key, Case] = {}
    stack = [case]
    while stack:
        for need in stack.pop().needs:
            if need.case.key not in found:
                found[need.case.key] = need.case
                stack.append(need.case)
    return [*found.values()]


def with_needed(chosen: Sequence[Case]) -> list[Case]:
    """CHOSEN and all that they need, in the order that they had, numbered anew.

    One that others need while it runs may never end by itself, so the first of those is there, too.
    """
    found: dict[Key, Case] = {}
    stack = [*chosen]
    while stack:
        case = stack.pop()
        found[case.key] = case
        stack += [need.case for need in case.needs if need.case.key not in found]
        alone = not any(case.key in {need.case.key for need in each.needs} for each in (*found.values(), *chosen))
        if case.partner and alone and not (case.spec.expect and case.spec.expect.within):
            stack.append(case.partner)
    ordered = sorted(found.values(), key=lambda case: case.number)
    return [case.replace(number=number) for number, case in enumerate(ordered)]
