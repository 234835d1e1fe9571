"""`mydocker check FILE...`: are these spec files right?"""

from __future__ import annotations

import os

from mydocker.cli.output import complain
from mydocker.cli.parser import Parser
from mydocker.errors import SpecError, UsageError
from mydocker.spec.load import load_files

NEGATIVE = 1
USAGE = 2


def check_command(argv: list[str]) -> int:
    """0 if every file that ARGV names is valid, 1 and all their mistakes if not, 2 for a bad command line."""
    parser = Parser("check", description="Validate spec files: read them as `up` would, and run nothing.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="a spec file; - is standard input")
    try:
        load_files(parser.parse_args(argv).files, environ=os.environ)
    except UsageError as error:
        complain(error)
        return USAGE
    except SpecError as error:
        complain(error)
        return NEGATIVE
    return 0
