"""Python values as nodes: what a program passes instead of a spec file.

Text is taken literally, dollar signs included: a program has variables of its own. The line of every node is the
number of the key that it belongs to, from 1, so that a problem can name its key.
"""

from __future__ import annotations

import collections.abc
import os

from mydocker.errors import ArgumentTypeError, UsageError
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence


def document_of(keys: collections.abc.Mapping[str, object]) -> Mapping:
    """The document that has KEYS. UsageError names a key whose value is of a type that no document holds."""
    entries = []
    for line, (key, value) in enumerate(keys.items(), start=1):
        try:
            entries.append((_scalar(key, line=line), node_of(value, line=line)))
        except UsageError as error:
            raise type(error)(f"{key}: {error.message}") from None
    return Mapping(line=0, column=0, entries=tuple(entries))


def data_at(node: Node, value: object) -> Node:
    """VALUE at the position of NODE."""
    return node_of(value, line=node.line, column=node.column, file=node.file)


def node_of(value: object, *, line: int, column: int = 0, file: str = "") -> Node:
    """The node of a text, number, truth value, path, list or mapping; None is null."""

    def inner(each: object) -> Node:
        return node_of(each, line=line, column=column, file=file)

    if isinstance(value, collections.abc.Mapping):
        pairs = ((_scalar(str(key), line=line, column=column, file=file), inner(each)) for key, each in value.items())
        return Mapping(line=line, column=column, file=file, entries=tuple(pairs))
    if isinstance(value, list | tuple):
        return Sequence(line=line, column=column, file=file, items=tuple(inner(each) for each in value))
    if value is None:
        return Scalar(line=line, column=column, file=file, text="", plain=True)
    if isinstance(value, bool):
        return _scalar(str(value).lower(), line=line, column=column, file=file, plain=True)
    if isinstance(value, int | float):
        return _scalar(str(value), line=line, column=column, file=file, plain=True)
    if isinstance(value, str | os.PathLike) and isinstance(text := os.fspath(value), str):
        return _scalar(text.replace("$", "$$"), line=line, column=column, file=file)
    raise ArgumentTypeError(f"expected text, a number, True or False, a list or a mapping, not {type(value).__name__}")


def _scalar(text: str, *, line: int, column: int = 0, file: str = "", plain: bool = False) -> Scalar:
    if "\0" in text:
        raise UsageError("a NUL character cannot be part of any value")
    if not text.isascii():
        try:
            text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise UsageError("half of a surrogate pair cannot be part of any value") from None
    return Scalar(line=line, column=column, file=file, text=text, plain=plain)
