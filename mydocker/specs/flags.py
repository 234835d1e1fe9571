"""Flags of a command line, read as pflag reads them, Docker's library for that.

Options end at the first word that is none, or at `--`; one-letter flags join (`-it`), and take their value joined,
after `=`, or as the next word whatever it looks like; switches take a value only after `=`.
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import NoReturn, Protocol

    class Row(Protocol):
        """What a table says of a flag; an empty `metavar` makes it a switch."""

        @property
        def flags(self) -> tuple[str, ...]: ...
        @property
        def metavar(self) -> str: ...


_BOOLEANS = {  # Go's strconv.ParseBool, which Docker's flags go through
    **dict.fromkeys(("1", "t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("0", "f", "F", "false", "False", "FALSE"), False),
}


class Flag(Record):
    """A row of the table of a command other than `run`, whose table is specs/fields.py."""

    flags: tuple[str, ...]
    metavar: str = ""  # of its value; empty: it is true or false
    repeatable: bool = False
    help: str


class Option(Record):
    """A flag of a command line, and its value as text."""

    row: Row
    text: str


HELP = Flag(flags=("-h", "--help"), help="print this text")


def boolean(text: str) -> bool:
    """Raises UsageError."""
    if text not in _BOOLEANS:
        raise UsageError("expected true or false")
    return _BOOLEANS[text]


class Reader:
    """Reads the flags of the table ROWS, by flag. OTHER gets one that is not there, and a message: it returns a row for
    it, or raises. HINT is that of other errors."""

    def __init__(self, rows: Mapping[str, Row], *, hint: str, other: Callable[[str, str], Row]) -> None:
        self.rows, self.hint, self.other = rows, hint, other

    def split(self, argv: list[str], options: list[Option]) -> list[str]:
        """Append the options of ARGV to OPTIONS; the words after them. Raises UsageError."""
        words = list(reversed(argv))  # in reverse order, as popping the last item is cheap
        while words and words[-1].startswith("-") and words[-1] != "-":
            word = words.pop()
            if word == "--":
                break
            options += self._long(word, words) if word.startswith("--") else self._short(word, words)
        return words[::-1]

    def _long(self, text: str, words: list[str]) -> list[Option]:
        flag, equals, value = text.partition("=")
        row = self.rows.get(flag) or self.other(flag, f"unknown flag: {flag}")
        if not equals:
            value = "true" if not row.metavar else self._next(words, f"flag needs an argument: {flag}")
        return [self._checked(row, value)]

    def _short(self, text: str, words: list[str]) -> list[Option]:
        """One-letter flags: any number of switches, then at most one that takes a value."""
        options: list[Option] = []
        letters = text[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = f"-{letter}"
            row = self.rows.get(flag) or self.other(flag, f"unknown shorthand flag: {letter!r} in {text}")
            if letters.startswith("="):
                value, letters = letters[1:], ""
            elif not row.metavar:
                value = "true"
            elif letters:
                value, letters = letters, ""
            else:
                value = self._next(words, f"flag needs an argument: {letter!r} in {text}")
            options.append(self._checked(row, value))
        return options

    def _next(self, words: list[str], missing: str) -> str:
        if not words:
            raise UsageError(missing, hint=self.hint)
        return words.pop()

    def _checked(self, row: Row, text: str) -> Option:
        """An option whose value, if it is a switch, is known to be true or false."""
        if not row.metavar and text not in _BOOLEANS:
            flags = ", ".join(row.flags)
            raise UsageError(f"invalid argument {text!r} for {flags}: expected true or false", hint=self.hint)
        return Option(row=row, text=text)


def read(
    argv: list[str], table: tuple[Flag, ...], *, command: str, instead: Mapping[str, str]
) -> tuple[list[Option], list[str]]:
    """The options of ARGV, what follows COMMAND, by its TABLE, and the words after them. INSTEAD has, by flag, what to
    do in place of one that other tools have. Raises UsageError."""
    rows = {flag: row for row in (*table, HELP) for flag in row.flags}

    def refuse(flag: str, message: str) -> NoReturn:
        raise unknown_option(flag, rows, command=command, instead=instead)

    options: list[Option] = []
    rest = Reader(rows, hint=f"see 'mydocker {command} --help'", other=refuse).split(argv, options)
    return options, rest


def unknown_option(flag: str, known: Collection[str], *, command: str, instead: Mapping[str, str]) -> UsageError:
    """The error about FLAG, which COMMAND does not have."""
    if flag in instead:
        return UsageError(f"{flag} is not supported", hint=instead[flag])
    from mydocker.nearest import nearest, suggested

    near = nearest(flag, {each for each in known if each.startswith("--")}) if flag.startswith("--") else None
    return UsageError(f"unknown option: {flag}" + suggested(near), hint=f"see 'mydocker {command} --help'")


def texts(row: Row, options: list[Option]) -> list[str]:
    """The values of a flag, in their order."""
    return [option.text for option in options if option.row is row]


def last(row: Row, options: list[Option]) -> str | None:
    """The last value of a repeated flag."""
    return next((option.text for option in reversed(options) if option.row is row), None)


def is_on(switch: Row, options: list[Option]) -> bool:
    value = last(switch, options)
    return value is not None and boolean(value)
