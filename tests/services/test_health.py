"""When a success of a healthcheck counts."""

from __future__ import annotations

import time

import pytest

from mydocker.services.containers.health_monitor import HealthMonitor
from mydocker.services.health import Health, Steadiness
from mydocker.specs.model.parts import Healthcheck

NEVER = 1e9

# (interval, start_period, start_interval, results of tests by their times, when the last one counts)
CASES = [
    (30.0, 0.0, 5.0, {2.0: True}, 4.0),
    (30.0, 0.0, 5.0, {2.0: True, 3.0: True}, 4.0),
    (30.0, 0.0, 5.0, {2.0: True, 4.0: True}, 4.0),
    (30.0, 0.0, 5.0, {2.0: True, 3.0: False, 6.0: True}, 12.0),
    (30.0, 0.0, 5.0, {20.0: True}, 30.0),
    (30.0, 0.0, 5.0, {40.0: True}, 40.0),
    (30.0, 60.0, 5.0, {4.0: True}, 5.0),
    (30.0, 60.0, 0.2, {0.1: True}, 0.2),
    (30.0, 60.0, 0.2, {0.3: True}, 0.3),
    (1.0, 0.0, 5.0, {0.9: True}, 1.0),
]


@pytest.mark.parametrize(("interval", "start_period", "start_interval", "results", "counts"), CASES)
def test_when_a_success_counts(
    interval: float, start_period: float, start_interval: float, results: dict[float, bool], counts: float
) -> None:
    check = Healthcheck(interval=interval, start_period=start_period, start_interval=start_interval, retries=3)
    steadiness, found = Steadiness(check, 1000.0), NEVER
    for at, is_success in results.items():
        if is_success:
            found = steadiness.counts_at(1000.0 + at)
        else:
            steadiness.fail()
    assert found == pytest.approx(1000.0 + counts)


def test_in_a_batch_and_in_the_background() -> None:
    check = Healthcheck(test=("CMD", "true"), interval=30.0, start_period=0.0, start_interval=5.0, retries=3)
    health, monitor = Health(check), HealthMonitor(check)
    time.sleep(0.05)
    for code in (0, 1, 0):
        for each in (health, monitor):
            each.take({"exit_code": code, "output": ""})
        assert (health.facts["health"], monitor.health) == ("starting", "starting")
    while "starting" in (health.facts["health"], monitor.health):  # more than once if it took long to come here
        time.sleep(max(0.0, health.due - time.monotonic(), monitor.due - time.monotonic()))
        for each in (health, monitor):
            each.take({"exit_code": 0, "output": ""})
    assert (health.facts["health"], monitor.health) == ("healthy", "healthy")
