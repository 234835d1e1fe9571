"""Durations: `1m30s`, `1.5h`, `250ms`, or a bare number of seconds, become seconds.

The notation of Compose ("Specifying durations") and Go's time.ParseDuration, without a sign.
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from mydocker.specs.values import Scope

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_NUMBER = frozenset("0123456789.")
_DAY = 86400.0
_POLICIES = {"daily": _DAY, "weekly": 7 * _DAY}
_LONG_LIMIT = 100 * 366  # of weeks, and of days
_LONG_UNITS = {"w": 7 * _DAY, "d": _DAY}
_LIMIT = 100 * 366 * 86400.0  # a hundred years: more is a slip, and overflows a timer


def parse_duration(text: str) -> float:
    """Seconds. Raises UsageError for anything else than a sum such as 1h2m3.5s."""
    total, rest = 0.0, f"{text}s" if _NUMBER.issuperset(text) else text
    while rest:
        number, rest = _take(rest, digits=True)
        unit, rest = _take(rest, digits=False)
        if number.count(".") > 1 or not number.strip(".") or unit not in _UNITS:
            raise _bad(text)
        total += float(number) * _UNITS[unit]
    if not text:
        raise _bad(text)
    if total > _LIMIT:
        raise UsageError(f"duration {text!r} is longer than a hundred years")
    return total


def pull_interval(policy: str) -> float:
    """The seconds after which an image is pulled again, of a POLICY `daily`, `weekly` or `every_DURATION`. Compose
    takes weeks and days there, too: `every_1w2d`. Raises UsageError."""
    if policy in _POLICIES:
        return _POLICIES[policy]
    total, rest = 0.0, policy.removeprefix("every_")
    for unit, seconds in _LONG_UNITS.items():
        number, letter, after = rest.partition(unit)
        count = whole_number(number, _LONG_LIMIT) if letter else None
        if count is not None:
            total, rest = total + count * seconds, after
    try:
        total += parse_duration(rest) if rest or not total else 0.0
    except UsageError:
        message = f"pull policy {policy!r}: expected every_ and a duration, such as every_12h or every_2d"
        raise UsageError(message) from None
    if not 0 < total <= _LIMIT:
        raise UsageError(f"pull policy {policy!r}: expected a duration of more than 0, and of a hundred years at most")
    return total


def parse_timeout(text: str, scope: Scope) -> float:
    """Seconds, more than 0."""
    seconds = parse_duration(text)
    if seconds <= 0:
        raise UsageError("a timeout must be more than 0", hint="leave it out for none")
    return seconds


def _take(text: str, *, digits: bool) -> tuple[str, str]:
    """The longest start of `text` that is (or is not) made of digits and dots, and what follows it."""
    end = 0
    while end < len(text) and (text[end] in _NUMBER) is digits:
        end += 1
    return text[:end], text[end:]


def _bad(text: str) -> UsageError:
    return UsageError(f"duration {text!r}: expected a number of seconds, or a duration such as 90s, 1m30s or 1.5h")


def format_duration(seconds: float) -> str:
    """`1m30s`: the notation of the keys that are durations."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    if rest != int(rest):
        return f"{seconds:.9f}".rstrip("0") + "s"
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{int(number)}{unit}" for number, unit in parts if number) or "0s"
