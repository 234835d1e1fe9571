"""Python values as nodes: what a program says in place of a spec file.

Text is meant as it stands, dollar signs included: a program has variables of its own. The line of every node is the
number of the key that it belongs to, from 1, so that a problem can be told by its key.
"""

from __future__ import annotations

import collections.abc
import os

from mydocker.errors import UsageError
from mydocker.spec.node import Mapping, Node, Scalar, Sequence


def document_of(keys: collections.abc.Mapping[str, object]) -> Mapping:
    """The document that says KEYS. UsageError names a key whose value is of a type that no document holds."""
    entries = []
    for line, (key, value) in enumerate(keys.items(), start=1):
        try:
            entries.append((_scalar(key, line=line), node_of(value, line=line)))
        except UsageError as error:
            raise UsageError(f"{key}: {error.message}") from None
    return Mapping(line=0, column=0, entries=tuple(entries))


def node_of(value: object, *, line: int) -> Node:
    """The node of a text, number, truth value, path, list or mapping; None is null."""
    if isinstance(value, collections.abc.Mapping):
        pairs = ((_scalar(str(key), line=line), node_of(inner, line=line)) for key, inner in value.items())
        return Mapping(line=line, column=0, entries=tuple(pairs))
    if isinstance(value, list | tuple):
        return Sequence(line=line, column=0, items=tuple(node_of(inner, line=line) for inner in value))
    if value is None:
        return Scalar(line=line, column=0, text="", plain=True)
    if isinstance(value, bool):
        return _scalar(str(value).lower(), line=line, plain=True)
    if isinstance(value, int | float):
        return _scalar(str(value), line=line, plain=True)
    if isinstance(value, str | os.PathLike) and isinstance(text := os.fspath(value), str):
        return _scalar(text.replace("$", "$$"), line=line)
    raise UsageError(f"want text, a number, True or False, a list or a mapping, not {type(value).__name__}")


def _scalar(text: str, *, line: int, plain: bool = False) -> Scalar:
    if "\0" in text:
        raise UsageError("a NUL character cannot be part of any value")
    return Scalar(line=line, column=0, text=text, plain=plain)
