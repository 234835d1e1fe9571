"""Times on command lines, for logs."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from mydocker.errors import UsageError
from mydocker.services.containers.log_files import timestamp
from mydocker.specs.values.duration import parse_duration

_STAMP = re.compile(r"\d{4}-\d\d-\d\d(T\d\d(:\d\d(:\d\d(\.\d{1,9})?)?)?)?(Z|[+-]\d\d:?\d\d)?")
_DATE = 10  # letters of a date
_UNIX = re.compile(r"(\d+)(?:\.(\d{1,9}))?")


def instant(text: str) -> str:
    """The moment that TEXT means, as logs have it: RFC 3339 as a whole or its beginning, seconds since 1970, or a
    duration before now (docker container logs, --since). Raises UsageError."""
    try:
        if unix := _UNIX.fullmatch(text):
            return timestamp(int(unix[1]) * 10**9 + int((unix[2] or "").ljust(9, "0")))
        if _STAMP.fullmatch(text):
            return _stamp(text)
        return timestamp(time.time_ns() - int(parse_duration(text) * 10**9))
    except (UsageError, OverflowError, OSError):
        raise UsageError(f"invalid time {text!r}: expected one such as 2026-01-02T03:04:05Z, or 10m") from None


def _stamp(text: str) -> str:
    date, rest = text[:_DATE], text[_DATE:].removeprefix("T")
    clock = re.split("[Z+-]", rest)[0]
    zone = rest[len(clock) :]
    full = (clock + ":00:00")[:8] if len(clock) in (2, 5) else clock or "00:00:00"
    whole, _, fraction = full.partition(".")
    try:
        moment = datetime.fromisoformat(f"{date}T{whole}{zone}")
    except ValueError:
        raise UsageError(text) from None
    if moment.tzinfo is None:
        moment = moment.astimezone()
    seconds = int(moment.astimezone(UTC).timestamp())
    return timestamp(seconds * 10**9 + int(fraction.ljust(9, "0") or "0"))
