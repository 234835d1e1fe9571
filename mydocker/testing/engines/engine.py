"""What an engine is for a batch: it begins all parts, says which of them are still there, and ends them.

An engine never judges: verdicts come from the lines that the parts write into files of results (directory.py).
"""

from __future__ import annotations

from typing import Protocol

from mydocker.record import Record


class Presence(Record):
    """Which `parts`, by number, are still there: they wait, or run. `state` says in a few words what they do, for
    people; `troubles`, each said once, what they have to do something about."""

    parts: frozenset[int]
    state: str = ""
    troubles: tuple[str, ...] = ()


class Engine(Protocol):
    """A batch that has begun on an engine. Each method may take seconds, and raises HostError if there is no answer."""

    id: str  # what the engine calls it, and State.id
    title: str  # for people: `Slurm job 7`
    is_detached: bool  # whether the parts go on, and their results come, when mydocker is no longer there

    @property
    def interval(self) -> float:
        """Seconds between two questions to it."""

    def presence(self) -> Presence:
        """The parts that are there now. Asked every few seconds, and after an error again."""

    def stop(self) -> None:
        """Request that all parts end: they get SIGTERM, and write what they have found."""

    def reasons(self) -> dict[int, str]:
        """Why each part, by its number, has not reported all of its cases, as far as the engine knows."""

    def end(self) -> None:
        """Take away what the engine keeps of the batch. Called once, when nothing more is asked."""


class Submission(Protocol):
    """What begins a batch."""

    def require(self) -> None:
        """Raise HostError if what the engine is driven with is missing here."""

    def dry_run(self) -> str:
        """What `start` would submit, as text."""

    def start(self) -> Engine:
        """Begin all parts. Raises HostError: then none has begun."""
