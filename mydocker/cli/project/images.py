"""`mydocker compose images [SERVICE...]`: the images of the containers of a project."""

from __future__ import annotations

import json
import os

from mydocker.cli.commands.images import rows_of
from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import show
from mydocker.image.model.progress import megabytes
from mydocker.image.model.times import shown_time
from mydocker.image.store import Store, catalog
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.cli.project.members import Members
    from mydocker.services.containers import Container

_HEADINGS = ["CONTAINER", "REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE", "CREATED"]
_SHORT = 12  # digits of an ID


def list_images(find: Callable[[], Members], argv: list[str]) -> int:
    """Print those of the containers of the project that FIND returns that ARGV means; 0. Raises UsageError."""
    options = parser().parse_args(argv)
    found = find().of(options.services)
    store = Store.open(os.environ)
    known = [row for image in catalog.images(store) for row in rows_of(store, image)]
    rows = [(each.config.title, _of_container(each, known)) for each in found]
    if options.quiet:
        for name in dict.fromkeys(str(row["id"]).removeprefix("sha256:") for _, row in rows if row):
            print(name)
    elif options.format == "json":
        print(json.dumps([_fields(title, row) for title, row in rows if row]))
    else:
        show(_HEADINGS, [_cells(title, row) for title, row in rows if row])
    return 0


def _of_container(container: Container, known: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of its image, by its own name if that is still there."""
    own = [row for row in known if row["digest"] == container.config.image_digest]
    image = container.config.spec.image
    named = [row for row in own if image and f"{row['repository']}:{row['tag']}" == image.familiar]
    return next(iter((*named, *own)), {})


def _fields(title: str, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "ID": row["id"],
        "ContainerName": title,
        "Repository": row["repository"],
        "Tag": row["tag"],
        "Platform": row["platform"],
        "Size": row["size"],
        "Created": row["created"],
    }


def _cells(title: str, row: dict[str, Any]) -> list[str]:
    short = str(row["id"]).removeprefix("sha256:")[:_SHORT]
    names = [title, row["repository"], row["tag"], row["platform"]]
    return [*names, short, megabytes(row["size"]), shown_time(row["created"])]


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser("compose images", usage="[OPTIONS] [SERVICE...]", summary="List the images that containers have")
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="a service of the Compose file (default: all)")
    parser.add_argument("-q", "--quiet", action="store_true", help="print IDs only")
    parser.add_argument("--format", choices=("table", "json"), help="table (default), or json")
    return parser
