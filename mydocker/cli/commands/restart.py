"""`mydocker restart CONTAINER...`."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial

from mydocker.cli.common.parser import Parser
from mydocker.cli.containers import EXITS, add_containers, add_stop, for_each
from mydocker.errors import MydockerError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.launch import open_store
from mydocker.services.bound import bound_to
from mydocker.services.containers import start, stop
from mydocker.services.containers.find import find_kept
from mydocker.specs.values.signal import parse_signal

if TYPE_CHECKING:
    from mydocker.image.store import Store


def restart_command(argv: list[str]) -> int:
    """Stop and start the containers that ARGV names, and those that are stopped with them, and print their names; 1 if
    one could not be."""
    options = parser().parse_args(argv)
    number = parse_signal(options.signal) if options.signal else None
    store = open_store(os.environ)

    def again(name: str) -> None:
        container = find_kept(store, name)
        end = partial(stop.stop, container, number=number, timeout=options.timeout, keep=True)
        start.begin(container, store=store, environ=os.environ, first=end).wait()

    return for_each([*options.containers, *_bound_to(options.containers, store)], again)


def _bound_to(names: list[str], store: Store) -> list[str]:
    """The containers that run and are stopped with those called NAMES."""
    containers = []
    for name in names:
        with suppress(MydockerError):  # which is said when it is its turn
            containers.append(find_kept(store, name))
    return [each.config.title for each in bound_to(containers, store)]


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser("restart", exits=EXITS, examples=(("mydocker restart web", "stop it, and start it again"),))
    add_containers(parser)
    add_stop(parser)
    return parser
