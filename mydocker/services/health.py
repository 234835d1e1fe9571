"""Health: a container's healthcheck, run until it succeeds, or until Docker would report the container as unhealthy.

Docker runs it once in each `interval`, by default half a minute; who waits needs the result earlier. So it runs sooner
and more often, and counts as failed only when `retries` intervals after the `start_period` are over.
"""

from __future__ import annotations

import time

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.inspect.exec import Exec
from mydocker.specs.model.healthcheck import KINDS
from mydocker.specs.model.parts import Healthcheck

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from mydocker.runtime.inspect.container_view import ContainerView

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
STANDARD = Healthcheck(interval=30.0, timeout=30.0, start_period=0.0, start_interval=5.0, retries=3)
SHORTEST = 0.1  # seconds between two tests; a tenth of the time that it has taken so far, from that on
_NANO = 1e-9
_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}


def complete(configured: Healthcheck | None, image: Mapping[str, Any]) -> Healthcheck:
    """CONFIGURED, with what it leaves to the image's `Healthcheck` and to Docker. LaunchError if there is none."""
    check = (configured or Healthcheck()).over(_of_image(image)).over(STANDARD)
    if not check.test or check.test[0] == "NONE":
        where = f"{check.awaited}: " if check.awaited else ""
        message = f"{where}no healthcheck says when it is healthy: neither its file nor its image has one"
        raise LaunchError(message, hint="set healthcheck: {test: COMMAND}")
    return check


def _of_image(raw: Mapping[str, Any]) -> Healthcheck:
    """An image's own (Docker image specification 1.2, "Healthcheck"): untrusted; times are nanoseconds."""
    words = raw.get("Test") or []
    numbers = {name: raw.get(key) or 0 for name, key in (*_TIMES.items(), ("retries", "Retries"))}
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise LaunchError("the image's Healthcheck is malformed: Test is no list of words")
    if words and (words[0] not in KINDS or len(words) < {"NONE": 1}.get(words[0], 2)):
        raise LaunchError(f"the image's Healthcheck is malformed: Test is {words!r:.80}")
    if not all(isinstance(number, int) and 0 <= number < 2**63 for number in numbers.values()):
        raise LaunchError("the image's Healthcheck is malformed: a number is none")
    seconds: dict[str, Any] = {name: numbers[name] * _NANO or None for name in _TIMES}
    return Healthcheck(test=tuple(words), retries=numbers["retries"] or None, **seconds)


def as_of_image(check: Healthcheck | None, image: Mapping[str, Any]) -> dict[str, Any]:
    """CHECK over the image's `Healthcheck`, in its form; empty if there is none."""
    own = {key: round((getattr(check, name) or 0) / _NANO) for name, key in _TIMES.items()} if check else {}
    own |= {"Test": [*check.test], "Retries": check.retries} if check else {}
    return {**image, **{key: value for key, value in own.items() if value}}


def run_test(check: Healthcheck, view: ContainerView) -> Exec:
    """Run the test of CHECK in the container of VIEW. Raises LaunchError if it cannot be."""
    kind, *words = check.test
    argv = (*words,) if kind == "CMD" else ("/bin/sh", "-c", *words)
    return Exec(view, argv, timeout=check.timeout or 0)


class Health:
    """The state of one container's health, as facts for those who wait; `run_test` when `due` has come, then `take`."""

    def __init__(self, check: Healthcheck) -> None:
        self.check = check
        self.began = self.due = time.monotonic()
        self.facts: dict[str, Any] = {"health": STARTING}

    def run_test(self, view: ContainerView) -> Exec:
        """Run the test. Raises LaunchError if it cannot be."""
        self.due = float("inf")
        return run_test(self.check, view)

    def give_up(self, why: str) -> None:
        """No test can be run."""
        self.facts = {"health": UNHEALTHY, "health said": why}

    def take(self, facts: Mapping[str, Any]) -> None:
        """What came of a test."""
        now = time.monotonic()
        elapsed = now - self.began
        assert self.check.interval is not None and self.check.retries and self.check.start_interval is not None
        limit = (self.check.start_period or 0) + self.check.interval * self.check.retries
        if facts.get("exit_code") == 0:
            self.facts = {"health": HEALTHY}
            return
        state = UNHEALTHY if elapsed >= limit else STARTING
        self.facts = {"health": state, "health said": describe(facts, timeout=self.check.timeout or 0)}
        if state == STARTING:
            pause = min(self.check.interval, self.check.start_interval, max(SHORTEST, elapsed / 10))
            self.due = min(now + pause, self.began + limit)


def describe(facts: Mapping[str, Any], *, timeout: float) -> str:
    """Why a test did not succeed, with its output."""
    if "problem" in facts:
        return str(facts["problem"])
    code = facts["exit_code"]
    how = f"no end within {timeout:g} s" if code is None else f"exit code {code}"
    return f"{how}: {facts['output'].strip()}" if facts["output"].strip() else how
