"""Images as `docker images` describes them: the fields of its templates, and `--filter KEY=VALUE`."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase

from mydocker.errors import ImageNotFoundError, UsageError, printable
from mydocker.image.model.times import seconds_of
from mydocker.nearest import did_you_mean
from mydocker.record import TYPE_CHECKING
from mydocker.reference import DOCKER_HUB
from mydocker.services.listing.rows import ago, decimal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

NONE = "<none>"
HEADINGS = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "VirtualSize": "SIZE",
}
_KEYS = ("before", "dangling", "label", "reference", "since")
_TRUTHS = {**dict.fromkeys(("true", "1", "t"), True), **dict.fromkeys(("false", "0", "f"), False)}


class ImageRow(dict[str, "Any"]):
    """What `images` lists of one name of an image, and the image's labels."""

    image_labels: Mapping[str, str] = {}


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


def matching(rows: Sequence[ImageRow], words: Sequence[str]) -> list[ImageRow]:
    """Those of ROWS that the filters WORDS let pass: one value of each key, and all labels. Raises UsageError for a
    filter that there is not, ImageNotFoundError for an image that `before` or `since` name."""
    parsed = [_parsed(word) for word in words]
    for key, value in parsed:
        if key in ("before", "since"):
            edge = _created(rows, value)
            rows = [row for row in rows if _is_on_side(row, key, edge)]
    wanted: dict[str, list[str]] = {}
    for key, value in parsed:
        if key not in ("before", "since"):
            wanted.setdefault(f"{key} {value}" if key == "label" else key, []).append(value)
    return [
        row
        for row in rows
        if all(any(_has(row, key.split()[0], each) for each in values) for key, values in wanted.items())
    ]


def _parsed(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals or key not in _KEYS:
        raise UsageError(
            f"--filter {word!r}: unknown key {key!r}" + did_you_mean(key, _KEYS),
            hint=f"expected KEY=VALUE, with one of the keys {', '.join(_KEYS)}",
        )
    if key == "dangling" and value.lower() not in _TRUTHS:
        raise UsageError(f"--filter {word!r}: expected dangling=true or dangling=false")
    return key, value


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
        return (row["tag"] == NONE) is _TRUTHS[value.lower()]
    if key == "label":
        name, equals, text = value.partition("=")
        return name in row.image_labels and (not equals or row.image_labels[name] == text)
    return is_named(row, value)
