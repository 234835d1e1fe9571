"""`mydocker rm CONTAINER...`."""

from __future__ import annotations

import os

from mydocker.cli.common import say
from mydocker.cli.common.parser import Parser
from mydocker.cli.containers import EXITS, add_containers, for_each
from mydocker.errors import LaunchError
from mydocker.image.store import Store
from mydocker.services.containers import stop
from mydocker.services.containers.find import find


def rm_command(argv: list[str]) -> int:
    """Remove the containers that ARGV names, and print their names; 1 if one could not be."""
    options = parser().parse_args(argv)
    store = Store.open(os.environ)

    def remove(name: str) -> str | None:
        try:
            container = find(store, name)
        except LaunchError as error:
            if options.force:
                say(f"warning: {error.message}")
                return ""
            raise
        stop.remove(store, container, force=options.force)
        return None

    return for_each(options.containers, remove)


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "rm",
        text="What a container has written goes with it, and volumes without a name; named volumes stay.",
        exits=EXITS,
        examples=(("mydocker rm web", "remove a container that has ended"), ("mydocker rm -f web", "end it first")),
        instead={"-l": "links are not supported: 'mydocker network disconnect' takes a container out of a network"},
    )
    add_containers(parser)
    parser.add_argument("-f", "--force", action="store_true", help="kill those that run, ignore what does not exist")
    parser.add_argument("-v", "--volumes", action="store_true", help="accepted: volumes without a name go anyway")
    return parser
