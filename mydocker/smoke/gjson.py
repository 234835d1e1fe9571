"""Paths into JSON in the notation of GJSON: names and indices joined by dots, `#` for a length, `\\` before a dot.

`items.0.name`, `items.#`, `items.#.name` (that member of each item). Its queries and modifiers are not read.
"""

from __future__ import annotations

import re

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

MISSING = object()


def find(document: Any, path: str) -> Any:
    """What PATH leads to in DOCUMENT, or MISSING."""
    names = [re.sub(r"\\(.)", r"\1", part) for part in re.findall(r"(?:[^.\\]|\\.)+", path)]
    return _follow(document, names)


def _follow(value: Any, names: list[str]) -> Any:
    for number, name in enumerate(names):
        if name == "#" and isinstance(value, list):
            rest = names[number + 1 :]
            if not rest:
                return len(value)
            found = [_follow(item, rest) for item in value]
            return [item for item in found if item is not MISSING]
        if isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict) and name in value:
            value = value[name]
        else:
            return MISSING
    return value
