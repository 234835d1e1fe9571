"""The commands of `exec` under `expect`, executed inside a container while it runs, one after the other.

One whose expectations do not hold is executed again before the next one begins, and one whose expectations have held
is not: they may build on each other. What came is judged again by the batch.
"""

from __future__ import annotations

import time

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.inspect.exec import Exec
from mydocker.verdict.convert import InapplicableError
from mydocker.verdict.finding import Finding
from mydocker.verdict.live_checks import live_value
from mydocker.verdict.match import holds
from mydocker.verdict.time_limit import TookTooLongError, limited

if TYPE_CHECKING:
    from typing import Any

    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.specs.model.expect import Expect

OUTPUT_LIMIT = 1 << 20  # bytes of each output that are compared
LIMIT = 2.0  # seconds of processor time to judge one command
SHORTEST, LONGEST = 0.05, 1.0  # seconds between two tries; a tenth of the time that it has taken so far, within these


class ExecChecks:
    """The commands of EXPECT. `start` the next one when `due` has come, then `take`; `facts` are what came of each."""

    def __init__(self, expect: Expect) -> None:
        self.expect = expect
        self.began = time.monotonic()
        self.facts: dict[str, Any] = {}
        self.unmet = [*range(len(expect.commands))]
        self.due = self.began if self.unmet else float("inf")

    def start(self, view: ContainerView) -> tuple[int, Exec] | None:
        """The next command, and its number; None if it cannot be executed, which is a fact about it."""
        number = self.unmet[0]
        command = self.expect.commands[number]
        self.due = float("inf")
        try:
            timeout = command.timeout
            return number, Exec(view, command.argv, timeout=timeout, separate=True, limit=OUTPUT_LIMIT)
        except LaunchError as error:
            self.take(number, {"problem": error.message})
            return None

    def take(self, number: int, facts: dict[str, Any]) -> None:
        """What came of the command with this NUMBER."""
        self.facts[f"exec {number}"] = facts
        now = time.monotonic()
        if self._is_met(number):
            self.unmet.remove(number)
            self.due = now if self.unmet else float("inf")
        else:
            self.due = now + min(LONGEST, max(SHORTEST, (now - self.began) / 10))

    def _is_met(self, number: int) -> bool:
        finding = Finding(facts=self.facts)
        try:
            with limited(LIMIT):
                for check in self.expect.of("exec", str(number)):
                    value, problem = live_value(check, finding)
                    if problem or not holds(check.matcher, value):
                        return False
        except (InapplicableError, TookTooLongError):
            return False
        return True
