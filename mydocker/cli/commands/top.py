"""`mydocker top CONTAINER [PS OPTIONS]`: the processes of a running container."""

from __future__ import annotations

import os

from mydocker import programs
from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import columns
from mydocker.errors import UsageError
from mydocker.image.store import Store
from mydocker.runtime.inspect.processes import all_pids
from mydocker.services.containers import look

_PID = "PID"
_NARROWEST = 20  # letters of a column, as with docker top


def top_command(argv: list[str]) -> int:
    """Print the lines of ps(1) that are about the container that ARGV names; 0."""
    name, options = (argv[0], argv[1:]) if argv and not argv[0].startswith("-") else ("", argv)
    if not name:
        parser().parse_args(argv)
    with look.running(Store.open(os.environ), name) as view:
        lines = programs.run("ps", *(options or ["-ef"])).decode(errors="surrogateescape").splitlines()
        pids = {str(pid) for pid in all_pids(view.process, view.namespaces)}
    headings = lines[0].split() if lines else []
    if _PID not in headings:
        raise UsageError("the options of ps must print a column PID", hint="as in 'mydocker top web -o pid,args'")
    at, last = headings.index(_PID), len(headings) - 1
    rows = [line.split(maxsplit=last) for line in lines[1:]]
    own = [row + [""] * (len(headings) - len(row)) for row in rows if row[at : at + 1] and row[at] in pids]
    print("\n".join(columns([headings, *own], least=_NARROWEST)))
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "top",
        text="The host's ps lists them, with their numbers on the host; its options may follow (default: -ef).",
        exits=(("0", "printed"), ("1", "the container is not running"), ("2", "wrong usage")),
        examples=(
            ("mydocker top web", "list the processes of container web"),
            ("mydocker top web -o pid,rss,args", "with the columns that ps(1) has for these words"),
        ),
    )
    parser.add_argument("container", metavar="CONTAINER", help="the name or ID of a running container")
    parser.add_argument("options", nargs="*", metavar="PS-OPTION", help="options of ps(1)")
    return parser
