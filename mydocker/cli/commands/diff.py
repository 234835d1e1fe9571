"""`mydocker diff [ID]`: what a container changed that was kept."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import add_format, show, show_json
from mydocker.errors import StoreError, printable
from mydocker.image.store import Store
from mydocker.runtime.copy import written
from mydocker.runtime.enter.container import NotRunningError
from mydocker.runtime.inspect import kept_container
from mydocker.runtime.inspect.kept_container import Kept
from mydocker.services.containers import trees

HEADINGS = ("ID", "NAME", "SPEC", "KEPT", "CHANGES")


def diff_command(argv: list[str]) -> int:
    """Print the changes of the container that ARGV names, a line each as `docker diff` does; or list those kept; 0.

    1 if there is none.
    """
    options = parser().parse_args(argv)
    store = Store.open(os.environ)
    root = store.root
    if options.id is None:
        _list(kept_container.listed(root), as_json=options.format == "json")
        return 0
    changes = _changes(store, options.id)
    if options.format == "json":
        show_json([{"kind": kind, "path": path} for kind, path in changes])
    for kind, path in changes if options.format == "table" else ():
        print(f"{kind} {printable(path)}")
    return 0


def _changes(store: Store, text: str) -> Sequence[tuple[str, str]]:
    """Those of the container that TEXT means: one in the background, or one that runs; else one that is kept."""
    try:
        with trees.view(store, text, environ=os.environ) as view:
            return written.changes(view)
    except NotRunningError:
        container = kept_container.find(store.root, text)
    if container.problem:
        raise StoreError(container.problem, hint=f"what it wrote is in {container.path}")
    return container.changes


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "diff",
        text="'mydocker run --keep' and 'mydocker test --on-failure keep' keep containers after their end. "
        "A is added, C changed, D deleted.",
        exits=(("0", "printed"), ("1", "there is no such container")),
        examples=(
            ("mydocker run --keep alpine touch /new", "keep what a container wrote"),
            ("mydocker diff", "list what is kept"),
            ("mydocker diff 3f2a", "print the changes of one"),
            ("mydocker diff web", "print what container web has changed up to now"),
        ),
    )
    parser.add_argument(
        "id", nargs="?", metavar="CONTAINER", help="its name or ID; without one, list those that are kept"
    )
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
