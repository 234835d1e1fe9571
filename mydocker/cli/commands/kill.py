"""`mydocker kill CONTAINER...`."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.cli.containers import EXITS, add_containers, for_each
from mydocker.image.store import Store
from mydocker.services.containers import stop
from mydocker.services.containers.find import find
from mydocker.specs.values.signal import parse_signal


def kill_command(argv: list[str]) -> int:
    """Send a signal to the containers that ARGV names, and print their names; 1 if one does not run."""
    options = parser().parse_args(argv)
    number = parse_signal(options.signal)
    store = Store.open(os.environ)
    return for_each(options.containers, lambda name: stop.kill(find(store, name), number))


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "kill",
        text="A container that is killed is not started again by its restart policy.",
        exits=EXITS,
        examples=(
            ("mydocker kill web", "kill it"),
            ("mydocker kill -s HUP web", "send it SIGHUP"),
        ),
    )
    add_containers(parser)
    parser.add_argument("-s", "--signal", default="KILL", metavar="SIGNAL", help="send this signal (default: KILL)")
    return parser
