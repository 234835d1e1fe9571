"""When a container that has ended is started again, and after how long: as Docker does it (docker container run,
"Restart policies")."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from mydocker.services.containers import RestartRule

FIRST, LONGEST = 0.1, 60.0  # seconds before a restart: each is twice as long as the one before
LONG = 10.0  # a container that ran for longer is started after the first pause again


class Next(Record):
    """`after` so many seconds it is started again; `pause` is what the next call is given."""

    after: float
    pause: float


def after_end(rule: RestartRule, *, status: int, wall: float, restarts: int, pause: float) -> Next | None:
    """What RULE says of a container that ended with exit code STATUS after WALL seconds, was started again RESTARTS
    times before, the last time after PAUSE seconds; None: it stays as it is."""
    wanted = rule.name in ("always", "unless-stopped") or (rule.name == "on-failure" and status)
    if not wanted or (rule.attempts is not None and restarts >= rule.attempts):
        return None
    pause = FIRST if wall > LONG or not pause else min(pause * 2, LONGEST)
    return Next(after=pause if rule.delay is None else rule.delay, pause=pause)
