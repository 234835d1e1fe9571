"""Sizes: `64m`, `1.5g`, `512kb` or a bare number of bytes, become bytes.

The notation of `docker run` (docker/go-units, RAMInBytes) and of Compose ("Specifying byte values"): a unit is a
power of 1024, in either case, and may be followed by `b` or `ib`.
"""

from __future__ import annotations

from mydocker.errors import UsageError

_LETTERS = "kmgtp"
_UNITS = {"": 1, "b": 1} | {
    unit: 1024**power for power, letter in enumerate(_LETTERS, 1) for unit in (letter, f"{letter}b", f"{letter}ib")
}
_DIGITS = frozenset("0123456789")
_LIMIT = 2**63 - 1  # what the kernel's counters hold
_LONGEST = 40  # of a number: far more digits than any size has


def parse_size(text: str) -> int:
    """Bytes. Raises UsageError for text that is not a size, or is more than the kernel can count."""
    number = text.lower().rstrip(f"ib{_LETTERS} ")
    unit = text.lower()[len(number) :].strip(" ")
    whole, _, fraction = number.partition(".")
    if not whole or not _DIGITS.issuperset(whole + fraction) or unit not in _UNITS:
        raise UsageError(f"size {text!r}: expected a number of bytes, or a size such as 64m or 1.5g")
    # in whole numbers: a float would lose bytes above 2**53
    total = int(whole + fraction) * _UNITS[unit] // 10 ** len(fraction) if len(number) <= _LONGEST else _LIMIT + 1
    if total > _LIMIT:
        raise UsageError(f"size {text[:_LONGEST]!r} is more than {_LIMIT} bytes")
    return total


def format_size(count: int) -> str | int:
    """`64m`, or a number of bytes."""
    for power, letter in ((4, "t"), (3, "g"), (2, "m"), (1, "k")):
        if count > 0 and count % 1024**power == 0:
            return f"{count // 1024**power}{letter}"
    return count
