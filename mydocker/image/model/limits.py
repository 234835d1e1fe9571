"""Limits: how large a layer may be. What a stranger's image is refused for, before it fills a disk or never ends.

MYDOCKER_LAYER_ENTRIES      files and directories in one layer; the largest images in use have about 300,000
MYDOCKER_LAYER_GIB          GiB of one layer, unpacked; also of its largest sparse file
MYDOCKER_LAYER_DEPTH        directories in one another
MYDOCKER_LAYER_EXPANSION    bytes that one compressed byte may become, once `FREE` bytes have come out
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from mydocker.errors import ImageError, UsageError
from mydocker.number import whole_number
from mydocker.record import Record

_HIGHEST = 10**18 - 1

FREE = 1 << 30  # bytes that may come out whatever went in


class LimitError(ImageError):
    """A layer that is too large. The hint names the variable that allows more."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message, hint=f"if you trust the image, {_variable(name)} allows more")


class Limits(Record):
    """No real layer expands as much: gzip reaches 1,030 to 1, zstd 10,000 to 1, so that 10 MB would fill a disk."""

    entries: int = 1_000_000
    gib: int = 256
    depth: int = 256
    expansion: int = 200

    @property
    def size(self) -> int:
        """Bytes."""
        return self.gib << 30

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """Those that the variables set. UsageError for what is no number above 0."""
        names = ("entries", "gib", "depth", "expansion")
        return cls(**{name: _number(name, environ) for name in names if environ.get(_variable(name))})


def _variable(name: str) -> str:
    return f"MYDOCKER_LAYER_{name.upper()}"


def _number(name: str, environ: Mapping[str, str]) -> int:
    text = environ[_variable(name)]
    number = whole_number(text, _HIGHEST)
    if not number:
        raise UsageError(f"{_variable(name)}={text!r:.100}: expected a whole number above 0")
    return number
