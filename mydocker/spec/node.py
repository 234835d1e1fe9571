"""Nodes: a YAML document as values with their places, before anything is made of them.

A scalar keeps its text as it was written: what `no` or `22:22` means is for the field to say that it
stands in, never for YAML.
"""

from __future__ import annotations

from mydocker.record import Record

_NULLS = ("", "~", "null", "Null", "NULL")  # YAML 1.2, section 10.2.1.1


class Problem(Record):
    """Something wrong in a file, at a line and a column counted from 1."""

    line: int
    column: int
    message: str


class Node(Record):
    """Where a node begins: line and column, from 1."""

    line: int
    column: int

    def problem(self, message: str) -> Problem:
        return Problem(line=self.line, column=self.column, message=message)


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
