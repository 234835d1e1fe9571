"""Versions against constraints: `>=1.2 <2`, `~1.4`, `^3 || ^4`; the order is that of Semantic Versioning 2.0.0.

Except for `~` and `^`, the notation is that of goss (blang/semver, ParseRange): `==` is `=`, `!` is `!=`, and `1.x`
stands for all versions from 1.0.0 to before 2.0.0.
"""

from __future__ import annotations

import re

_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?", re.ASCII)
_CONSTRAINT = re.compile(r"(==?|!=?|>=?|<=?|~|\^)?\s*(v?\d[0-9A-Za-z.+-]*)", re.ASCII)
_WILDCARD = re.compile(r"(?<=\d)(?:\.x){1,2}$", re.ASCII)
_LENGTH = 255  # of any version (Semantic Versioning 2.0.0, FAQ); int() refuses thousands of digits
_Key = tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]


def is_version(text: str) -> bool:
    """Whether TEXT is a version."""
    return _key(text) is not None


def satisfies(version: str, constraint: str) -> bool:
    """Whether VERSION meets CONSTRAINT: parts joined by space or comma must all hold, parts joined by || any."""
    key = _key(version)
    if key is None:
        return False
    return any(
        all(_meets(key, op, expected) for op, expected in _CONSTRAINT.findall(choice))
        for choice in constraint.split("||")
    )


def _key(version: str) -> _Key | None:
    """Sorts as versions do: a pre-release lies before its release, numbers in it before words (section 11)."""
    match = _VERSION.fullmatch(version) if len(version) <= _LENGTH else None
    if match is None:
        return None
    numbers = tuple(int(part or 0) for part in match.groups()[:3])
    parts = match[4].split(".") if match[4] else []
    return (
        numbers,
        not parts,
        tuple((not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts),
    )


def _meets(key: _Key, op: str, expected: str) -> bool:
    first = _WILDCARD.sub("", expected)
    want = _key(first)
    if want is None:
        return False
    is_range = first != expected or op in ("~", "^")
    below = key < want
    above = key[0] >= _next(first, op) if is_range else key > want
    if op in (">", ">=", "<", "<="):
        return {">": above, ">=": not below, "<": below, "<=": not above}[op]
    return (below or above) == (op in ("!", "!="))


def _next(expected: str, op: str) -> tuple[int, ...]:
    """The first version after the range: with `^` the next that may break, else the next minor or major one."""
    numbers = [int(part) for part in expected.lstrip("v").split("-")[0].split("+")[0].split(".")]
    if op == "^":
        place = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
    else:
        place = min(1, len(numbers) - 1)
    return (*numbers[:place], numbers[place] + 1)
