"""`mydocker images`: what is in the store."""

from __future__ import annotations

import json
import os
from typing import Any

from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import add_format, show, show_json
from mydocker.errors import StoreError
from mydocker.image.model.progress import megabytes
from mydocker.image.model.times import shown_time
from mydocker.image.store import catalog
from mydocker.image.store.catalog import NamedImage
from mydocker.image.store.store import Store
from mydocker.reference import Reference

HEADINGS = ("REPOSITORY", "TAG", "IMAGE ID", "PLATFORM", "CREATED", "SIZE")
NONE = "<none>"


def images_command(argv: list[str]) -> int:
    """Print every image of the store, a line for each name of it; 0."""
    parser = Parser("images", description="List the images in the store. SIZE is that of the unpacked layers.")
    add_format(parser)
    options = parser.parse_args(argv)
    store = Store.open(os.environ)
    rows = [row for image in catalog.images(store) for row in _rows(store, image)]
    if options.format == "json":
        show_json(rows)
    else:
        show(HEADINGS, [_cells(row) for row in rows])
    return 0


def _rows(store: Store, image: NamedImage) -> list[dict[str, Any]]:
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


def _repository(name: Reference) -> str:
    return name.replace(tag=None, digest=None).familiar


def _cells(row: dict[str, Any]) -> list[str]:
    short = row["id"].removeprefix("sha256:")[:12]
    return [row["repository"], row["tag"], short, row["platform"], shown_time(row["created"]), megabytes(row["size"])]
