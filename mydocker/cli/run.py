"""`mydocker run [OPTIONS] IMAGE [COMMAND [ARG...]]`."""

from __future__ import annotations

import os
import sys

from mydocker.cli.output import say
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.run import prepare, run
from mydocker.spec.argv import parse_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.image.progress import Step


def run_command(argv: list[str]) -> int:
    """Run one container as ARGV says; its exit code."""
    request = parse_run(argv, environ=os.environ, cwd=working_directory())
    if request.help:
        from mydocker.spec.help import run_help

        print(run_help())
        return 0
    plan = prepare(request.spec, environ=os.environ, progress=progress(), lend_program=True)
    if request.dry_run:
        from mydocker.cli.dryrun import show

        show(plan)
        return 0
    outcome = run(plan)
    if outcome.oom_killed and outcome.signal:
        say("mydocker: out of memory: the container needed more than its memory limit")
    return outcome.status


def working_directory() -> str:
    """The current directory; `/` if it has been removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"


def progress() -> Callable[[Step], None] | None:
    """Where a pull tells what it does: nowhere unless a terminal is watching."""
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    from mydocker.cli.progress import plain

    return plain
