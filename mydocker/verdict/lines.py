"""The lines of a text. A line ends with \\n or \\r\\n and nothing else: `str.splitlines` also splits at a form feed, at
U+0085, U+2028 and others, which programs write inside a line."""

from __future__ import annotations

import re
from itertools import accumulate

_END = re.compile(r"\r?\n")


def split_lines(text: str) -> list[str]:
    """The lines of TEXT without their ends; no empty one after the last end."""
    lines = _END.split(text)
    return lines[:-1] if not lines[-1] else lines


def line_starts(text: str) -> list[int]:
    """Where each line of TEXT begins, and where the text ends."""
    pieces = text.split("\n")
    return [*accumulate((len(piece) + 1 for piece in (pieces[:-1] if not pieces[-1] else pieces)), initial=0)]
