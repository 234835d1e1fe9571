"""`mydocker diff [ID]`: what a container changed that was kept."""

from __future__ import annotations

import os
import time

from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import add_format, show, show_json
from mydocker.errors import StoreError, printable
from mydocker.image.store import Store
from mydocker.runtime.inspect import kept_container
from mydocker.runtime.inspect.kept_container import Kept

HEADINGS = ("ID", "NAME", "SPEC", "KEPT", "CHANGES")


def diff_command(argv: list[str]) -> int:
    """Print the changes of the container that ARGV names, a line each as `docker diff` does; or list those kept; 0.

    1 if there is none.
    """
    options = parser().parse_args(argv)
    root = Store.open(os.environ).root
    if options.id is None:
        _list(kept_container.listed(root), as_json=options.format == "json")
        return 0
    container = kept_container.find(root, options.id)
    if container.problem:
        raise StoreError(container.problem, hint=f"what it wrote is in {container.path}")
    changes = container.changes
    if options.format == "json":
        show_json([{"kind": kind, "path": path} for kind, path in changes])
    for kind, path in changes if options.format == "table" else ():
        print(f"{kind} {printable(path)}")
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "diff",
        text="'mydocker run --keep' and 'mydocker test --on-failure keep' keep containers. "
        "A is added, C changed, D deleted.",
        exits=(("0", "printed"), ("1", "there is no such container")),
        examples=(
            ("mydocker run --keep alpine touch /new", "keep what a container wrote"),
            ("mydocker diff", "list what is kept"),
            ("mydocker diff 3f2a", "print the changes of one"),
        ),
    )
    parser.add_argument("id", nargs="?", metavar="ID", help="the beginning of its id; without one, list all")
    add_format(parser)
    return parser


def _list(containers: list[Kept], *, as_json: bool) -> None:
    if as_json:
        show_json([{**each.as_dict(), "changes": None if each.problem else len(each.changes)} for each in containers])
        return
    rows = [
        (each.id, each.title, each.origin, _when(each.created), "-" if each.problem else str(len(each.changes)))
        for each in containers
    ]
    show(HEADINGS, rows)


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
