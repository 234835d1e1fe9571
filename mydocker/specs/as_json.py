"""Records as JSON and back: a Record is `{"": "Kind", field: value…}`, with the fields that differ from their defaults.

What is written by one version of mydocker is read by a later one, as long as fields keep their names and new ones have
defaults. For files that only mydocker's user can write.
"""

from __future__ import annotations

from _json import make_scanner

from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeVar

    Kind = TypeVar("Kind", bound=Record)

_KIND = ""  # no field has this name
_TUPLE = "()"


def dumps(record: Record) -> str:
    """RECORD as text, which `loads` reads."""
    import json

    return json.dumps(_plain(record))


def loads(text: str, kind: type[Kind], *, known: Mapping[str, type[Record]]) -> Kind:
    """The Record of KIND in TEXT, whose parts are of the classes KNOWN by name. Raises ValueError if it is none."""
    try:
        found = _value(parse(text), {**known, kind.__name__: kind})
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a {kind.__name__}: {error}") from None
    if not isinstance(found, kind):
        raise ValueError(f"not a {kind.__name__}")
    return found


def some_of(text: str, kind: type[Kind]) -> Kind:
    """A Record of KIND from one in TEXT that has all its fields, and may have others; none of its own is a Record, so
    that no class has to be known. Raises ValueError if there is none."""
    try:
        plain = parse(text)
        return kind(**{name: _value(plain[name], {}) for name in kind.fields if name in plain})
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a {kind.__name__}: {error}") from None


class _Context:
    """The settings of json.decoder.JSONDecoder for the scanner in C."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int = float, int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__


_scan = make_scanner(_Context)  # type: ignore[arg-type]  # it takes anything that has these


def parse(text: str) -> Any:
    """The value that TEXT has as JSON, without `json`, whose import takes as long as reading the state of fifty
    containers. TEXT begins with the value. Raises ValueError, RecursionError."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("not JSON") from None
    if text[end:].strip():
        raise ValueError("more than one value of JSON")
    return value


def kinds_in(*modules: Any) -> dict[str, type[Record]]:
    """The Records that MODULES define, by name."""
    found = {}
    for module in modules:
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, Record) and value.__module__ == module.__name__:
                found[name] = value
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        fields = {name: each for name, each in value.as_dict().items() if not _is_default(value, name, each)}
        return {_KIND: type(value).__name__, **{name: _plain(each) for name, each in fields.items()}}
    if isinstance(value, tuple):
        return {_KIND: _TUPLE, "items": [_plain(each) for each in value]}
    if hasattr(value, "items"):
        return {_KIND: "{}", "items": [[_plain(key), _plain(each)] for key, each in value.items()]}
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _is_default(record: Record, name: str, value: object) -> bool:
    missing = object()
    return getattr(type(record), name, missing) == value


def _value(plain: Any, known: Mapping[str, type[Record]]) -> Any:
    if not isinstance(plain, dict):
        return plain
    kind = plain[_KIND]
    if kind == _TUPLE:
        return tuple(_value(each, known) for each in plain["items"])
    if kind == "{}":
        return {_value(key, known): _value(each, known) for key, each in plain["items"]}
    fields = {name: _value(each, known) for name, each in plain.items() if name != _KIND}
    return known[kind](**fields)
