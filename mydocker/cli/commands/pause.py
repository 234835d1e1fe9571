"""`mydocker pause CONTAINER...`: stop the processes of containers, until they are unpaused."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.image.store import Store
from mydocker.runtime.cgroup.freezer import freeze
from mydocker.runtime.inspect.processes import all_pids
from mydocker.runtime.inspect.running_container import find_running, open_running


def pause_command(argv: list[str]) -> int:
    """Pause the containers that ARGV names, and print these names; 0."""
    options = parser().parse_args(argv)
    for name in options.containers:
        pause(Store.open(os.environ).containers, name)
        print(name)
    return 0


def pause(containers: str, name: str) -> None:
    """Pause the running container NAME."""
    with open_running(find_running(containers, name)) as view:
        freeze(view.plan, lambda: all_pids(view.process, view.namespaces))


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
