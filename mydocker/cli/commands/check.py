"""`mydocker check FILE...`: are these spec files right?"""

from __future__ import annotations

import os

from mydocker.cli import NEGATIVE
from mydocker.cli.common.messages import complain, say
from mydocker.cli.common.parser import Parser
from mydocker.errors import SpecError
from mydocker.specs.load.load import load_files


def check_command(argv: list[str]) -> int:
    """0 if every file that ARGV names is valid, 1 and all their mistakes if not."""
    parser = Parser("check", description="Validate spec files: read them as `up` would, and run nothing.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="a spec file; - is standard input")
    parser.add_argument("--image", metavar="IMAGE", help="the image of containers whose files name none")
    options = parser.parse_args(argv)
    try:
        load_files(options.files, environ=os.environ, image=options.image, warn=say)
    except SpecError as error:
        complain(error)
        return NEGATIVE
    return 0
