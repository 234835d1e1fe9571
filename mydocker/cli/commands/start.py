"""`mydocker start CONTAINER...`."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.cli.containers import EXITS, add_containers, for_each
from mydocker.errors import UsageError
from mydocker.runtime.launch import open_store
from mydocker.services.containers import control, start
from mydocker.services.containers.find import find_kept
from mydocker.services.notify import unit_ends_clean


def start_command(argv: list[str]) -> int:
    """Start the containers that ARGV names again, and print their names; 1 if one could not be. Attached, the exit code
    of its command."""
    options = parser().parse_args(argv)
    store = open_store(os.environ)
    if options.attach or options.interactive:
        if len(options.containers) != 1:
            raise UsageError("only one container can be attached to")
        from mydocker.cli.containers.attach import follow

        container = find_kept(store, options.containers[0])
        with unit_ends_clean(os.environ):
            connection = start.begin(container, store=store, environ=os.environ, attach=True).wait()
            if connection is None:  # it runs already
                connection = control.attach(container.directory)
            return follow(container, connection, forward_input=options.interactive)

    def begin(name: str) -> None:
        start.begin(find_kept(store, name), store=store, environ=os.environ).wait()

    return for_each(options.containers, begin)


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "start",
        text="What a container has written is still there. Nothing happens to one that runs.",
        exits=EXITS,
        examples=(("mydocker start web", "start it again"), ("mydocker start -a job", "and print what it writes")),
    )
    add_containers(parser)
    parser.add_argument("-a", "--attach", action="store_true", help="print its output until it ends, pass on signals")
    parser.add_argument("-i", "--interactive", action="store_true", help="pass on standard input as well")
    return parser
