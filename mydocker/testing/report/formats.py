"""Reports, for `--report FORMAT=FILE`: formats of the whole batch, and one that is written case by case.

What containers, spec files and registries have written is made harmless for readers of a report by untrusted.py.
"""

from __future__ import annotations

from contextlib import suppress

from mydocker.errors import Origin, UsageError
from mydocker.json_output import dump
from mydocker.record import TYPE_CHECKING
from mydocker.services.case import JudgedCase
from mydocker.testing.parts.line import as_line
from mydocker.testing.report.as_json import as_data, counts
from mydocker.testing.report.text import closing_lines, lines_of
from mydocker.testing.report.workflow import error_command
from mydocker.verdict.finding import ERROR, FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO, Any


def text(results: Sequence[JudgedCase], *, seconds: float) -> str:
    """What `mydocker test` prints."""
    lines = [line for result in results for line in lines_of(result)]
    return "\n".join([*lines, *(line for _, line in closing_lines(results, seconds=seconds))]) + "\n"


def as_json(results: Sequence[JudgedCase], *, seconds: float) -> str:
    """One object: `version` 1, `seconds`, `counts` by verdict, and `cases`."""
    whole = {"version": 1, "seconds": round(seconds, 6), "counts": counts(results)}
    return dump({**whole, "cases": [as_data(result) for result in results]}, indent=1) + "\n"


def github(results: Sequence[JudgedCase], *, seconds: float) -> str:
    """Workflow commands, which GitHub shows at the lines of the spec file."""
    lines = []
    for result in results:
        if result.verdict == ERROR:
            lines.append(_annotation(Origin(file=result.case.file, line=result.case.line), result, result.reason))
        for failure in result.failures if result.verdict == FAILED else ():
            words = f"{failure.about}: expected {failure.expected}, found {failure.actual}"
            if failure.difference:
                words = f"{failure.about}: - expected, + actual\n{failure.difference}"
            lines.append(_annotation(failure.origin, result, words))
    return "".join(lines)


def _annotation(origin: Origin, result: JudgedCase, message: str) -> str:
    return error_command(message, file=origin.file, line=str(origin.line), title=result.case.title) + "\n"


def _junit(results: Sequence[JudgedCase], *, seconds: float) -> str:
    from mydocker.testing.report.junit import junit

    return junit(results, seconds=seconds)


def _tap(results: Sequence[JudgedCase], *, seconds: float) -> str:
    from mydocker.testing.report.tap import tap

    return tap(results, seconds=seconds)


def _markdown(results: Sequence[JudgedCase], *, seconds: float) -> str:
    from mydocker.testing.report.markdown import markdown

    return markdown(results, seconds=seconds)


def _html(results: Sequence[JudgedCase], *, seconds: float) -> str:
    from mydocker.testing.report.html import html

    return html(results, seconds=seconds)


WHOLE: dict[str, Callable[..., str]] = {
    "text": text,
    "tap": _tap,
    "junit": _junit,
    "json": as_json,
    "github": github,
    "html": _html,
    "markdown": _markdown,
}
FORMATS = (*WHOLE, "jsonl")


class Report:
    """One report, written to FILE, open for writing: `add` results as they come, `finish` when all are there."""

    def __init__(self, format: str, file: IO[str], *, path: str) -> None:
        self.format, self.file, self.path = format, file, path

    def begin(self, heading: Mapping[str, Any]) -> None:
        """HEADING says what is to come."""
        if self.format == "jsonl":
            self._write_line(heading)

    def add(self, result: JudgedCase) -> None:
        if self.format == "jsonl":
            self._write_line(as_line(result))

    def _write_line(self, data: Mapping[str, Any]) -> None:
        self.file.write(dump(data) + "\n")
        self.file.flush()

    def finish(self, results: Sequence[JudgedCase], *, seconds: float) -> None:
        """RESULTS are in the order of their cases."""
        if self.format in WHOLE:
            self.file.write(WHOLE[self.format](results, seconds=seconds))
        self.file.flush()


class Reports:
    """All reports of a batch. They are independent: one that cannot be written is given up,
    and `troubles` has the reason."""

    def __init__(self, reports: Sequence[Report]) -> None:
        self.good = [*reports]
        self.troubles: list[str] = []

    @property
    def takes_output(self) -> bool:
        """Whether one of them is written to standard output, where results would be in its way."""
        return any(report.path == "-" and report.format != "github" for report in self.good)

    def begin(self, heading: Mapping[str, Any]) -> None:
        self._each(lambda report: report.begin(heading))

    def add(self, result: JudgedCase) -> None:
        self._each(lambda report: report.add(result))

    def finish(self, results: Sequence[JudgedCase], *, seconds: float) -> None:
        self._each(lambda report: report.finish(results, seconds=seconds))

    def _each(self, write: Callable[[Report], None]) -> None:
        for report in [*self.good]:
            try:
                write(report)
            except OSError as error:
                self._leave(report, error.strerror or str(error))
            except Exception as error:  # a defect of one format must not end the others
                self._leave(report, f"{type(error).__name__}: {error}")

    def _leave(self, report: Report, why: str) -> None:
        self.good.remove(report)
        self.troubles.append(f"cannot write the report {report.path}: {why}")
        with suppress(OSError):  # once more, since closing it writes the rest
            report.file.close()


def parse_target(text: str) -> tuple[str, str]:
    """(format, path) of `--report FORMAT=FILE`; FILE - is standard output."""
    format, equals, path = text.partition("=")
    if format not in FORMATS:
        raise UsageError(f"report {text!r}: expected one of {', '.join(FORMATS)}, as in junit=report.xml")
    if not path:
        raise UsageError(f"report {text!r}: expected a file, as in {format}=FILE; - is standard output")
    return format, path
