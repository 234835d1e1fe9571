"""`mydocker test PATH...`: run spec files as a batch, and say which of their expectations hold."""

from __future__ import annotations

import os
import sys
import time

from mydocker.cli.output import complain
from mydocker.cli.parser import Parser
from mydocker.errors import MydockerError, SpecError, UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.smoke.batch import Batch, Limits, exit_code
from mydocker.smoke.case import Case, Result
from mydocker.smoke.collect import collect
from mydocker.smoke.textreport import lines_of, summary
from mydocker.spec.duration import parse_duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

USAGE = 2
INFRASTRUCTURE = 3
NO_TESTS = 5
_EPILOG = "Exit code: 0 all passed, 1 some failed, 2 wrong usage or spec, 3 some could not be judged, 5 no tests."


def test_command(argv: list[str]) -> int:
    """Run the cases that ARGV names; what the verdicts come to as an exit code."""
    try:
        options = _parser().parse_args(argv)
        limits = _limits(options)
        cases = collect(options.paths, environ=os.environ)
    except (UsageError, SpecError) as error:
        complain(error)
        return USAGE
    if not cases:
        complain(MydockerError("there is nothing to test", hint="a folder's tests are its *.smoke.yaml files"))
        return NO_TESTS
    return _run(cases, limits)


def _parser() -> Parser:
    parser = Parser("test", description="Run containers and judge them by what their spec files expect.")
    parser.epilog = _EPILOG
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="a spec file, FILE:LINE for one spec of it, or a folder"
    )
    parser.add_argument("-j", "--jobs", type=_count, metavar="N", help="containers at once (default: processors)")
    parser.add_argument("--maxfail", type=_count, metavar="N", help="begin no more after N have failed")
    parser.add_argument("--timeout", metavar="DURATION", help="end the whole batch after this time")
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 1000):
        raise ValueError
    return int(text)


_count.__name__ = "number"  # argparse names the type of a value that it refuses


def _limits(options: argparse.Namespace) -> Limits:
    return Limits(
        jobs=options.jobs or len(os.sched_getaffinity(0)),
        max_failures=options.maxfail,
        timeout=parse_duration(options.timeout) if options.timeout else None,
    )


def _run(cases: list[Case], limits: Limits) -> int:
    began = time.monotonic()
    batch = Batch(cases, limits=limits, environ=os.environ)
    results: list[Result] = []
    for result in _in_order(batch.results()):
        results.append(result)
        _print(*lines_of(result))
    _print("", summary(results, seconds=time.monotonic() - began))
    return exit_code(results, interrupted=batch.interrupted)


def _in_order(results: Iterator[Result]) -> Iterator[Result]:
    """Results in the order of their cases: each as soon as all before it are there."""
    early: dict[int, Result] = {}
    following = 0
    for result in results:
        early[result.case.number] = result
        while following in early:
            yield early.pop(following)
            following += 1


def _print(*lines: str) -> None:
    print(*lines, sep="\n", flush=True, file=sys.stdout)
