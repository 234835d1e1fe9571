"""Numbers in text of people or files: only ASCII digits count.

int(), float(), isdigit() and `\\d` also take `1_0`, ` 1` and the digits of all scripts, which no format here has.
"""

from __future__ import annotations

_DECIMAL = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?"
_LONGEST = 400  # characters of a number that is no slip


def whole_number(text: str, most: int) -> int | None:
    """The number that TEXT is, from 0 to MOST; None if it is none, or more."""
    if not is_whole_number(text):
        return None
    digits = text.lstrip("0")
    number = int(digits or "0") if len(digits) <= len(str(most)) else most + 1
    return number if number <= most else None


def is_whole_number(text: str) -> bool:
    """Whether TEXT is a number without a sign, however long."""
    return text.isascii() and text.isdigit()


def decimal_number(text: str) -> float | None:
    """The number that TEXT is, perhaps with a sign, a fraction and an exponent; None if it is none."""
    import re

    return float(text) if len(text) <= _LONGEST and re.fullmatch(_DECIMAL, text) else None
