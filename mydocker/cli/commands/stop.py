"""`mydocker stop CONTAINER...`."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.cli.containers import EXITS, add_containers, add_stop, for_each
from mydocker.image.store import Store
from mydocker.services.containers import stop
from mydocker.services.containers.find import find
from mydocker.specs.values.signal import parse_signal


def stop_command(argv: list[str]) -> int:
    """Stop the containers that ARGV names, and print their names; 1 if one could not be."""
    options = parser().parse_args(argv)
    number = parse_signal(options.signal) if options.signal else None
    store = Store.open(os.environ)
    return for_each(
        options.containers, lambda name: stop.stop(find(store, name), number=number, timeout=options.timeout)
    )


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "stop",
        text="Each gets its stop signal, and is killed if it has not ended after its grace period, or N seconds.",
        exits=EXITS,
        examples=(
            ("mydocker stop web db", "stop two containers"),
            ("mydocker stop -t 1 web", "kill it after 1 s"),
        ),
    )
    add_containers(parser)
    add_stop(parser)
    return parser
