"""The health of a container in the background: its test, run for as long as it runs.

As Docker does it (Dockerfile reference, HEALTHCHECK): failures within `start_period` do not count, one success makes it
healthy, and `retries` failures in a row make it unhealthy. Only, as in a batch, the first tests come sooner and more
often, because somebody may wait: until it is healthy, or the start period is over. A success that comes sooner has to
last (services/health.py).
"""

from __future__ import annotations

import time

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.services.health import HEALTHY, SHORTEST, STARTING, UNHEALTHY, Steadiness, describe, run_test

if TYPE_CHECKING:
    from typing import Any

    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.runtime.inspect.exec import Exec
    from mydocker.specs.model.parts import Healthcheck

NO_END = -1  # what Docker reports as the exit code of such a test


class HealthMonitor:
    """The tests of one start of a container. `due` is when the next one is to be run, by time.monotonic(); `output` and
    `exit_code` are those of the last one, NO_END if it did not end in time, or could not be run."""

    def __init__(self, check: Healthcheck) -> None:
        self.check = check
        self.began = self.due = time.monotonic()
        self.health, self.failing, self.output, self.exit_code = STARTING, 0, "", 0
        self.counted = self.began + (check.start_period or 0.0)  # when a failure was counted last
        self.steadiness = Steadiness(check, self.began)
        self.test: Exec | None = None

    def run_test(self, view: ContainerView) -> Exec | None:
        """Run the test; None if it cannot be."""
        self.due = float("inf")
        try:
            self.test = run_test(self.check, view)
        except LaunchError as error:
            self.take({"problem": error.message})
        return self.test

    def take(self, facts: dict[str, Any]) -> None:
        """What came of a test."""
        self.test = None
        now = time.monotonic()
        code = facts.get("exit_code")
        self.exit_code = NO_END if code is None else code
        self.output = describe(facts, timeout=self.check.timeout or 0) if code != 0 else ""
        interval, retries = self.check.interval or 0.0, self.check.retries or 1
        pause = min(interval, self.check.start_interval or interval, max(SHORTEST, (now - self.began) / 10))
        if code == 0:
            counts = now if self.health != STARTING else self.steadiness.counts_at(now)
            if counts <= now:
                self.health, self.failing = HEALTHY, 0
            self.due = now + interval if self.health == HEALTHY else min(now + pause, counts)
            return
        self.steadiness.fail()
        if self.health != STARTING or now >= self.counted + interval:
            self.failing, self.counted = self.failing + 1, now
        if self.failing >= retries:
            self.health = UNHEALTHY
        self.due = now + (pause if self.health == STARTING else interval)

    def close(self) -> None:
        """End a test that still runs."""
        if self.test:
            self.test.close()
            self.test = None
