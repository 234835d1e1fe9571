"""Messages between mydocker's processes: a Record is a line of JSON, `["Kind", {fields}]`, and becomes a Record again.

A message has fields of the types in _TYPES. The receiver names the kinds of messages that it expects; what is
none of these, lacks a field or has one of another type is no message. Not on the warm path, which does without JSON.
"""

from __future__ import annotations

import json
import os

from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from typing import Any, TypeVar

    Message = TypeVar("Message", bound=Record)

_TEXTS = "tuple[str, ...]"
_TYPES: dict[str, tuple[type, ...]] = {  # by their names in the declaration of a field
    "bool": (bool,),
    "int": (int,),
    "int | None": (int, type(None)),
    "float": (float, int),
    "str": (str,),
    _TEXTS: (list,),
    "dict[str, Any]": (dict,),
}


def encode(message: Record) -> bytes:
    """MESSAGE as one line. It is preceded by an end of line: the one before may have been cut off."""
    return b"\n" + json.dumps([type(message).__name__, message.as_dict()]).encode() + b"\n"


def decode(line: bytes, *kinds: type[Message]) -> Message | None:
    """The message that LINE is, if it is one of KINDS."""
    try:
        name, values = json.loads(line)
    except (ValueError, TypeError, RecursionError):
        return None
    kind = next((each for each in kinds if each.__name__ == name), None)
    if kind is None or not isinstance(values, dict) or values.keys() != set(kind.fields):
        return None
    fields: dict[str, Any] = values
    for name, text in _types(kind).items():
        if type(fields[name]) not in _TYPES[text]:
            return None
        if text == _TEXTS:
            if not all(type(each) is str for each in fields[name]):
                return None
            fields[name] = tuple(fields[name])
    return kind(**fields)


def send(descriptor: int, message: Record) -> None:
    """Write all of MESSAGE to a pipe."""
    raw = encode(message)
    while raw:
        raw = raw[os.write(descriptor, raw) :]


def _types(kind: type[Record]) -> dict[str, str]:
    """The declared type of each field of KIND, as text."""
    types: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if each not in (Record, object):
            types |= each.__dict__.get("__annotations__", {})
    return types
