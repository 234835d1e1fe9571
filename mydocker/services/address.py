"""The address of a case, as an argument: FILE, FILE:LINE, or FILE:LINE[V=3.1,W=x] for one of a matrix."""

from __future__ import annotations

import re

from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

_LINE = re.compile(r"(.+):([0-9]{1,9})(?:\[(.*)\])?", re.DOTALL)
_VARIABLE = re.compile(r"([A-Za-z0-9_]+)=([^,]*)", re.DOTALL)


class Address(Record):
    """All specs of `file`, or of these the one that holds `line`: of those that its matrix makes, all with `variables`.

    FILE is `-` for standard input.
    """

    file: str
    line: int | None = None
    variables: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}{self.brackets}"

    @property
    def brackets(self) -> str:
        """The variables with their brackets, if there are any."""
        pairs = ",".join(f"{name}={_encoded(value)}" for name, value in self.variables)
        return f"[{pairs}]" if pairs else ""

    def has(self, matrix: Mapping[str, str]) -> bool:
        """Whether it means one with these variables, too."""
        return all(matrix.get(name) == value for name, value in self.variables)


def parse_address(text: str) -> Address | None:
    """The file and line that TEXT names; None if it names no line."""
    match = _LINE.fullmatch(text)
    if not match:
        return None
    file, line, pairs = match.groups()
    from urllib.parse import unquote

    variables = [_VARIABLE.fullmatch(pair) for pair in pairs.split(",")] if pairs else []
    if not all(variables):
        return None
    decoded = ((each[1], unquote(each[2], errors="surrogateescape")) for each in variables if each)
    return Address(file=file, line=int(line), variables=tuple(decoded))


def _encoded(value: str) -> str:
    """VALUE with special and unprintable characters percent-encoded, as in a URL."""
    from urllib.parse import quote

    return "".join(quote(c, safe="", errors="surrogateescape") if _is_special(c) else c for c in value)


def _is_special(letter: str) -> bool:
    return letter in "%,]" or not letter.isprintable()
