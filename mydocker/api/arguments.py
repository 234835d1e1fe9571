"""The arguments of the Python API: what is not one is a TypeError, before anything runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import TypeVar

from mydocker.errors import ArgumentTypeError, UsageError

T = TypeVar("T")
_NAMES = {bool: "True or False", int: "an int", float: "a float", str: "a str", type(None): "None"}


def of_type(name: str, value: T, *types: type) -> T:
    """VALUE, an argument called NAME, if it is of one of TYPES. Raises ArgumentTypeError."""
    is_bool_for_number = isinstance(value, bool) and bool not in types
    if is_bool_for_number or not isinstance(value, types):
        *most, last = (_NAMES.get(each, f"a {each.__name__}") for each in types)
        expected = f"{', '.join(most)} or {last}" if most else last
        raise ArgumentTypeError(f"{name}: expected {expected}, not {type(value).__name__}")
    return value


def command_of(words: tuple[object, ...]) -> list[str] | None:
    """WORDS, or the one list of them; None if there are none. Raises ArgumentTypeError, UsageError."""
    listed: Iterable[object] = words
    if len(words) == 1 and isinstance(words[0], Iterable) and not isinstance(words[0], str | bytes | Mapping | Set):
        listed = words[0]
    command = []
    for word in listed:
        path = os.fspath(word) if isinstance(word, str | os.PathLike) else word
        if not isinstance(path, str):
            message = f"a word of the command is expected to be a str or a path, not {type(word).__name__}"
            raise ArgumentTypeError(message)
        command.append(path)
    return command if words else None


def values_of(keys: Mapping[str, object]) -> dict[str, object]:
    """KEYS that have a value; one that can be read only once, such as a generator, as a list."""
    pairs = ((name, value) for name, value in keys.items() if value is not None)
    return {name: list(value) if isinstance(value, Iterator) else value for name, value in pairs}


def paths_of(paths: object) -> list[str]:
    """One path, or several. Raises ArgumentTypeError."""
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    if not isinstance(paths, Iterable) or isinstance(paths, bytes):
        raise ArgumentTypeError(f"paths: expected a path or a list of them, not {type(paths).__name__}")
    return [path_of(path) for path in paths]


def path_of(path: object) -> str:
    """PATH as text. Raises ArgumentTypeError."""
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else path
    if not isinstance(text, str):
        raise ArgumentTypeError(f"expected a path, not {type(path).__name__}")
    return text


def input_of(value: object, encoding: str | None, errors: str | None) -> str:
    """What a command reads: bytes, or text in ENCODING; here as UTF-8 with surrogates (PEP 383)."""
    if isinstance(value, str):
        value = encoded("input", value, encoding, errors)
    if not isinstance(value, bytes | bytearray | memoryview):
        raise ArgumentTypeError(f"input: expected a str or bytes, not {type(value).__name__}")
    return bytes(value).decode(errors="surrogateescape")


def encoded(name: str, text: str, encoding: str | None = None, errors: str | None = None) -> bytes:
    """TEXT in ENCODING, by default UTF-8. Raises UsageError for characters that it lacks, and for an unknown
    encoding."""
    try:
        return text.encode(encoding or "utf-8", errors or ("surrogateescape" if encoding is None else "strict"))
    except UnicodeEncodeError as error:
        raise UsageError(f"{name}: {error.reason} in {error.encoding} at position {error.start}") from None
    except LookupError as error:
        raise UsageError(str(error)) from None


def decoded(text: str, encoding: str | None, errors: str | None) -> str:
    """What the bytes of TEXT, which is UTF-8 with surrogates, mean in ENCODING. Raises UnicodeDecodeError."""
    if encoding is None and errors is None:
        return text
    raw = text.encode(errors="surrogateescape")
    return raw.decode(encoding or "utf-8", errors or "strict")


def check_encoding(encoding: object, errors: object, *, text: object) -> None:
    """Raise UsageError for an encoding or an error handler that Python lacks, or that is set together with bytes."""
    import codecs

    of_type("encoding", encoding, str, type(None))
    of_type("errors", errors, str, type(None))
    if not of_type("text", text, bool) and (encoding is not None or errors is not None):
        raise UsageError("text=False returns bytes, which have no encoding", hint="leave out encoding and errors")
    try:
        codecs.lookup(encoding if isinstance(encoding, str) else "utf-8")
        codecs.lookup_error(errors if isinstance(errors, str) else "strict")
    except LookupError as error:
        raise UsageError(str(error)) from None
