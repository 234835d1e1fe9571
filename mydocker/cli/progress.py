"""How a pull's progress is shown: plain lines, or bars on a terminal."""

from __future__ import annotations

from mydocker.cli.output import say
from mydocker.image.progress import Step


def plain(step: Step) -> None:
    """A line for each step that is complete."""
    if step.ended:
        say(step.text)
