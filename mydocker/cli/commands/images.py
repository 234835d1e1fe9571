"""`mydocker images`: what is in the store."""

from __future__ import annotations

import json
import os

from mydocker.cli.common.filters import add_filter, filters_of
from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import add_template_format, show, show_json
from mydocker.cli.output.image_list import FILTERS, HEADINGS, NONE, chosen, fields, is_named, shown_id
from mydocker.errors import StoreError
from mydocker.image.model.progress import megabytes
from mydocker.image.model.times import shown_time
from mydocker.image.store import Store, catalog
from mydocker.image.store.catalog import NamedImage
from mydocker.record import TYPE_CHECKING
from mydocker.reference import Reference

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from typing import Any

    from mydocker.cli.output.image_list import ImageRow


def images_command(argv: list[str]) -> int:
    """Print every image of the store, a line for each name of it; 0."""
    options = parser().parse_args(argv)
    store = Store.open(os.environ)
    rows = [row for image in catalog.images(store) for row in rows_of(store, image)]
    if options.name is not None:
        rows = [row for row in rows if is_named(row, options.name)]
    rows = chosen(rows, filters_of(options))
    if options.quiet:
        for each in dict.fromkeys(shown_id(row, trunc=not options.no_trunc) for row in rows):
            print(each)
    elif options.format == "json":
        show_json(rows)
    elif options.format != "table":
        from mydocker.cli.output.go_template import render_all

        described = [fields(row, trunc=not options.no_trunc) for row in rows]
        print(render_all(options.format, described, headings=HEADINGS), end="")
    else:
        _show(rows, options)
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "images",
        text="SIZE is that of the unpacked layers.",
        examples=(
            ("mydocker images", "list all images"),
            ("mydocker images 'team/*'", "list those whose name matches a pattern"),
            ("mydocker images --format '{{.Repository}}:{{.Tag}}'", "print what a template says"),
            ("mydocker rmi $(mydocker images -q alpine)", "remove all images of a repository"),
        ),
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a repository, with or without a tag; or a pattern")
    parser.add_argument("-q", "--quiet", action="store_true", help="print IDs only")
    parser.add_argument("-a", "--all", action="store_true", help="accepted for compatibility: all are listed anyway")
    add_filter(parser, FILTERS, "-f")
    parser.add_argument("--no-trunc", action="store_true", help="print whole IDs")
    parser.add_argument("--digests", action="store_true", help="print the digests of the manifests, too")
    add_template_format(parser)
    return parser


def rows_of(store: Store, image: NamedImage) -> list[ImageRow]:
    """What is listed of IMAGE, once for each name."""
    try:
        found = catalog.documents(store, image)
    except StoreError:
        return []
    config = json.loads(found.config)
    common = {
        "id": str(image.ref.config),
        "digest": str(image.ref.manifest),
        "platform": str(image.platform),
        "created": str(config.get("created") or ""),
        "size": sum(found.sizes),
        "download": sum(layer.size for layer in found.manifest.layers),
        "pulled": image.ref.when,
        "labels": _labels(config),
    }
    names = [(_repository(tag), tag.tag) for tag in image.tags] or [(_repository(image.digests[0]), NONE)]
    return [{"repository": repository, "tag": tag, **common} for repository, tag in names]


def _labels(config: Mapping[str, Any]) -> dict[str, str]:
    """As far as they are what they should be: nobody has checked the document."""
    settings = config.get("config")
    labels = settings.get("Labels") if isinstance(settings, dict) else None
    return {name: str(value) for name, value in labels.items()} if isinstance(labels, dict) else {}


def _repository(name: Reference) -> str:
    return name.replace(tag=None, digest=None).familiar


def _show(rows: list[ImageRow], options: argparse.Namespace) -> None:
    """As a table, in which --digests has a column of its own."""
    headings = ["REPOSITORY", "TAG", "IMAGE ID", "PLATFORM", "CREATED", "SIZE"]
    cells = [_cells(row, trunc=not options.no_trunc) for row in rows]
    if options.digests:
        for line, digest in zip([headings, *cells], ["DIGEST", *(row["digest"] for row in rows)], strict=True):
            line.insert(2, digest)
    show(headings, cells)


def _cells(row: ImageRow, *, trunc: bool) -> list[str]:
    created, size = shown_time(row["created"]), megabytes(row["size"])
    return [row["repository"], row["tag"], shown_id(row, trunc=trunc), row["platform"], created, size]
