"""`mydocker export CONTAINER`: the whole tree of a container as an archive."""

from __future__ import annotations

import os
from functools import partial

from mydocker.cli.common.parser import Parser
from mydocker.cli.output.archives import refuse_terminal, write_archive
from mydocker.image.store import Store
from mydocker.paths import usable
from mydocker.runtime.copy import session
from mydocker.services.containers import trees


def export_command(argv: list[str]) -> int:
    """Write the tree of the container that ARGV names as tar; 0."""
    options = parser().parse_args(argv)
    refuse_terminal(options.output)
    usable(options.output)
    with trees.tree(Store.open(os.environ), options.container, environ=os.environ) as tree:
        write_archive(options.output, partial(session.export, tree))
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
