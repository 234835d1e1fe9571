"""Nodes: a YAML document as values with their positions, before they are interpreted.

A scalar keeps its text as it was written: the field, not YAML, decides what `no` or `22:22`
means.
"""

from __future__ import annotations

from mydocker.errors import Origin, Problem
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_NULLS = ("", "~", "null", "Null", "NULL")  # YAML 1.2, section 10.2.1.1


class Node(Record):
    """Where a node begins: line and column, from 1, in the `file` that has this name in messages.

    `tag` is `!reset` or `!override`, as written in a Compose file that lies over another one.
    """

    line: int
    column: int
    file: str = ""  # empty: the one that is being read
    tag: str = ""

    @property
    def origin(self) -> Origin:
        return Origin(file=self.file, line=self.line, column=self.column)

    @property
    def position(self) -> dict[str, Any]:
        """The fields that say where it is, for a node in its place."""
        return {"line": self.line, "column": self.column, "file": self.file}

    def problem(self, message: str, hint: str | None = None, *, outside: bool = False) -> Problem:
        return Problem(origin=self.origin, message=message, hint=hint, outside=outside)


class Scalar(Node):
    """Text; `plain` if it was written without quotes, and so may stand for null."""

    text: str
    plain: bool

    @property
    def is_null(self) -> bool:
        return self.plain and self.text in _NULLS


class Sequence(Node):
    items: tuple[Node, ...]


class Mapping(Node):
    """Keys are distinct; entries keep the order of the file, merged ones (`<<`) last."""

    entries: tuple[tuple[Scalar, Node], ...]

    def get(self, name: str) -> Node | None:
        """The value of the key NAME."""
        return next((value for key, value in self.entries if key.text == name), None)


class AsWritten(str):
    """Text of a file in which variables are not replaced yet: a writer does not double its dollar signs."""


class Bare(str):
    """Text that a writer of YAML puts without quotes: the octal number 0440 is one for any reader then."""


def problem_at(line: int, column: int, message: str) -> Problem:
    return Problem(origin=Origin(line=line, column=column), message=message)


def is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.is_null


def text_at(node: Node, text: str) -> Scalar:
    """TEXT as it is, at the position of NODE: a dollar sign in it begins no variable."""
    return Scalar(**node.position, text=text.replace("$", "$$"), plain=False)


def null_at(node: Node) -> Scalar:
    """Null at the position of NODE."""
    return Scalar(**node.position, text="", plain=True)


def list_at(node: Node, items: Iterable[Node]) -> Sequence:
    return Sequence(**node.position, items=tuple(items))


def mapping_at(node: Node, entries: dict[str, Node]) -> Mapping:
    """A mapping at the position of NODE; each key has the position of its value."""
    pairs = tuple((Scalar(**v.position, text=key, plain=True), v) for key, v in entries.items())
    return Mapping(**node.position, entries=pairs)
