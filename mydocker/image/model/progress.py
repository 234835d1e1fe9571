"""Step: what a pull tells about itself while it works."""

from __future__ import annotations

from mydocker.record import Record
from mydocker.reference import Digest


class Step(Record):
    """`text` is one line. While a blob arrives, steps say how many of its bytes are `done`; the last one is `ended`.
    A `warning` is for those as well who do not want to know of progress."""

    text: str
    blob: Digest | None = None
    done: int = 0
    size: int = 0
    ended: bool = True
    warning: bool = False


def silence(step: Step) -> None:
    """For those who do not want to know."""


def megabytes(count: int) -> str:
    """COUNT bytes, in the unit that shows three digits or so."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}" if count < 100 * factor else f"{count / factor:.0f} {unit}"
    return f"{count} B"
