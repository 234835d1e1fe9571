"""How the progress of a pull or a push is shown on stderr: plain lines, JSON, or bars on a terminal."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mydocker.cli.common import is_new, say, warnings_alone
from mydocker.image.model.progress import MOVING, WARNING, Step
from mydocker.json_output import dump
from mydocker.reference import Digest

PERIOD = 0.1  # seconds between two lines about one blob
_PROGRESS = "bars on a terminal and lines of text elsewhere (auto), lines of text, or a line of JSON for each step"


def plain(step: Step) -> None:
    """A line for each step that is complete."""
    if step.kind == WARNING:
        warnings_alone(step)
    elif step.kind != MOVING:
        say(step.text)


class JsonLines:
    """A line of JSON for each step, for programs: `kind`, `text`, and what belongs to its kind (Step.as_json). Of the
    steps in which a blob moves, there is one each PERIOD."""

    def __init__(self) -> None:
        self._due: dict[Digest | None, float] = {}

    def __call__(self, step: Step) -> None:
        now = time.monotonic()
        if step.kind == MOVING:
            if now < self._due.get(step.blob, 0.0):
                return
            self._due[step.blob] = now + PERIOD
        say(dump(step.as_json()))


def add_progress(parser: argparse.ArgumentParser) -> None:
    """The options of every command that shows progress."""
    parser.add_argument("-q", "--quiet", action="store_true", help="print warnings and errors only")
    parser.add_argument("--progress", choices=("auto", "plain", "json"), default="auto", help=_PROGRESS)


@contextmanager
def shown(options: argparse.Namespace) -> Iterator[Callable[[Step], None]]:
    """The function that takes each step of the progress, which is shown as OPTIONS select."""
    if options.quiet:
        yield warnings_alone
    elif options.progress == "json":
        yield JsonLines()
    elif options.progress == "plain" or sys.stderr is None or not sys.stderr.isatty():
        yield plain
    else:
        from mydocker.cli.common.progress_bars import bars

        with bars() as progress:
            yield lambda step: None if step.kind == WARNING and not is_new(step.text) else progress(step)
