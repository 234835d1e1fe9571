"""`mydocker history IMAGE`: how an image was made, the last step first."""

from __future__ import annotations

import json
import os

from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import add_format, show, show_json
from mydocker.errors import StoreError
from mydocker.image.model.progress import megabytes
from mydocker.image.model.times import shown_time
from mydocker.image.store import Store, catalog
from mydocker.image.store.catalog import NamedImage
from mydocker.record import TYPE_CHECKING
from mydocker.reference import Platform

if TYPE_CHECKING:
    from typing import Any

HEADINGS = ("CREATED", "SIZE", "CREATED BY", "COMMENT")
_SHOWN = 80  # characters of a step


def history_command(argv: list[str]) -> int:
    """Print the steps that made the image that ARGV names; 0."""
    options = parser().parse_args(argv)
    platform = Platform.parse(options.platform) if options.platform else None
    store = Store.open(os.environ)
    steps = _steps(store, catalog.find(store, options.image, environ=os.environ, platform=platform)[0])
    if options.format == "json":
        show_json(steps)
    else:
        show(HEADINGS, [_cells(step) for step in steps])
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
    add_format(parser)
    return parser


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


def _cells(step: dict[str, Any]) -> list[str]:
    command = " ".join(step["created_by"].split())
    shown = command if len(command) <= _SHOWN else f"{command[: _SHOWN - 1]}…"
    return [shown_time(step["created"]), megabytes(step["size"]), shown, step["comment"]]
