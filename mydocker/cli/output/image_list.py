"""Images as `docker images` describes them: the fields of its templates, and `--filter KEY=VALUE`."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase

from mydocker.cli.common.filters import has_label, matching
from mydocker.errors import ImageNotFoundError, printable
from mydocker.image.model.times import seconds_of
from mydocker.record import TYPE_CHECKING
from mydocker.reference import DOCKER_HUB
from mydocker.services.listing.rows import ago, decimal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mydocker.cli.common.filters import Filters

    ImageRow = dict[str, Any]  # what `images` lists of one name of an image

NONE = "<none>"
HEADINGS = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "VirtualSize": "SIZE",
}
_SIDES = ("before", "since")
FILTERS = ("before", "dangling", "label", "reference", "since")


def fields(row: ImageRow, *, trunc: bool) -> dict[str, str]:
    """What a template may name (docker images --format). What it costs Docker to find out, it writes as N/A, too."""
    created, size = seconds_of(row["created"]), decimal(row["size"])
    moment = time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(created))
    return {
        "Containers": "N/A",
        "CreatedAt": moment,
        "CreatedSince": f"{ago(time.time() - created)} ago",
        "Digest": row["digest"],
        "ID": shown_id(row, trunc=trunc),
        "Platform": row["platform"],
        "Repository": printable(row["repository"]),
        "SharedSize": "N/A",
        "Size": size,
        "Tag": row["tag"],
        "UniqueSize": "N/A",
        "VirtualSize": size,
    }


def shown_id(row: ImageRow, *, trunc: bool) -> str:
    return str(row["id"]).removeprefix("sha256:")[:12] if trunc else str(row["id"])


def is_named(row: ImageRow, pattern: str) -> bool:
    """Whether PATTERN is, or matches, the name of ROW with or without its tag."""
    familiar = pattern.removeprefix(f"{DOCKER_HUB}/").removeprefix("library/")
    return any(fnmatchcase(name, familiar) for name in (row["repository"], f"{row['repository']}:{row['tag']}"))


def chosen(rows: Sequence[ImageRow], filters: Filters) -> list[ImageRow]:
    """Those of ROWS that FILTERS let pass. Raises ImageNotFoundError for an image that `before` or `since` name."""
    for key, value in filters:
        if key in _SIDES:
            edge = _created(rows, value)
            rows = [row for row in rows if _is_on_side(row, key, edge)]
    return matching(rows, [each for each in filters if each[0] not in _SIDES], _has)


def _created(rows: Sequence[ImageRow], name: str) -> float:
    """When the image called NAME was created."""
    digits = name.removeprefix("sha256:")
    for row in rows:
        is_latest = row["tag"] == "latest" and row["repository"] == name
        if is_latest or f"{row['repository']}:{row['tag']}" == name or (digits and row["id"][7:].startswith(digits)):
            return seconds_of(row["created"])
    raise ImageNotFoundError(f"image {name} is not in the store", hint="'mydocker images' lists what is")


def _is_on_side(row: ImageRow, side: str, edge: float) -> bool:
    created = seconds_of(row["created"])
    return created < edge if side == "before" else created > edge


def _has(row: ImageRow, key: str, value: str) -> bool:
    if key == "dangling":
        return (row["tag"] == NONE) is (value == "true")
    if key in ("label", "label!"):
        return has_label(row["labels"], value) is (key == "label")
    return is_named(row, value)
