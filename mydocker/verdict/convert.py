"""Values converted for a matcher, as goss converts them (its matchers/type_conversion.go). A value that cannot be
converted raises InapplicableError."""

from __future__ import annotations

import re

from mydocker.record import TYPE_CHECKING
from mydocker.verdict.lines import split_lines

if TYPE_CHECKING:
    from typing import Any

_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")  # not 1_0, nan or ٣, as float() takes
_DIGITS = 4000  # of a whole number, at most: int() refuses more than 4300
_LARGEST_PLAIN = 1e21  # from here on a number is written with an exponent, as in JSON.stringify


class InapplicableError(Exception):
    """A matcher cannot be applied to a value; the text says why. `whole`: the text is the complete message, without the
    value."""

    def __init__(self, why: str, *, whole: bool = False) -> None:
        super().__init__(why)
        self.whole = whole


def as_number(value: Any) -> float:
    """VALUE, a number or the text of one, as a number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise InapplicableError(f"{_name(value)} is not a number")
    text = value.strip()
    if not _NUMBER.fullmatch(text):
        raise InapplicableError("not a number")
    is_whole = not set(text) & set(".eE")
    return int(text) if is_whole and len(text) <= _DIGITS else float(text)


def as_text(value: Any) -> str:
    """VALUE as text: of a list, a line for each item."""
    if isinstance(value, list):
        return "\n".join(map(_scalar_text, value))
    return _scalar_text(value)


def _scalar_text(value: Any) -> str:
    if value is None or isinstance(value, dict | list):
        raise InapplicableError(f"{_name(value)} is not text")
    return _spellings(value)[0]


def as_list(value: Any, *, lines: bool) -> list[Any]:
    """The items of a list, the values of a mapping, and, where it may be split into LINES, those of a text."""
    if isinstance(value, str) and lines:
        return split_lines(value)
    if isinstance(value, dict):
        return [*value.values()]
    if isinstance(value, list):
        return value
    raise InapplicableError(f"{_name(value)} has no elements")


def is_same(want: str | float | None, value: Any) -> bool:
    """Whether VALUE, of JSON, is the scalar WANT: compared as a number if WANT is a number, as text if WANT is text."""
    if isinstance(want, str):
        if isinstance(value, list):
            return want == as_text(value)
        return not isinstance(value, dict) and value is not None and want in _spellings(value)
    if isinstance(want, bool) or want is None:
        return want is value
    return as_number(value) == want


def _spellings(value: str | float) -> list[str]:
    """The spellings of a scalar as text: the plain one first, then for a number the one that Go prints, which goss
    compares."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    is_whole = isinstance(value, int) or (value.is_integer() and abs(value) < _LARGEST_PLAIN)
    plain = str(int(value)) if is_whole else repr(value)
    return [plain, *_with_exponent(value)]


def _with_exponent(value: float) -> list[str]:
    """The shortest digits that mean VALUE, such as 1.5e+06; none if it is beyond what a float can hold."""
    try:
        number = float(value)
    except OverflowError:
        return []
    forms = (f"{number:.{digits}e}" for digits in range(17))
    return [form for form in forms if float(form) == number][:1]


def _name(value: Any) -> str:
    """The type of VALUE, of JSON, in words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    kinds = {dict: "an object", list: "a list", str: "a text", type(None): "null"}
    return kinds.get(type(value), "a number")
