"""Runs whose time is over while something goes on in them, however long it takes until that goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from lab.command import Command, Result

_TIMES = (1, 4, 16, 64)  # seconds
_Done = TypeVar("_Done")


def enough(attempt: Callable[[int], _Done], has_begun: Callable[[_Done], bool]) -> _Done:
    """What ATTEMPT, with a limit in seconds, comes to: with the first limit that was not over before it HAS_BEGUN."""
    for seconds in _TIMES:
        done = attempt(seconds)
        if has_begun(done):
            break
    return done


def over_time(mydocker: Command, *words: str) -> Result:
    """The result of `run` with WORDS and a time limit, of a command that first says `ready`, and was let to."""
    return enough(
        lambda seconds: mydocker("run", "--timeout", f"{seconds}s", *words),
        lambda done: done.stdout.startswith(b"ready"),
    )
