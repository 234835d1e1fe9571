"""Times in the documents of images, as people read them."""

from __future__ import annotations

import datetime

_SHOWN = len("2006-01-02T15:04:05")


def shown_time(text: str) -> str:
    """TEXT, a time of RFC 3339 with any offset, in UTC and to the second; as it is, if it is none."""
    try:
        time = datetime.datetime.fromisoformat(text)
        return (time.astimezone(datetime.UTC) if time.tzinfo else time).isoformat(timespec="seconds")[:_SHOWN]
    except (ValueError, OverflowError):
        return text[:_SHOWN]
