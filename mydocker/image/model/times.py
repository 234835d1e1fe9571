"""Times in the documents of images, as people read them."""

from __future__ import annotations

import datetime

_NEVER = -62135596800.0  # 0001-01-01T00:00:00Z
_SHOWN = len("2006-01-02T15:04:05")


def shown_time(text: str) -> str:
    """TEXT, a time of RFC 3339 with any offset, in UTC and to the second; as it is, if it is none."""
    try:
        time = datetime.datetime.fromisoformat(text)
        return (time.astimezone(datetime.UTC) if time.tzinfo else time).isoformat(timespec="seconds")[:_SHOWN]
    except (ValueError, OverflowError):
        return text[:_SHOWN]


def seconds_of(text: str) -> float:
    """TEXT, a time of RFC 3339, in seconds since 1970; that of 0001-01-01, Go's for none, if it is no time."""
    try:
        time = datetime.datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        return _NEVER
