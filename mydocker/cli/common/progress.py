"""How the progress of a pull or a push is shown on stderr: plain lines, or bars on a terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mydocker.cli.common.messages import is_new, say, warnings_alone
from mydocker.image.model.progress import Step


def plain(step: Step) -> None:
    """A line for each step that is complete."""
    if step.warning:
        warnings_alone(step)
    elif step.ended:
        say(step.text)


def add_progress(parser: argparse.ArgumentParser) -> None:
    """The options of every command that shows progress."""
    parser.add_argument("-q", "--quiet", action="store_true", help="print warnings and errors only")
    parser.add_argument("--progress", choices=("auto", "plain"), default="auto", help="bars, or lines of text")


@contextmanager
def shown(options: argparse.Namespace) -> Iterator[Callable[[Step], None]]:
    """What to tell the progress to, while it is shown as OPTIONS say."""
    if options.quiet:
        yield warnings_alone
    elif options.progress == "plain" or sys.stderr is None or not sys.stderr.isatty():
        yield plain
    else:
        from mydocker.cli.common.progress_bars import bars

        with bars() as progress:
            yield lambda step: None if step.warning and not is_new(step.text) else progress(step)
