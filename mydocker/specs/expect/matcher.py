"""Matchers of a spec file (a value, a list of patterns, or a mapping of goss's words) become Matcher values.

The words are those of goss (docs/gossfile.md, "Matchers"). Each is parsed for the kind of value that it will meet, so
that `lt: 2s` is a time where a time is compared, and mistakes are found before anything runs.
"""

from __future__ import annotations

import math
import re
import warnings
from functools import partial

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs.expect.jsonpath import read_path
from mydocker.specs.expect.keywords import EVERYTHING, MATCHERS, NUMBERS, of_kind
from mydocker.specs.expect.synonyms import unknown_keyword
from mydocker.specs.model.expect import Matcher
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence
from mydocker.specs.values.duration import parse_duration
from mydocker.specs.values.size import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from mydocker.specs.nodes.reader import Reader
    from mydocker.specs.values import Scope

ORDER = ("gt", "ge", "lt", "le")
MEASURED = ("duration", "size")  # kinds of values that are never exactly equal to an expected one
LOGIC = ("not", "and", "or")
OPERATORS = {  # of each kind of value
    **dict.fromkeys(("text", "json"), tuple(MATCHERS)),
    **dict.fromkeys(("number", "exit"), of_kind(MATCHERS, EVERYTHING, NUMBERS)),
    **dict.fromkeys(MEASURED, of_kind(MATCHERS, NUMBERS)),
    "boolean": of_kind(MATCHERS, EVERYTHING),
}
_EMPTY = {"json": "; write {equal: []} for an empty list", "text": '; write "" for no text at all'}
_CONSTRAINT = re.compile(
    r"(?:==?|!=?|>=?|<=?|~|\^)?\s*v?\d+(?:(?:\.\d+)?\.x|\.x\.x|(?:\.\d+){0,2}(?:-[0-9A-Za-z.-]+)?)", re.ASCII
)
_YAML_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}  # YAML 1.2, section 10.2
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def read_matcher(node: Node, kind: str, reader: Reader) -> Matcher | None:
    """The matcher of one node; None once what is wrong with it has been written down."""
    if isinstance(node, Mapping):
        return _mapping(node, kind, reader)
    if isinstance(node, Sequence):
        return _listed(node, kind, reader)
    if kind in MEASURED:
        return _refuse_exact(node, kind, reader)
    value = read_value(node, kind, reader)
    op = {"text": "text", "json": "same"}.get(kind, "equal")
    return None if value is None and kind != "json" else Matcher(op=op, want=value)


def _refuse_exact(node: Node, kind: str, reader: Reader) -> Matcher | None:
    """Refuse an exact value for a time or a size: a measured one is never exactly that."""
    if read_value(node, kind, reader) is not None:
        text = reader.text(node)
        reader.refuse(
            node, f"no measurement is exactly {text}; write {{lt: {text}}} for less than that, or gt for more"
        )
    return None


def read_texts(node: Node, reader: Reader) -> Iterator[tuple[Node, Matcher]]:
    """Everything that must hold of a text, each with its node: patterns, matchers, and each path into JSON."""
    if isinstance(node, Mapping) and node.entries:
        for key, value in node.entries:
            yield from _parts(key, value, reader)
    elif isinstance(node, Sequence) and node.items:
        for item in node.items:
            if isinstance(item, Mapping):
                yield from read_texts(item, reader)
            elif pattern := read_pattern(item, reader):
                yield item, pattern
    elif matcher := read_matcher(node, "text", reader):
        yield node, matcher


def _parts(key: Scalar, node: Node, reader: Reader) -> Iterator[tuple[Node, Matcher]]:
    """The matchers that one key of a mapping stands for; `and` and `gjson` stand for several."""
    if key.text == "and" and isinstance(node, Sequence) and node.items:
        for item in node.items:
            yield from read_texts(item, reader)
    elif key.text == "gjson" and isinstance(node, Mapping) and node.entries:
        for entry in node.entries:
            if path := _gjson(key.text, node.replace(entries=(entry,)), "text", reader):
                yield entry[0], path
    elif _known(key, OPERATORS["text"], reader) and (matcher := _operator(key, node, "text", reader)):
        yield key, matcher


def read_pattern(node: Node, reader: Reader) -> Matcher | None:
    """An item of a list of patterns: part of the text, `/regex/`, either with `!` before it, or a matcher mapping.

    A backslash before a first `!` or `/` makes it an ordinary character, as in goss.
    """
    if isinstance(node, Mapping):
        return _mapping(node, "text", reader)
    text = reader.text(node, expected="a pattern")
    if not text:
        reader.refuse(node, "an empty pattern is in every text")
        return None
    inverted, rest = text.startswith("!"), text.removeprefix("!")
    if len(rest) > 2 and rest.startswith("/") and rest.endswith("/"):
        found = _regexp(node, rest[1:-1], reader)
    elif rest:
        found = Matcher(op="contain-substring", want=rest[1:] if rest.startswith(("\\!", "\\/")) else rest)
    else:
        reader.refuse(node, "'!' alone rules out nothing")
        return None
    return Matcher(op="not", want=found) if found and inverted else found


def read_value(node: Node, kind: str, reader: Reader) -> Any:
    """One value of KIND; None (which no kind but json has) once what is wrong with it has been written down."""
    if kind == "json":
        return _json_value(node, reader)
    before = len(reader.problems)
    parse = _PARSERS.get(kind)
    value = reader.value(node, parse) if parse else reader.text(node)
    return value if len(reader.problems) == before else None


def _mapping(node: Mapping, kind: str, reader: Reader) -> Matcher | None:
    """All of a mapping's matchers must hold."""
    if not node.entries:
        reader.refuse(node, "an empty mapping asserts nothing")
        return None
    found = [_operator(key, value, kind, reader) for key, value in node.entries if _known(key, OPERATORS[kind], reader)]
    complete = [matcher for matcher in found if matcher]
    if len(complete) < len(node.entries):
        return None
    return complete[0] if len(complete) == 1 else Matcher(op="and", want=tuple(complete))


def _known(key: Scalar, operators: tuple[str, ...], reader: Reader) -> bool:
    if key.text in operators:
        return True
    if key.text == "equal" and ORDER[0] in operators:
        return True  # of a measurement, which has its own error message
    reader.refuse(key, unknown_keyword(key.text, operators).replace("unknown key", "unknown matcher"))
    return False


def _listed(node: Sequence, kind: str, reader: Reader) -> Matcher | None:
    """A list: patterns that a text must match, items that a JSON array must have, or values of which any one may
    match."""
    if not node.items:
        reader.refuse(node, f"an empty list asserts nothing{_EMPTY.get(kind, '')}")
        return None
    read = read_pattern if kind == "text" else lambda item, reader: read_matcher(item, kind, reader)
    found = [read(item, reader) for item in node.items]
    if None in found:
        return None
    return Matcher(op={"text": "and", "json": "each"}.get(kind, "or"), want=tuple(found))


def _operator(key: Scalar, node: Node, kind: str, reader: Reader) -> Matcher | None:
    op = key.text
    if op == "equal" and kind in MEASURED:
        return _refuse_exact(node, kind, reader)
    if op in _SPECIAL:
        return _SPECIAL[op](op, node, kind, reader)
    if op in ORDER:
        kind = "number" if kind in ("text", "json", "exit") else kind
    elif op == "have-len":
        kind = "number"
    elif op != "equal":
        kind = "text"
    if op == "equal" and kind == "text":
        op = "text"
    before = len(reader.problems)
    value = read_value(node, kind, reader)
    return Matcher(op=op, want=value) if len(reader.problems) == before else None


def _negation(op: str, node: Node, kind: str, reader: Reader) -> Matcher | None:
    inner = read_matcher(node, kind, reader)
    return Matcher(op=op, want=inner) if inner else None


def _junction(op: str, node: Node, kind: str, reader: Reader) -> Matcher | None:
    if not isinstance(node, Sequence) or not node.items:
        reader.refuse(node, f"{op}: expected a list of matchers")
        return None
    found = [read_matcher(item, kind, reader) for item in node.items]
    return None if None in found else Matcher(op=op, want=tuple(found))


def _element(op: str, node: Node, kind: str, reader: Reader) -> Matcher | None:
    """An element is a line of a text, or an item of a JSON array."""
    return _negation(op, node, "json" if kind == "json" else "text", reader)


def _elements(op: str, node: Node, kind: str, reader: Reader) -> Matcher | None:
    return _junction(op, node, "json" if kind == "json" else "text", reader)


def _pattern(op: str, node: Node, kind: str, reader: Reader) -> Matcher | None:
    return _regexp(node, reader.text(node), reader)


def _regexp(node: Node, text: str, reader: Reader) -> Matcher | None:
    """One of Python's. What it only warns of is a class such as `[[:digit:]]`, which means something else elsewhere."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        reader.refuse(node, f"not a regular expression: {error}")
        return None
    except ValueError:  # of int(), which reads the counts of {n}, but none of more than 4300 digits
        reader.refuse(node, "not a regular expression: a number in it is too large")
        return None
    except FutureWarning as warning:
        reader.refuse(node, f"{str(warning).lower()}: write \\d for [[:digit:]], or \\ before what is meant as it is")
        return None
    return Matcher(op="match-regexp", want=text)


def _semver(op: str, node: Node, kind: str, reader: Reader) -> Matcher | None:
    text = reader.text(node)
    parts = [part.strip() for part in re.split(r"\|\||,|(?<=[0-9A-Za-z])\s+", text)]
    if not all(_CONSTRAINT.fullmatch(part) for part in parts):
        reader.refuse(node, f"{text!r}: expected a version constraint such as '>=1.2 <2', '~1.4' or '^3 || ^4'")
        return None
    return Matcher(op=op, want=text)


def _gjson(op: str, node: Node, kind: str, reader: Reader) -> Matcher | None:
    """A mapping of paths, such as `items.0.name` or `items.#`, to matchers."""
    if not isinstance(node, Mapping) or not node.entries:
        reader.refuse(node, "gjson: expected a mapping of paths, such as 'items.0.name', to matchers")
        return None
    for key, _ in node.entries:
        reader.attempt(key, partial(read_path, key.text))
    found = [(key.text, read_matcher(value, "json", reader)) for key, value in node.entries]
    return None if any(matcher is None for _, matcher in found) else Matcher(op=op, want=tuple(found))


_SPECIAL: dict[str, Callable[[str, Node, str, Reader], Matcher | None]] = {
    "not": _negation,
    "and": _junction,
    "or": _junction,
    "contain-element": _element,
    "contain-elements": _elements,
    "match-regexp": _pattern,
    "semver-constraint": _semver,
    "gjson": _gjson,
}


def _json_value(node: Node, reader: Reader) -> Any:
    """The value that JSON would have there; only here does a plain `true` or `1` mean more than its text."""
    if isinstance(node, Sequence):
        return tuple(_json_value(item, reader) for item in node.items)
    if isinstance(node, Mapping):
        return {key.text: _json_value(value, reader) for key, value in node.entries}
    assert isinstance(node, Scalar)
    if node.plain and node.text.lower() in _YAML_WORDS:
        return _YAML_WORDS[node.text.lower()]
    if node.plain and _NUMBER.fullmatch(node.text):
        return reader.attempt(node, partial(_number, node.text))
    return reader.text(node)


def _number(text: str, scope: Scope | None = None) -> float:
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"{text!r}: expected a number")
    number = float(text)
    if math.isinf(number):
        raise UsageError(f"{text[:40]}: expected a number below 1.8e308, which is the largest that can be compared")
    return number if set(text) & set(".eE") else int(text)


def _exit_code(text: str, scope: Scope) -> int:
    """A number, or the name of a signal, which stands for 128 + n as in a shell."""
    if text.isascii() and text.isdigit():
        if len(text) > 3 or int(text) > 255:
            raise UsageError(f"exit code {text}: expected a number from 0 to 255")
        return int(text)
    import signal

    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    if name not in signal.Signals.__members__:
        raise UsageError(f"exit code {text!r}: expected a number, or the name of a signal such as SIGTERM")
    return 128 + signal.Signals[name]


def _duration(text: str, scope: Scope) -> float:
    return parse_duration(text)


def _size(text: str, scope: Scope) -> int:
    return parse_size(text)


def _boolean(text: str, scope: Scope) -> bool:
    if text not in ("true", "false"):
        raise UsageError(f"{text!r}: expected true or false")
    return text == "true"


_PARSERS: dict[str, Callable[[str, Scope], Any]] = {
    "number": _number,
    "exit": _exit_code,
    "duration": _duration,
    "size": _size,
    "boolean": _boolean,
}
