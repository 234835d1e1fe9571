"""Restarts: when a container is started again, and after which pause."""

from __future__ import annotations

import pytest

from mydocker.services.restarts import Restarts
from mydocker.specs.model.parts import RestartPolicy

ON_FAILURE, ALWAYS = RestartPolicy(name="on-failure"), RestartPolicy(name="always")


@pytest.mark.parametrize(
    ("policy", "runs", "pauses"),
    [
        (None, [(1, 0.1)], [None]),
        (ON_FAILURE, [(0, 0.1)], [None]),
        (ON_FAILURE, [(1, 0.1), (1, 0.1), (0, 0.1)], [0.1, 0.2, None]),
        (ALWAYS, [(0, 0.1), (1, 0.1), (0, 0.1)], [0.1, 0.2, 0.4]),
        (RestartPolicy(name="unless-stopped"), [(0, 0.1), (1, 0.1)], [0.1, 0.2]),
        # after a long run the pauses begin anew, and the attempts do not
        (ALWAYS, [(1, 0.1), (1, 10.0), (1, 0.1)], [0.1, 0.1, 0.2]),
        (ON_FAILURE.replace(attempts=2), [(1, 0.1), (1, 10.0), (1, 0.1)], [0.1, 0.1, None]),
        (ALWAYS.replace(attempts=1), [(0, 0.1), (0, 0.1)], [0.1, None]),
        (ALWAYS.replace(delay=5.0), [(1, 0.1), (1, 0.1)], [5.0, 5.0]),
        # after a run of the window both do
        (ON_FAILURE.replace(attempts=1, window=3.0), [(1, 0.1), (1, 3.0), (1, 2.9)], [0.1, 0.1, None]),
    ],
)
def test_pauses(policy: RestartPolicy | None, runs: list[tuple[int, float]], pauses: list[float | None]) -> None:
    restarts = Restarts(policy)
    assert [restarts.pause(status=status, seconds=seconds) for status, seconds in runs] == pauses


def test_the_longest_pause_is_a_minute() -> None:
    restarts = Restarts(ALWAYS)
    assert max(restarts.pause(status=1, seconds=0.0) or 0 for _ in range(20)) == 60.0
