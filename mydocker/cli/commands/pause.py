"""`mydocker pause CONTAINER...`: stop the processes of containers, until they are unpaused."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.image.store import Store
from mydocker.services.containers import look


def pause_command(argv: list[str]) -> int:
    """Pause the containers that ARGV names, and print these names; 0."""
    options = parser().parse_args(argv)
    for name in options.containers:
        look.pause(Store.open(os.environ), name)
        print(name)
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "pause",
        text="It takes a cgroup that this user may write to. Nothing in the container notices.",
        exits=(("0", "done"), ("1", "a container is not running"), ("125", "this host cannot pause it")),
        examples=(("mydocker pause web", "stop all processes of container web, as they are"),),
    )
    parser.add_argument("containers", nargs="+", metavar="CONTAINER", help="the name or ID of a running container")
    return parser
