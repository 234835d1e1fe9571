"""`mydocker unpause CONTAINER...`: let paused containers go on."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.image.store import Store
from mydocker.services.containers import look


def unpause_command(argv: list[str]) -> int:
    """Let the containers that ARGV names go on, and print these names; 0."""
    options = parser().parse_args(argv)
    for name in options.containers:
        look.unpause(Store.open(os.environ), name)
        print(name)
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "unpause",
        exits=(("0", "done"), ("1", "a container is not running"), ("125", "a container is not paused")),
        examples=(("mydocker unpause web", "let container web go on"),),
    )
    parser.add_argument("containers", nargs="+", metavar="CONTAINER", help="the name or ID of a paused container")
    return parser
