"""`mydocker attach CONTAINER`: take part in a container in the background."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.cli.containers.attach import follow
from mydocker.errors import LaunchError
from mydocker.image.store import Store
from mydocker.services.containers import control
from mydocker.services.containers.find import find_kept


def attach_command(argv: list[str]) -> int:
    """Print what the container writes from now on, and pass on input and signals; its exit code."""
    options = parser().parse_args(argv)
    container = find_kept(Store.open(os.environ), options.container)
    if not container.is_alive:
        raise LaunchError(
            f"container {container.config.title} is not running", hint=f"mydocker start -a {options.container}"
        )
    connection = control.attach(container.directory)
    return follow(container, connection, forward_input=not options.no_stdin, pass_signals=options.sig_proxy != "false")


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "attach",
        text="Ctrl-P Ctrl-Q leaves a container that has a terminal running; so does closing its input.",
        exits=(("0-255", "the exit code of its command"), ("1", "it does not run")),
        examples=(("mydocker attach web", "see what it writes from now on"),),
    )
    parser.add_argument("container", metavar="CONTAINER", help="a name or an ID")
    parser.add_argument("--no-stdin", action="store_true", help="pass on no input")
    parser.add_argument(
        "--sig-proxy", nargs="?", const="true", default="true", metavar="BOOL", help="pass on signals (default: true)"
    )
    return parser
