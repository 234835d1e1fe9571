"""`mydocker check PATH...`: validate spec files."""

from __future__ import annotations

import os

from mydocker.cli.commands import NEGATIVE
from mydocker.cli.common import complain
from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import show_json
from mydocker.cli.project.options import add_project, load_cases
from mydocker.errors import Problem, SpecError, UsageError
from mydocker.paths import usable
from mydocker.record import TYPE_CHECKING
from mydocker.testing.cases.collect import files_of
from mydocker.testing.report.workflow import error_command

if TYPE_CHECKING:
    from typing import Any


def check_command(argv: list[str]) -> int:
    """0 if every file that ARGV names is valid, 1 and all their mistakes if not."""
    options = parser().parse_args(argv)
    problems: tuple[Problem, ...] = ()
    try:
        load_cases(options, _files(options.paths), image=options.image, alone=True)
    except SpecError as error:
        problems = error.values
        if options.format == "text":
            complain(error)
    rows = [_row(problem) for problem in problems]
    if options.format == "json":
        show_json(rows)
    for row in rows if options.format == "github" else ():
        print(error_command(row["message"], file=row["file"], line=row["line"], col=row["column"]))
    return NEGATIVE if problems else 0


def _files(paths: list[str]) -> list[str]:
    """PATHS, with the tests in a folder in place of it. Raises UsageError for a folder without any."""
    found = []
    for path in paths:
        if not os.path.isdir(usable(path)):
            found.append(path)
            continue
        below = [*files_of([path])]
        if not below:
            raise UsageError(f"{path}: no *.smoke.yaml files in this folder", hint="name the spec files")
        found += below
    return found


def _row(problem: Problem) -> dict[str, Any]:
    """PROBLEM as data. One of a whole file has neither line nor column."""
    origin, hint = problem.origin, f" ({problem.hint})" if problem.hint else ""
    position = {"file": origin.file or None, "line": origin.line or None, "column": origin.column or None}
    return {**position, "message": problem.message + hint}


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "check",
        text="Files are read as 'mydocker up' reads them; all mistakes are reported at once, as file:line:column. What "
        "is around a file is not judged: that a variable is not set, or another file is not there, is a warning.",
        exits=(("0", "all files are valid"), ("1", "a file has mistakes"), ("2", "wrong usage")),
        examples=(
            ("mydocker check app.yaml", "check a file"),
            ("mydocker check tests", "check the *.smoke.yaml files below a folder"),
            ("mydocker check --format github tests", "annotate the lines of a pull request, in a job of GitHub"),
        ),
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="a spec file, a folder, or - for standard input")
    add_project(parser)
    parser.add_argument("--image", metavar="IMAGE", help="the image of containers whose files name none")
    parser.add_argument(
        "--format", choices=("text", "json", "github"), default="text", help="github: annotations for a job of GitHub"
    )
    return parser
