"""Step: one event of a pull, a load or a push, for people and for programs."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from typing import Any

    from mydocker.reference import Digest

STARTED = "started"  # the transfer of `image` begins
MOVING = "moving"  # `done` of the `size` bytes of `blob` have been transferred
COMPLETE = "complete"  # `blob` is where it was to go, whether it was transferred or was there already
FINISHED = "finished"  # `image` is there under its name; `blob` is the digest of its manifest
NOTE = "note"
WARNING = "warning"  # for those as well who do not want to see progress


class Step(Record):
    """`kind` is one of the above; `text` is the same event as one line for people. Sizes are bytes."""

    kind: str
    text: str
    image: str = ""
    blob: Digest | None = None
    done: int = 0
    size: int = 0

    def as_json(self) -> dict[str, Any]:
        """The step as plain data, without what does not belong to its kind."""
        data: dict[str, Any] = {"kind": self.kind, "text": self.text}
        if self.image:
            data["image"] = self.image
        if self.blob:
            data["digest"] = str(self.blob)
        if self.kind in (MOVING, COMPLETE):
            data |= {"done": self.done, "size": self.size}
        return data


def silence(step: Step) -> None:
    """Show nothing."""


def megabytes(count: int) -> str:
    """COUNT bytes, in the unit that shows three digits or so."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}" if count < 100 * factor else f"{count / factor:.0f} {unit}"
    return f"{count} B"
