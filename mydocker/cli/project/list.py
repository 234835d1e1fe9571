"""`mydocker compose ps [SERVICE...]`: the containers of a project, with their services."""

from __future__ import annotations

import json

from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import show
from mydocker.cli.project.members import service_name
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import STATUSES, described
from mydocker.services.listing import rows
from mydocker.specs.values.port import HIGHEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.cli.project.members import Members
    from mydocker.services.containers import Container

_HEADINGS = {
    "Name": "NAME",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "Service": "SERVICE",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
}


def list_containers(find: Callable[[], Members], argv: list[str]) -> int:
    """Print those of the project that FIND returns that ARGV means; 0. Raises UsageError."""
    options = parser().parse_args(argv)
    members = find()
    wanted = {*options.status, *(text.partition("=")[2] for text in options.filter)}
    found = members.of(options.services)
    if wanted:
        found = [each for each in found if each.state.status in wanted]
    elif not options.all:
        found = [each for each in found if each.is_alive]
    if options.show_services:
        print(*dict.fromkeys(map(service_name, found)), sep="\n", end="\n" if found else "")
    elif options.quiet:
        print(*(each.config.id for each in found), sep="\n", end="\n" if found else "")
    else:
        _show(members.name, found, options.format, trunc=not options.no_trunc)
    return 0


def _show(project: str, found: list[Container], form: str, *, trunc: bool) -> None:
    listed = [_row(project, each, trunc=trunc) for each in found]
    if form == "json":  # an object on each line, as with Compose
        for row in listed:
            print(json.dumps(row))
    elif form == "table":
        show([*_HEADINGS.values()], [[str(row[key]) for key in _HEADINGS] for row in listed])
    else:
        from mydocker.cli.output.go_template import render_all

        print(render_all(form, listed, headings=_HEADINGS), end="")


def _row(project: str, container: Container, *, trunc: bool) -> dict[str, Any]:
    """The fields that Compose has, of its types."""
    own = {
        "Name": container.config.title,
        "Service": service_name(container),
        "Project": project,
        "Health": container.state.health,
        "ExitCode": container.state.exit_code,
        "Publishers": [_publisher(*place) for place in rows.places(container)],
    }
    return described.row(container, trunc=trunc) | own


def _publisher(address: str, number: str, target: str) -> dict[str, Any]:
    port, _, protocol = target.partition("/")
    return {
        "URL": address.strip("[]"),
        "TargetPort": whole_number(port, HIGHEST),
        "PublishedPort": whole_number(number, HIGHEST) or 0,
        "Protocol": protocol,
    }


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser("compose ps", usage="[OPTIONS] [SERVICE...]", summary="List the containers of a project")
    add = parser.add_argument
    add("services", nargs="*", metavar="SERVICE", help="a service of the Compose file (default: all)")
    add("-a", "--all", action="store_true", help="also those that have ended, or never started")
    add("-q", "--quiet", action="store_true", help="print IDs only")
    add("--services", dest="show_services", action="store_true", help="print the services that have any")
    add("--status", action="append", default=[], choices=STATUSES, help="only those in this state (repeatable)")
    filters = [f"status={status}" for status in STATUSES]
    add("--filter", action="append", default=[], choices=filters, metavar="status=STATUS", help="the same")
    add("--no-trunc", action="store_true", help="do not shorten commands")
    add("--format", default="table", metavar="FORMAT", help="table, json, or a template of Go's")
    return parser
