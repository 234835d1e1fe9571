"""What a path of GJSON's notation (see specs/expect/jsonpath.py) leads to in a JSON document."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.expect.jsonpath import read_path

if TYPE_CHECKING:
    from typing import Any

MISSING = object()
_DIGITS = 9  # of an index, at most


def find(document: Any, path: str) -> Any:
    """What PATH leads to in DOCUMENT, or MISSING. `items.#` is a length, `items.#.name` that member of each item."""
    return _follow(document, read_path(path))


def _follow(value: Any, steps: tuple[str | None, ...]) -> Any:
    for number, step in enumerate(steps):
        if step is None:
            if not isinstance(value, list):
                return MISSING
            rest = steps[number + 1 :]
            found = [_follow(item, rest) for item in value]
            return [item for item in found if item is not MISSING] if rest else len(value)
        if isinstance(value, list) and _is_index(step) and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            return MISSING
    return value


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdigit() and len(step) <= _DIGITS
