"""mydocker's messages, on stderr: stdout belongs to the containers."""

from __future__ import annotations

import sys

from mydocker.errors import MydockerError, SpecError, printable
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from mydocker.image.model.progress import Step
    from mydocker.runtime.command.outcome import Outcome


def say(text: str) -> None:
    """One line on stderr, control characters escaped: much of it comes from images and registries."""
    try:  # noqa: SIM105  # contextlib is not on the warm path
        print(printable(text), file=sys.stderr, flush=True)
    except (OSError, ValueError):  # closed, or without a reader
        pass


_warned: set[str] = set()


def is_new(text: str) -> bool:
    """Whether TEXT is new: several images may cause the same warning."""
    known = text in _warned
    _warned.add(text)
    return not known


def warn(text: str) -> None:
    """Print TEXT on stderr, once."""
    if is_new(text):
        say(text)


def warnings_alone(step: Step) -> None:
    """Of the steps of a pull, the warnings alone."""
    from mydocker.image.model.progress import WARNING

    if step.kind == WARNING:
        warn(step.text)


def complain(error: MydockerError) -> None:
    """Print what went wrong, and what to do about it."""
    if isinstance(error, SpecError):
        for problem in error.problems:
            say(problem)
    else:
        say(f"mydocker: {error.message}")
    if error.hint:
        say(f"hint: {error.hint}")


def name_memory_kill(outcome: Outcome) -> None:
    """A command that the kernel killed for its memory prints nothing, and its 137 could be from any SIGKILL."""
    if outcome.oom_killed and outcome.signal:
        say("mydocker: out of memory: the container needed more than its memory limit")
    elif outcome.killed_by:
        say(f"mydocker: {outcome.killed_by}")
