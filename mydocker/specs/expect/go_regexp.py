"""Regular expressions as Go writes them (RE2) become ones of Python's `re` that are found in the same texts.

The two notations look alike and differ in detail: in Go, `$` is the very end, `\\w` is ASCII,
`[[:digit:]]` is a class, `(?i)` may stand anywhere. The grammar is that of Go's package regexp/syntax. The result
has no capturing groups, and means the same with or without MULTILINE.
"""

from __future__ import annotations

import functools
import itertools
import re
import sys
import unicodedata

from mydocker.errors import UsageError
from mydocker.number import whole_number

_Ranges = list[tuple[int, int]]  # of code points, both ends included

_WORD: _Ranges = [(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)]
_PERL: dict[str, _Ranges] = {"d": [(0x30, 0x39)], "s": [(9, 10), (12, 13), (32, 32)], "w": _WORD}
_POSIX: dict[str, _Ranges] = {
    "alnum": [(0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A)],
    "alpha": [(0x41, 0x5A), (0x61, 0x7A)],
    "ascii": [(0, 0x7F)],
    "blank": [(9, 9), (32, 32)],
    "cntrl": [(0, 0x1F), (0x7F, 0x7F)],
    "digit": [(0x30, 0x39)],
    "graph": [(0x21, 0x7E)],
    "lower": [(0x61, 0x7A)],
    "print": [(0x20, 0x7E)],
    "punct": [(0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)],
    "space": [(9, 13), (32, 32)],
    "upper": [(0x41, 0x5A)],
    "word": _WORD,
    "xdigit": [(0x30, 0x39), (0x41, 0x46), (0x61, 0x66)],
}
_CONTROLS = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_ANCHORS = {"A": r"\A", "z": r"\Z", "b": r"(?a:\b)"}
_ANCHORS["B"] = rf"(?!{_ANCHORS['b']})"  # to Python, an empty text has no boundaries and no lack of them
_CATEGORY = re.compile(r"Any|C[cfos]?|L[lmotu]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?")
_REPEAT = re.compile(r"\{(\d+)(?:(,)(\d*))?\}", re.ASCII)
_GROUP = re.compile(r"\((?:\?P?<\w+>|\?([imsU]*)(-[imsU]+)?([:)])|(?!\?))", re.ASCII)
_OCTAL = re.compile(r"[1-7][0-7]{1,2}|0[0-7]{0,2}")
_HEX = re.compile(r"x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))")
_POSIX_CLASS = re.compile(r"\[:(\^?)(\w*):\]")
_UNICODE_CLASS = re.compile(r"\\([pP])(?:\{(\^?)(\w+)\}|(\w))")
_REPEAT_LIMIT = 1000  # Go's


def python_pattern(text: str) -> str:
    """Translate TEXT, a pattern of Go's, into one of Python's. Raises UsageError if TEXT is not a pattern."""
    return _Translation(text).pattern()


class _Translation:
    """A translation of one pattern, from its beginning to its end.

    `pieces` are what it has become so far, each with whether it is to ignore case.
    """

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.flags: frozenset[str] = frozenset()
        self.pieces: list[tuple[bool, str]] = []
        self.outer: list[frozenset[str]] = []  # the flags to go back to at the end of each open group
        self.repeatable = False  # whether the last piece may be repeated

    def pattern(self) -> str:
        while self.at < len(self.text):
            self._next()
        if self.outer:
            raise UsageError("a '(' without its ')'")
        joined = ""
        for ignores, run in itertools.groupby(self.pieces, key=lambda piece: piece[0]):
            inner = "".join(piece for _, piece in run)
            joined += f"(?i:{inner})" if ignores else inner
        return joined

    def _next(self) -> None:
        letter = self.text[self.at]
        repeat = _REPEAT.match(self.text, self.at)
        if letter in "*+?" or repeat:
            self._repeat(repeat[0] if repeat else letter, repeat)
        elif letter == "(":
            self._open()
        elif letter == ")":
            self._close()
        elif letter == "[":
            self._atom(self._class())
        elif letter == "\\":
            self._escape()
        else:
            self.at += 1
            self._plain(letter)

    def _plain(self, letter: str) -> None:
        if letter == "|":
            self._structure("|")
        elif letter == ".":
            self._atom("(?s:.)" if "s" in self.flags else ".")
        elif letter in "^$":
            self._atom(f"(?m:{letter})" if "m" in self.flags else _ANCHORS["A" if letter == "^" else "z"])
        else:
            self._atom(_literal(letter))

    def _atom(self, piece: str) -> None:
        self.pieces.append(("i" in self.flags, piece))
        self.repeatable = True

    def _structure(self, piece: str, *, repeatable: bool = False) -> None:
        """Add a piece that has no upper or lower case; it also ends a piece that ignores case."""
        self.pieces.append((False, piece))
        self.repeatable = repeatable

    def _repeat(self, operator: str, counts: re.Match[str] | None) -> None:
        if not self.repeatable:
            raise UsageError(f"{operator!r} has nothing to repeat")
        numbers = (counts[1], counts[3] or counts[1]) if counts else ()
        limits = [whole_number(number, _REPEAT_LIMIT) for number in numbers]
        if None in limits or limits != sorted(limits, key=lambda limit: limit or 0):
            raise UsageError(f"{operator[:40]!r}: expected at most {_REPEAT_LIMIT}, the smaller number first")
        self.at += len(operator)
        if self.text.startswith("?", self.at):
            operator, self.at = f"{operator}?", self.at + 1
        ignores, piece = self.pieces[-1]
        piece = f"(?:{piece})" if piece in (_ANCHORS["A"], _ANCHORS["z"]) else piece  # Python repeats no bare anchor
        self.pieces[-1] = (ignores, piece + operator)
        self.repeatable = False

    def _open(self) -> None:
        """A group; or flags, which hold until the group that they stand in ends."""
        found = _GROUP.match(self.text, self.at)
        if not found:
            raise UsageError(f"{self.text[self.at : self.at + 4]!r}: Go has no such group")
        self.at = found.end()
        flags = self.flags.union(found[1] or "").difference(found[2] or "")
        if found[3] != ")":
            self.outer.append(self.flags)
            self._structure("(?:")
        self.flags = flags

    def _close(self) -> None:
        if not self.outer:
            raise UsageError("a ')' without its '('")
        self.at += 1
        self.flags = self.outer.pop()
        self._structure(")", repeatable=True)

    def _escape(self) -> None:
        letter = self.text[self.at + 1 : self.at + 2]
        if letter == "Q":
            end = self.text.find("\\E", self.at)
            quoted = self.text[self.at + 2 : end if end >= 0 else len(self.text)]
            self.at += len(quoted) + 4
            for each in quoted:
                self._atom(_literal(each))
        elif letter in _ANCHORS:
            self.at += 2
            self._atom(_ANCHORS[letter])
        else:
            ranges = self._named()
            self._atom(_literal(chr(self._character())) if ranges is None else _class(ranges))

    def _named(self) -> _Ranges | None:
        r"""The class that `\d`, `\pL`, `\p{Lu}` or `[:alpha:]` here stands for; None if none does."""
        if posix := _POSIX_CLASS.match(self.text, self.at):
            if posix[2] not in _POSIX:
                raise UsageError(f"{posix[0]!r}: there is no such class")
            self.at = posix.end()
            return _POSIX[posix[2]] if not posix[1] else _complement(_POSIX[posix[2]])
        letter = self.text[self.at + 1 : self.at + 2]
        if self.text[self.at] != "\\" or not letter:
            return None
        if letter.lower() in _PERL:
            self.at += 2
            return _PERL[letter] if letter in _PERL else _complement(_PERL[letter.lower()])
        if letter in "pP":
            return self._category()
        return None

    def _category(self) -> _Ranges:
        found = _UNICODE_CLASS.match(self.text, self.at)
        name = (found[3] or found[4]) if found else ""
        if not found or not _CATEGORY.fullmatch(name):
            written = self.text[self.at : self.at + 12]
            raise UsageError(f"{written!r}: expected a category of Unicode, such as \\pL or \\p{{Lu}}")
        self.at = found.end()
        ranges = _of_category(name)
        return ranges if (found[1] == "p") != bool(found[2]) else _complement(ranges)

    def _character(self) -> int:
        """The code point of what stands here, or of its escape."""
        if self.text[self.at] != "\\":
            self.at += 1
            return ord(self.text[self.at - 1])
        self.at += 1
        letter = self.text[self.at : self.at + 1]
        if found := _HEX.match(self.text, self.at) or _OCTAL.match(self.text, self.at):
            self.at = found.end()
            point = int(found[1] or found[2], 16) if letter == "x" else int(found[0], 8)
            if point > sys.maxunicode:
                raise UsageError(f"\\{found[0]} is no character")
            return point
        self.at += 1
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if not letter or not letter.isascii() or letter.isalnum():
            raise UsageError(f"'\\{letter}' is no escape of Go's" if letter else "a backslash at the end")
        return ord(letter)

    def _class(self) -> str:
        """From `[` to its `]`, which right after the beginning is a character like others."""
        start = self.at
        self.at += 1
        negated = self.text.startswith("^", self.at)
        self.at += negated
        ranges: _Ranges = []
        while not self.text.startswith("]", self.at) or not ranges:
            if self.at >= len(self.text):
                raise UsageError(f"{self.text[start:]!r}: a '[' without its ']'")
            named = self._named()
            ranges += [self._range()] if named is None else named
        self.at += 1
        return _class(ranges, negated=negated)

    def _range(self) -> tuple[int, int]:
        start = self.at
        low = self._character()
        if not self.text.startswith("-", self.at) or self.text.startswith("]", self.at + 1):
            return low, low
        self.at += 1
        if self.at >= len(self.text):
            raise UsageError("a '[' without its ']'")
        high = self._character()
        if high < low:
            raise UsageError(f"{self.text[start : self.at]!r}: expected the smaller character first")
        return low, high


def _literal(letter: str) -> str:
    return f"\\{letter}" if letter in r".^$*+?{}[]\|()" else letter


def _class(ranges: _Ranges, *, negated: bool = False) -> str:
    parts = (_member(low) if low == high else f"{_member(low)}-{_member(high)}" for low, high in ranges)
    return f"[{'^' * negated}{''.join(parts)}]"


def _member(point: int) -> str:
    letter = chr(point)
    if letter.isalnum():
        return letter
    return f"\\{letter}" if letter.isascii() and letter.isprintable() else f"\\U{point:08x}"


def _complement(ranges: _Ranges) -> _Ranges:
    """All other code points."""
    found, start = [], 0
    for low, high in sorted(ranges):
        found += [(start, low - 1)] if start < low else []
        start = high + 1
    return [*found, (start, sys.maxunicode)] if start <= sys.maxunicode else found


@functools.cache
def _of_category(name: str) -> _Ranges:
    """The code points of a general category, or of all that begin with its letter."""
    prefix = "" if name == "Any" else name
    are = (unicodedata.category(chr(point)).startswith(prefix) for point in range(sys.maxunicode + 1))
    found, start = [], 0
    for belongs, run in itertools.groupby(are):
        end = start + sum(1 for _ in run)
        found += [(start, end - 1)] if belongs else []
        start = end
    return found
