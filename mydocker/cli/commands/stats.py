"""`mydocker stats [CONTAINER...]`: what running containers use."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import show
from mydocker.cli.output.go_template import render_all
from mydocker.errors import LaunchError
from mydocker.image.store import Store
from mydocker.json_output import dump
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.inspect.container_view import ContainerView
from mydocker.runtime.inspect.running_container import open_running
from mydocker.runtime.inspect.usage import Usage, usage
from mydocker.services.containers import look
from mydocker.services.listing.rows import decimal, scaled

if TYPE_CHECKING:
    from typing import Any

HEADINGS = {
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
_INTERVAL = 1.0  # seconds between two looks: the load is that of this time
_CLEAR = "\x1b[H\x1b[J"


def stats_command(argv: list[str]) -> int:
    """Print what the containers of ARGV use, again and again until they have ended; 0."""
    options = parser().parse_args(argv)
    store = Store.open(os.environ)
    before: dict[str, Usage] = {}
    first = True
    while True:
        with ExitStack() as opened:
            paths = _directories(store, options.containers) if first or not options.containers else [*before]
            views = dict(_views(paths, opened, strict=first and bool(options.containers)))
            if first:
                before = dict(_looks(views))
                time.sleep(_INTERVAL)
            after = dict(_looks(views))
            rows = [_row(views[each], after[each], before.get(each, after[each])) for each in after]
        _show(rows, options.format, live=not options.no_stream)
        if options.no_stream or (options.containers and not after):
            return 0
        before, first = after, False
        time.sleep(_INTERVAL)


def _views(paths: list[str], opened: ExitStack, *, strict: bool) -> Iterator[tuple[str, ContainerView]]:
    """The views of the containers with run directories PATHS, by these; `strict`: one that does not run is an error."""
    for path in paths:
        try:
            yield path, opened.enter_context(open_running(path))
        except LaunchError:  # it has not begun, or has just ended
            if strict:
                raise


def _directories(store: Store, names: list[str]) -> list[str]:
    if names:
        return [look.run_directory(store, look.find_any(store, name)) for name in names]
    return [f"{store.containers}/{name}" for name in sorted(os.listdir(store.containers))]


def _looks(views: dict[str, ContainerView]) -> Iterator[tuple[str, Usage]]:
    for path, view in views.items():
        try:
            yield path, usage(view)
        except (ProcessLookupError, FileNotFoundError):
            continue


def _row(view: ContainerView, now: Usage, before: Usage) -> dict[str, Any]:
    network = f"{decimal(now.network[0])} / {decimal(now.network[1])}" if now.network else "--"
    name = view.plan.name or view.plan.container_id[:12]
    return {
        "BlockIO": f"{decimal(now.disk[0])} / {decimal(now.disk[1])}",
        "CPUPerc": f"{now.load_since(before) * 100:.2f}%",
        "Container": view.plan.container_id[:12],
        "ID": view.plan.container_id[:12],
        "MemPerc": f"{now.memory / max(now.limit, 1) * 100:.2f}%",
        "MemUsage": f"{_binary(now.memory)} / {_binary(now.limit)}",
        "Name": name,
        "NetIO": network,
        "PIDs": str(now.tasks),
    }


def _show(rows: list[dict[str, Any]], format: str, *, live: bool) -> None:
    if live and format == "table" and sys.stdout.isatty():
        print(_CLEAR, end="")
    if format == "json":
        for row in rows:
            print(dump(row, compact=True))
    elif format == "table":
        show([*HEADINGS.values()], [[row[key] for key in HEADINGS] for row in rows])
    else:
        print(render_all(format, rows, headings=HEADINGS), end="")
    sys.stdout.flush()


def _binary(count: int) -> str:
    return scaled(count, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"), 4)


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "stats",
        text="Of a container without a cgroup of its own, what its processes use is added up. --format takes json, a "
        "line for each container, or a template such as '{{.Name}}: {{.CPUPerc}}'.",
        exits=(("0", "printed"), ("1", "a container is not running"), ("2", "wrong usage")),
        examples=(
            ("mydocker stats", "watch all running containers"),
            ("mydocker stats --no-stream --format json web", "print what container web uses once, for a script"),
        ),
    )
    parser.add_argument("containers", nargs="*", metavar="CONTAINER", help="the name or ID of a running container")
    parser.add_argument("--no-stream", action="store_true", help="print once only")
    parser.add_argument("--format", default="table", metavar="FORMAT", help="table, json or a template")
    parser.add_argument("--no-trunc", action="store_true", help="accepted for compatibility")
    parser.add_argument("-a", "--all", action="store_true", help="accepted for compatibility: others use nothing")
    return parser
