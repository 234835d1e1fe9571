"""`mydocker report FILE...`: the results of the parts of a batch, put together."""

from __future__ import annotations

import os
from contextlib import ExitStack

from mydocker.cli.commands import USAGE
from mydocker.cli.common import complain, say
from mydocker.cli.common.live_report import Screen
from mydocker.cli.common.parser import Parser
from mydocker.cli.output.reports import add_report, complain_of, open_reports
from mydocker.errors import UsageError
from mydocker.image.store import Store
from mydocker.paths import usable
from mydocker.record import TYPE_CHECKING
from mydocker.testing.batch.batch import exit_code
from mydocker.testing.cases.select import Memory
from mydocker.testing.engines.directory import HEADING
from mydocker.testing.parts.merge import Merge
from mydocker.testing.report.formats import Reports
from mydocker.testing.report.text import closing_lines, styled_lines
from mydocker.verdict.finding import ERROR, FAILED

if TYPE_CHECKING:
    from collections.abc import Iterator

_SUFFIX = ".jsonl"
_EXITS = (
    ("0", "all passed"),
    ("1", "some failed"),
    ("2", "wrong usage, or files that are no reports of one batch"),
    ("3", "nothing failed, but some could not be judged, no part has reported some, or a report could not be written"),
)


def report_command(argv: list[str]) -> int:
    """Print the results in the files that ARGV names, and write reports; the exit code that `test` of all would have,
    3 if a result is missing."""
    with ExitStack() as files:
        try:
            options = parser().parse_args(argv)
            merge = Merge(lambda text: say(f"warning: {text}"))
            _read(options.files, merge)
            merged = merge.finish(_reasons(options.files))
            reports = Reports(open_reports(options.report, files))
        except UsageError as error:
            complain(error)
            return USAGE
        screen = Screen(taken=reports.takes_output, environ=os.environ)
        for result in merged.results:
            reports.add(result)
            if not options.quiet or result.verdict in (FAILED, ERROR):
                screen.show(styled_lines(result))
        Memory(f"{Store.open(os.environ).root}/failed.json").keep(merged.results)
        reports.finish(merged.results, seconds=merged.seconds)
        screen.show(closing_lines(merged.results, seconds=merged.seconds))
    unwritten = complain_of(reports, screen)
    return exit_code(merged.results, interrupted=False) or unwritten


def _read(words: list[str], merge: Merge) -> None:
    """Add the reports that WORDS mean to MERGE. What a part of an engine's batch has run of another one is left out:
    its cases are missing then."""
    for path in _paths(words):
        try:
            merge.add(path, _lines(path))
        except UsageError as error:
            if not os.path.exists(os.path.join(os.path.dirname(path), HEADING)):
                raise
            say(f"warning: {error.message}, and left out")


def _paths(words: list[str]) -> Iterator[str]:
    """The files that WORDS are, or that are in the directories that they are. Raises UsageError."""
    for word in words:
        try:
            if not os.path.isdir(usable(word)):
                yield word
                continue
            names = sorted(name for name in os.listdir(word) if name.endswith(_SUFFIX))
            names.sort(key=lambda name: name != HEADING)
        except OSError as error:
            raise UsageError(f"cannot read {word}: {error.strerror}") from None
        if not names:
            raise UsageError(f"{word} has no files *{_SUFFIX}")
        yield from (os.path.join(word, name) for name in names)


def _reasons(words: list[str]) -> dict[int, str]:
    """Why parts have not reported all, of a batch that an engine runs: in the one directory that WORDS are."""
    if len(words) != 1 or not os.path.isdir(words[0]):
        return {}
    from mydocker.testing.engines.known import reasons_in

    return reasons_in(words[0], os.environ)


def _lines(path: str) -> Iterator[bytes]:
    try:
        with open(usable(path), "rb") as file:
            yield from file
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "report",
        text="The files are reports that 'test --shard K/N --report jsonl=FILE' has written, in any order. What no "
        "part has reported is an error. Of a case that several parts have run, the worst result counts; of one that a "
        "part has run again, the last.",
        exits=_EXITS,
        examples=(
            ("mydocker report part*.jsonl", "print the results of all parts"),
            ("mydocker report parts/ --report junit=all.xml --report html=all.html", "write reports of the whole"),
        ),
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a JSONL report, or a directory of them")
    parser.add_argument("-q", "--quiet", action="store_true", help="show only what did not pass, and the summary")
    add_report(parser)
    return parser
