"""The question before something is removed for good."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from mydocker.errors import UsageError, printable


def confirmed(names: Iterable[str], *, what: str, loss: str = "") -> bool:
    """Whether the user agrees that NAMES are removed: WHAT they are, and the LOSS. UsageError without a terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"there is no terminal to confirm that {what} are removed{loss}", hint="add --force")
    answer = input(f"remove {printable(', '.join(names))}{loss and ' with all their contents'}? [y/N] ")
    return answer.strip().lower() in ("y", "yes")
