"""`mydocker export CONTAINER`: the whole tree of a container as an archive."""

from __future__ import annotations

import os
import sys

from mydocker.cli.common.parser import Parser
from mydocker.errors import UsageError
from mydocker.image.store import Store
from mydocker.runtime.copy import session
from mydocker.services.containers import trees


def export_command(argv: list[str]) -> int:
    """Write the tree of the container that ARGV names as tar; 0."""
    options = parser().parse_args(argv)
    if options.output == "-" and sys.stdout.isatty():
        raise UsageError("an archive is not written to a terminal", hint="name a file with -o, or redirect the output")
    with trees.tree(Store.open(os.environ), options.container, environ=os.environ) as tree:
        if options.output == "-":
            session.export(tree, sys.stdout.buffer)
            return 0
        with open(options.output, "wb") as file:
            session.export(tree, file)
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "export",
        text="Volumes and other mounts are not in it, but for their mount points, as with 'docker export'.",
        exits=(("0", "written"), ("1", "the container does not exist"), ("2", "wrong usage")),
        examples=(("mydocker export web | tar -t", "list all files of container web"),),
    )
    parser.add_argument("-o", "--output", default="-", metavar="FILE", help="the archive (default: standard output)")
    parser.add_argument("container", metavar="CONTAINER", help="the name or ID of a container")
    return parser
