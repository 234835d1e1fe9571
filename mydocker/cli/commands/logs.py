"""`mydocker logs CONTAINER`: what a container in the background has written."""

from __future__ import annotations

import os
import sys
import time

from mydocker.cli.common.parser import Parser
from mydocker.errors import LaunchError, UsageError
from mydocker.image.store import Store
from mydocker.number import is_whole_number
from mydocker.services.containers.find import find_kept
from mydocker.services.containers.log_files import LogEntry, read_log, timestamp
from mydocker.services.containers.log_times import instant
from mydocker.services.listing import stored


def logs_command(argv: list[str]) -> int:
    """Print the log of the container that ARGV names, each line on the stream that it was written to; 0."""
    options = parser().parse_args(argv)
    tail = parse_tail(options.tail)
    since, until = (instant(text) if text else "" for text in (options.since, options.until))
    container = find_kept(Store.open(os.environ), options.container)
    logging = container.config.spec.logging
    if logging and logging.driver == "none":
        raise LaunchError(f"container {container.config.title} has no log: its log driver is none")

    def goes_on() -> bool:
        return stored.has_keeper(container.directory) and (not until or timestamp(time.time_ns()) <= until)

    printer = _Printer(timestamps=options.timestamps)
    for entry in read_log(f"{container.directory}/logs", tail=tail, follow=goes_on if options.follow else None):
        if since <= entry.time and (not until or entry.time <= until):
            printer.print(entry)
    return 0


class _Printer:
    """Prints entries, and with TIMESTAMPS the time of each line, not of each part of one."""

    def __init__(self, *, timestamps: bool) -> None:
        self.timestamps = timestamps
        self.inside = {"stdout": False, "stderr": False}  # a line

    def print(self, entry: LogEntry) -> None:
        stamp = f"{entry.time} " if self.timestamps and not self.inside[entry.stream] else ""
        self.inside[entry.stream] = not entry.text.endswith(b"\n")
        stream = sys.stderr if entry.stream == "stderr" else sys.stdout
        stream.buffer.write(stamp.encode() + entry.text)
        stream.buffer.flush()


def parse_tail(text: str) -> int | None:
    """The value of `--tail`; None: all. Raises UsageError."""
    if text == "all":
        return None
    if text.startswith("-") and is_whole_number(text[1:]):
        return None
    if not is_whole_number(text):
        raise UsageError(f"invalid value {text!r} for --tail: expected a number, or all")
    return int(text)


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "logs",
        text="A container has a log if it was started with 'run -d' or by 'up'.",
        exits=(("0", "done"), ("1", "there is no such container, or it has no log"), ("2", "wrong usage")),
        examples=(
            ("mydocker logs -f web", "print what it has written, and what it writes until it ends"),
            ("mydocker logs --tail 20 -t web", "print the last lines, with their times"),
            ("mydocker logs --since 10m web", "print those of the last ten minutes"),
        ),
    )
    parser.add_argument("container", metavar="CONTAINER", help="a name or an ID")
    add_log_options(parser)
    return parser


def add_log_options(parser: Parser) -> None:
    """Which entries of a log are printed, and how."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the container has ended")
    parser.add_argument("-t", "--timestamps", action="store_true", help="print when each line was written")
    parser.add_argument("-n", "--tail", default="all", metavar="N", help="the last N lines (default: all)")
    parser.add_argument("--since", metavar="TIME", help="from then on: a time, or a duration before now such as 10m")
    parser.add_argument("--until", metavar="TIME", help="up to then")
