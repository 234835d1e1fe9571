"""The reports that `test` and `report` write: their option, and the files."""

from __future__ import annotations

import os
import stat
import sys

from mydocker.cli.common import complain
from mydocker.errors import MydockerError, UsageError
from mydocker.paths import stream, usable
from mydocker.record import TYPE_CHECKING
from mydocker.testing.report.formats import FORMATS, Report, parse_target

if TYPE_CHECKING:
    from contextlib import ExitStack
    from typing import IO

    from mydocker.cli.common.live_report import Screen
    from mydocker.cli.common.parser import Parser
    from mydocker.testing.report.formats import Reports

UNWRITTEN = 3  # where nothing failed but a report
EXITS = (
    ("0", "all passed"),
    ("1", "some failed"),
    ("2", "wrong usage, or a mistake in a spec file"),
    ("3", "some could not be judged, or a report not be written"),
    ("5", "there is nothing to test"),
    ("130", "interrupted"),
)


def add_report(parser: Parser) -> None:
    parser.add_argument(
        "--report",
        action="append",
        default=[],
        metavar="FORMAT=FILE",
        help=f"write a report ({', '.join(FORMATS)}) to FILE, - for standard output; may be repeated",
    )


def complain_of(reports: Reports, screen: Screen) -> int:
    """Print what could not be written; UNWRITTEN, or 0 if there is nothing."""
    troubles = [*reports.troubles, *filter(None, [screen.trouble])]
    for trouble in troubles:
        complain(MydockerError(trouble))
    return UNWRITTEN if troubles else 0


def open_reports(words: list[str], files: ExitStack) -> list[Report]:
    """Opened before anything runs, so that a wrong path costs no time. They are UTF-8, whatever a terminal has."""
    targets = [(word, *parse_target(word)) for word in words]
    for word, _, path in targets:
        if path == "-" and sys.stdout is None:
            raise UsageError(f"cannot write the report {word}: standard output is closed")
        if path != "-":
            usable(path)
    reports: list[Report] = []
    made: list[str] = []
    for _, format, path in targets:
        is_new = path != "-" and not os.path.lexists(path)
        try:
            # not yet emptied: another one may turn out to be wrong
            file = _opened(path)
        except OSError as error:
            for each in made:
                os.unlink(each)
            raise UsageError(f"cannot write the report {path}: {error.strerror}") from None
        made += [path] if is_new else []
        reports.append(Report(format, files.enter_context(file), path=path))
    for report in reports:
        added_to = report.path == "-" or stream(report.path) is not None or _is_summary(report.path)
        if stat.S_ISREG(os.fstat(report.file.fileno()).st_mode) and not added_to:
            report.file.truncate(0)
    return reports


def _opened(path: str) -> IO[str]:
    descriptor = sys.stdout.fileno() if path == "-" else stream(path)
    target, mode = (path, "a") if descriptor is None else (descriptor, "w")
    return open(target, mode, encoding="utf-8", errors="backslashreplace", closefd=descriptor is None)


def _is_summary(path: str) -> bool:
    """Whether PATH is the summary of a step of a GitHub job, to which each of its commands may add."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY", "")
    return bool(summary) and os.path.realpath(path) == os.path.realpath(summary)
