"""`mydocker pause CONTAINER...`: stop the processes of containers, until they are unpaused."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.cli.containers import EXITS, add_containers, for_each
from mydocker.image.store import Store
from mydocker.services.containers import look


def pause_command(argv: list[str]) -> int:
    """Pause the containers that ARGV names, and print these names; 1 if one could not be."""
    options = parser().parse_args(argv)
    store = Store.open(os.environ)
    return for_each(options.containers, lambda name: look.pause(store, name))


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "pause",
        text="It takes a cgroup that this user may write to. Nothing in the container notices.",
        exits=EXITS,
        examples=(("mydocker pause web", "stop all processes of container web, as they are"),),
    )
    add_containers(parser, "the name or ID of a running container")
    return parser
