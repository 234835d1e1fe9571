"""`-v SRC:DST[:OPTIONS]` and the entries of `volumes`: binds of the host's files into the container.

Whether the source exists is for the runtime to see: a spec may be read on another machine.
"""

from __future__ import annotations

import os

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.spec import words
from mydocker.spec.container import Volume

if TYPE_CHECKING:
    from mydocker.spec.words import Place

PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")

# SELinux relabelling where there is no SELinux, and Docker Desktop's consistency: no effect on Linux in Docker either
_NO_EFFECT = ("z", "Z", "consistent", "cached", "delegated")


def parse_volume(text: str, place: Place) -> Volume:
    """The short form. A source that starts with `.`, `/` or `~` is a path, anything else would be a named volume."""
    source, colon, rest = text.partition(":")
    target, _, options = rest.partition(":")
    if not colon:
        raise UsageError(f"volume {text!r}: anonymous volumes are not supported yet", hint="write SOURCE:TARGET")
    read_only, propagation = _options(text, options.split(",") if options else [])
    return bind(source, target, place, read_only=read_only, propagation=propagation)


def bind(source: str, target: str, place: Place, *, read_only: bool, propagation: str) -> Volume:
    """A Volume of two paths, the source made absolute, the target cleaned as Docker cleans it."""
    if not source:
        raise UsageError("the source of a volume is empty")
    if source[0] not in "./~":
        raise UsageError(
            f"volume {source!r}: named volumes are not supported yet",
            hint=f"write ./{source} for a directory",
        )
    if not target.startswith("/"):
        raise UsageError(f"volume target {target!r} is not an absolute path")
    clean = "/" + os.path.normpath(target).lstrip("/")
    if clean == "/":
        raise UsageError("a volume's target cannot be '/'")
    return Volume(source=words.path(source, place), target=clean, read_only=read_only, propagation=propagation)


def _options(text: str, options: list[str]) -> tuple[bool, str]:
    """(read_only, propagation) from the words after the second colon."""
    access = [x for x in options if x in ("ro", "rw")]
    propagation = [x for x in options if x in PROPAGATIONS]
    for option in options:
        if option == "O":
            raise UsageError(f"volume {text!r}: option 'O' (overlay) is not supported yet")
        if option not in (*access, *propagation, *_NO_EFFECT):
            raise UsageError(f"volume {text!r}: unknown option {option!r}")
    if len(access) > 1 or len(propagation) > 1:
        raise UsageError(f"volume {text!r}: options contradict each other or are given twice")
    return access == ["ro"], (propagation or ["rprivate"])[0]
