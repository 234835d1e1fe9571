"""`mydocker images`: what is in the store."""

from __future__ import annotations

import json
import os
from fnmatch import fnmatchcase

from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import add_format, show, show_json
from mydocker.errors import StoreError
from mydocker.image.model.progress import megabytes
from mydocker.image.model.times import shown_time
from mydocker.image.store import Store, catalog
from mydocker.image.store.catalog import NamedImage
from mydocker.record import TYPE_CHECKING
from mydocker.reference import DOCKER_HUB, Reference

if TYPE_CHECKING:
    from typing import Any

HEADINGS = ("REPOSITORY", "TAG", "IMAGE ID", "PLATFORM", "CREATED", "SIZE")
NONE = "<none>"


def images_command(argv: list[str]) -> int:
    """Print every image of the store, a line for each name of it; 0."""
    options = parser().parse_args(argv)
    store = Store.open(os.environ)
    rows = [row for image in catalog.images(store) for row in rows_of(store, image)]
    if options.name is not None:
        rows = [row for row in rows if _is_named(row, options.name)]
    if options.quiet:
        for short in dict.fromkeys(_short_id(row) for row in rows):
            print(short)
    elif options.format == "json":
        show_json(rows)
    else:
        show(HEADINGS, [_cells(row) for row in rows])
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "images",
        text="SIZE is that of the unpacked layers.",
        examples=(
            ("mydocker images", "list all images"),
            ("mydocker images 'team/*'", "list those whose name matches a pattern"),
            ("mydocker rmi $(mydocker images -q alpine)", "remove all images of a repository"),
        ),
        instead={
            "--digests": "--format json has the digests",
            "--no-trunc": "--format json has whole IDs",
            "--filter": "give a name or a pattern, as in 'mydocker images \"team/*\"'",
            "-f": "give a name or a pattern, as in 'mydocker images \"team/*\"'",
        },
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a repository, with or without a tag; or a pattern")
    parser.add_argument("-q", "--quiet", action="store_true", help="print IDs only")
    parser.add_argument("-a", "--all", action="store_true", help="accepted for compatibility: all are listed anyway")
    add_format(parser)
    return parser


def rows_of(store: Store, image: NamedImage) -> list[dict[str, Any]]:
    """What is listed of IMAGE, once for each name."""
    try:
        found = catalog.documents(store, image)
    except StoreError:
        return []
    common = {
        "id": str(image.ref.config),
        "digest": str(image.ref.manifest),
        "platform": str(image.platform),
        "created": str(json.loads(found.config).get("created") or ""),
        "size": sum(found.sizes),
        "download": sum(layer.size for layer in found.manifest.layers),
        "pulled": image.ref.when,
    }
    names = [(_repository(tag), tag.tag) for tag in image.tags] or [(_repository(image.digests[0]), NONE)]
    return [{"repository": repository, "tag": tag, **common} for repository, tag in names]


def _is_named(row: dict[str, Any], pattern: str) -> bool:
    """Whether PATTERN is, or matches, the name of ROW with or without its tag."""
    familiar = pattern.removeprefix(f"{DOCKER_HUB}/").removeprefix("library/")
    return any(fnmatchcase(name, familiar) for name in (row["repository"], f"{row['repository']}:{row['tag']}"))


def _short_id(row: dict[str, Any]) -> str:
    return str(row["id"]).removeprefix("sha256:")[:12]


def _repository(name: Reference) -> str:
    return name.replace(tag=None, digest=None).familiar


def _cells(row: dict[str, Any]) -> list[str]:
    created, size = shown_time(row["created"]), megabytes(row["size"])
    return [row["repository"], row["tag"], _short_id(row), row["platform"], created, size]
