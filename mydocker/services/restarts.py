"""Restarts: whether a container that has ended is to be started again, and after which pause.

The pauses are Docker's (docker container run, "Restart policies"): 100 ms, doubled after each run up to a minute, and
100 ms again after a run of ten seconds. The limit of starts is systemd's (systemd.unit(5), "StartLimitIntervalSec=").
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from mydocker.specs.model.parts import RestartPolicy

# seconds
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 60.0
LONG = 10.0  # a run that took longer is followed by the first pause again


class Restarts:
    """The restarts of one container by its POLICY; None: it is never started again."""

    def __init__(self, policy: RestartPolicy | None) -> None:
        self.policy, self.count, self._pause = policy, 0, FIRST_PAUSE
        self._time, self._began, self._starts = 0.0, 0.0, 1  # of the interval for the limit of starts

    def pause(self, *, status: int, seconds: float) -> float | None:
        """Seconds until the next start after a run that ended with the exit code STATUS after so many SECONDS; None if
        there is none. The caller says nothing of a run that somebody stopped."""
        policy = self.policy
        if policy is None or (policy.name == "on-failure" and not status):
            return None
        if policy.window is not None and seconds >= policy.window:
            self.count = 0
        if policy.attempts and self.count >= policy.attempts:
            return None
        self.count += 1
        pause = policy.delay if policy.delay is not None else self._next_pause(policy, seconds)
        self._time += seconds + pause
        return pause if self._is_within_limit(policy) else None

    def _next_pause(self, policy: RestartPolicy, seconds: float) -> float:
        pause = FIRST_PAUSE if seconds >= (LONG if policy.window is None else policy.window) else self._pause
        self._pause = min(pause * 2, LONGEST_PAUSE)
        return pause

    def _is_within_limit(self, policy: RestartPolicy) -> bool:
        """Whether one more start is allowed, by systemd's rule (ratelimit_below): an interval begins with the first
        start after the one before."""
        if not policy.burst:
            return True
        if self._time - self._began > policy.interval:
            self._began, self._starts = self._time, 0
        self._starts += 1
        return self._starts <= policy.burst
