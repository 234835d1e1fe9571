"""How much is done, counted in calls and not in time, so that a busy machine says the same as an idle one."""

from __future__ import annotations

import sys
from collections.abc import Callable


def calls(action: Callable[[], object]) -> int:
    """How many functions ACTION calls, Python's and C's."""
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def growth(action: Callable[[int], object], small: int, factor: int) -> float:
    """How many times as much ACTION does for FACTOR times the size SMALL; what is imported late is imported before."""
    action(small)
    return calls(lambda: action(small * factor)) / calls(lambda: action(small))
