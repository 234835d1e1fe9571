"""A pull's progress on a terminal: a bar for each layer that arrives. The only file that imports rich."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from mydocker.errors import printable
from mydocker.image.model.progress import MOVING, Step
from mydocker.reference import Digest

PERIOD = 0.1  # seconds after which bars are drawn anew


@contextmanager
def bars() -> Iterator[Callable[[Step], None]]:
    """Show steps on stderr until the end of the `with`; what is complete stays as a line above the bars. They are drawn
    by the caller, at each step: a thread would be in the way of those who fork (see download.py)."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(file=sys.stderr, highlight=False)
    tasks: dict[Digest, TaskID] = {}
    drawn = time.monotonic()
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as display:

        def tell(step: Step) -> None:
            nonlocal drawn
            if step.blob and step.kind == MOVING:
                if step.blob not in tasks:
                    tasks[step.blob] = display.add_task(escape(printable(step.text)), total=step.size)
                display.update(tasks[step.blob], completed=step.done)
                if time.monotonic() - drawn > PERIOD:
                    display.refresh()
                    drawn = time.monotonic()
                return
            if step.blob in tasks:
                display.remove_task(tasks.pop(step.blob))
            console.print(escape(printable(step.text)))

        yield tell
