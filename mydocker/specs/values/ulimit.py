"""Resource limits of processes (getrlimit(2)): Docker's names for them, and the notation NAME=SOFT[:HARD]."""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.number import whole_number

UNLIMITED = -1
NUMBERS = {  # asm-generic/resource.h; docker run --ulimit knows these, and no `as`
    "cpu": 0,
    "fsize": 1,
    "data": 2,
    "stack": 3,
    "core": 4,
    "rss": 5,
    "nproc": 6,
    "nofile": 7,
    "memlock": 8,
    "locks": 10,
    "sigpending": 11,
    "msgqueue": 12,
    "nice": 13,
    "rtprio": 14,
    "rttime": 15,
}
_MOST = 2**63 - 1


def parse_ulimit(text: str) -> dict[str, tuple[int, int]]:
    """`nofile=1024:2048` as {name: (soft, hard)}; one value is both of them, and -1 is no limit."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text!r}: expected NAME=SOFT[:HARD]")
    soft, colon, hard = value.partition(":")
    return limit(name, soft, hard if colon else soft)


def limit(name: str, soft: str, hard: str) -> dict[str, tuple[int, int]]:
    """The two values of limit NAME. Raises UsageError."""
    if name not in NUMBERS:
        raise UsageError(f"unknown ulimit {name!r}", hint=f"the names are {' '.join(NUMBERS)}")
    low, high = _value(name, soft), _value(name, hard)
    if high != UNLIMITED and (low == UNLIMITED or low > high):
        raise UsageError(f"ulimit {name}: the soft limit {soft} is above the hard limit {hard}")
    return {name: (low, high)}


def _value(name: str, text: str) -> int:
    number = UNLIMITED if text == str(UNLIMITED) else whole_number(text, _MOST)
    if number is not None:
        return number
    raise UsageError(f"ulimit {name}: {text!r} is not a number, nor -1 for no limit")
