"""`mydocker compose logs [SERVICE...]`: what the containers of a project have written, each line after its name."""

from __future__ import annotations

import heapq
import queue
import threading

from mydocker.cli.commands.logs import add_log_options, parse_tail
from mydocker.cli.common.parser import Parser
from mydocker.cli.project.members import service_name
from mydocker.cli.project.output import ServiceOutput
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import NUMBER
from mydocker.services.containers.log_files import read_log
from mydocker.services.containers.log_times import instant
from mydocker.services.listing import stored

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from mydocker.cli.project.members import Members
    from mydocker.services.containers import Container
    from mydocker.services.containers.log_files import LogEntry

_AHEAD = 1000  # entries that are read and not yet printed


def show_logs(find: Callable[[], Members], argv: list[str]) -> int:
    """Print the logs of those containers of the project that FIND returns that ARGV means, in the order of time as far
    as they are there; 0. Raises UsageError."""
    options = parser().parse_args(argv)
    tail = parse_tail(options.tail)
    since, until = (instant(text) if text else "" for text in (options.since, options.until))
    members = find()
    found = [each for each in members.of(options.services) if options.index in ("", each.config.labels.get(NUMBER))]
    titles = {each.config.title: _title(members.name, each) for each in found}
    output = ServiceOutput(titles, prefix=not options.no_log_prefix, color=not options.no_color)
    started: dict[tuple[str, str], bytes] = {}  # lines of which the end is still to come
    for name, entry in _followed(found, tail) if options.follow else _merged(found, tail):
        if entry.time < since or (until and entry.time > until):
            continue
        key = name, entry.stream
        line = started.pop(key, b"") or _stamp(options, entry)
        if entry.text.endswith(b"\n"):
            output.show(name, entry.stream == "stderr", line + entry.text)
        else:
            started[key] = line + entry.text
    for (name, stream), line in started.items():
        output.show(name, stream == "stderr", line + b"\n")
    return 0


def _stamp(options: argparse.Namespace, entry: LogEntry) -> bytes:
    return f"{entry.time} ".encode() if options.timestamps else b""


def _title(project: str, container: Container) -> str:
    """What its lines begin with: WEB-1, or the name that the file gives it."""
    usual = f"{service_name(container)}-{container.config.labels.get(NUMBER, '')}"
    return usual if container.config.title == f"{project}-{usual}" else container.config.title


def _entries(container: Container, tail: int | None, *, follow: bool) -> Iterator[tuple[str, LogEntry]]:
    def goes_on() -> bool:
        return stored.has_keeper(container.directory)

    for entry in read_log(f"{container.directory}/logs", tail=tail, follow=goes_on if follow else None):
        yield container.config.title, entry


def _merged(found: list[Container], tail: int | None) -> Iterator[tuple[str, LogEntry]]:
    return heapq.merge(*(_entries(each, tail, follow=False) for each in found), key=lambda item: item[1].time)


def _followed(found: list[Container], tail: int | None) -> Iterator[tuple[str, LogEntry]]:
    """As they come, until all have ended."""
    read: queue.Queue[tuple[str, LogEntry] | None] = queue.Queue(_AHEAD)

    def follow(container: Container) -> None:
        try:
            for item in _entries(container, tail, follow=True):
                read.put(item)
        finally:
            read.put(None)

    for each in found:
        threading.Thread(target=follow, args=(each,), daemon=True).start()
    alive = len(found)
    while alive:
        item = read.get()
        if item is None:
            alive -= 1
        else:
            yield item


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser("compose logs", usage="[OPTIONS] [SERVICE...]", summary="Print what the services have written")
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="a service of the Compose file (default: all)")
    add_log_options(parser)
    parser.add_argument("--index", default="", metavar="NUMBER", help="of the containers of this number alone")
    parser.add_argument("--no-log-prefix", action="store_true", help="print lines without the name of the container")
    parser.add_argument("--no-color", action="store_true", help="print them without colors")
    return parser
