"""`mydocker unpause CONTAINER...`: let paused containers go on."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.cli.containers import EXITS, add_containers, for_each
from mydocker.image.store import Store
from mydocker.services.containers import look


def unpause_command(argv: list[str]) -> int:
    """Let the containers that ARGV names go on, and print these names; 1 if one was not paused."""
    options = parser().parse_args(argv)
    store = Store.open(os.environ)
    return for_each(options.containers, lambda name: look.unpause(store, name))


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "unpause",
        exits=EXITS,
        examples=(("mydocker unpause web", "let container web go on"),),
    )
    add_containers(parser, "the name or ID of a paused container")
    return parser
