"""`mydocker wait CONTAINER...`."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.cli.containers import EXITS, add_containers, for_each
from mydocker.image.store import Store
from mydocker.services.containers import stop
from mydocker.services.containers.find import find_kept


def wait_command(argv: list[str]) -> int:
    """Wait for the end of the containers that ARGV names, one after the other, and print their exit codes."""
    options = parser().parse_args(argv)
    store = Store.open(os.environ)
    return for_each(options.containers, lambda name: str(stop.wait(find_kept(store, name))))


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser("wait", exits=EXITS, examples=(("mydocker wait job", "print its exit code when it has ended"),))
    add_containers(parser)
    return parser
