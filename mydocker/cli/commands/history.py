"""`mydocker history IMAGE`: how an image was made, the last step first."""

from __future__ import annotations

import json
import os
import time

from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import add_template_format, show, show_json
from mydocker.errors import StoreError, printable
from mydocker.image.model.progress import megabytes
from mydocker.image.model.times import seconds_of, shown_time
from mydocker.image.store import Store, catalog
from mydocker.image.store.catalog import NamedImage
from mydocker.record import TYPE_CHECKING
from mydocker.reference import Platform
from mydocker.services.listing.rows import ago, decimal

if TYPE_CHECKING:
    from typing import Any

HEADINGS = ("CREATED", "SIZE", "CREATED BY", "COMMENT")
_FIELDS = {"ID": "IMAGE", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "CreatedBy": "CREATED BY"}
_SHOWN = 80  # characters of a step


def history_command(argv: list[str]) -> int:
    """Print the steps that made the image that ARGV names; 0."""
    options = parser().parse_args(argv)
    platform = Platform.parse(options.platform) if options.platform else None
    store = Store.open(os.environ)
    image = catalog.find(store, options.image, environ=os.environ, platform=platform)[0]
    steps, trunc = _steps(store, image), not options.no_trunc
    if options.quiet:
        for at in range(len(steps)):
            print(_id(image, at, trunc=trunc))
    elif options.format == "json":
        show_json(steps)
    elif options.format != "table":
        from mydocker.cli.output.go_template import render_all

        rows = [_fields(step, _id(image, at, trunc=trunc), trunc=trunc) for at, step in enumerate(steps)]
        print(render_all(options.format, rows, headings=_FIELDS), end="")
    else:
        show(HEADINGS, [_cells(step, trunc=trunc) for step in steps])
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "history",
        exits=(("0", "printed"), ("1", "the image does not exist")),
        examples=(("mydocker history alpine:3.20", "show the steps of a build"),),
    )
    parser.add_argument("image", metavar="IMAGE", help="a name, or the beginning of an ID")
    parser.add_argument("--platform", metavar="OS/ARCH", help="such as linux/arm64 (default: this machine's)")
    parser.add_argument("-q", "--quiet", action="store_true", help="print IDs only: of the image, then <missing>")
    parser.add_argument("--no-trunc", action="store_true", help="do not shorten IDs and steps")
    add_template_format(parser)
    return parser


def _id(image: NamedImage, at: int, *, trunc: bool) -> str:
    """That of step AT: only the last one, which comes first, has made something that there is."""
    if at:
        return "<missing>"
    return image.ref.config.hex[:12] if trunc else str(image.ref.config)


def _fields(step: dict[str, Any], id: str, *, trunc: bool) -> dict[str, str]:
    """What a template may name (docker history --format)."""
    created = seconds_of(step["created"])
    return {
        "ID": id,
        "CreatedSince": f"{ago(time.time() - created)} ago",
        "CreatedAt": step["created"],
        "CreatedBy": printable(_step(step, 45 if trunc else 0)),
        "Size": decimal(step["size"]),
        "Comment": printable(step["comment"]),
    }


def _steps(store: Store, image: NamedImage) -> list[dict[str, Any]]:
    """OCI image-spec "config.md", history: entries and layers go together in order, but for entries of no layer."""
    found = catalog.documents(store, image)
    history = json.loads(found.config).get("history") or []
    if not isinstance(history, list) or not all(isinstance(step, dict) for step in history):
        raise StoreError(f"image {image.ref.config}: its history is not a list of steps")
    layers = zip(found.diff_ids, found.sizes, strict=True)
    steps = []
    for step in history:
        diff_id, size = (None, 0) if step.get("empty_layer") else next(layers, (None, 0))
        words = {key: str(step.get(key) or "") for key in ("created", "created_by", "comment")}
        steps.append({**words, "size": size, "diff_id": str(diff_id) if diff_id else None})
    return steps[::-1]


def _cells(step: dict[str, Any], *, trunc: bool) -> list[str]:
    shown = _step(step, _SHOWN if trunc else 0)
    return [shown_time(step["created"]), megabytes(step["size"]), shown, step["comment"]]


def _step(step: dict[str, Any], length: int) -> str:
    """What was executed, on one line, and shortened to LENGTH letters unless that is 0."""
    command = " ".join(step["created_by"].split())
    return f"{command[: length - 1]}…" if 0 < length < len(command) else command
