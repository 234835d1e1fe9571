"""What `expect` may hold, as JSON Schema: from the words of expectation.py, metadata.py, live.py and matcher.py."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.spec import live, metadata
from mydocker.spec.expectation import CHANGE_OPERATORS, FILE_KEYS, FILE_TYPES, OUTPUT, PLAIN
from mydocker.spec.matcher import LOGIC, OPERATORS

if TYPE_CHECKING:
    from typing import Any

    Schema = dict[str, Any]

_SCALAR: Schema = {"$ref": "#/$defs/scalar"}
_SWITCH: Schema = {"type": "boolean"}


def definitions() -> Schema:
    """A definition for the matchers of each kind of value."""
    return {f"matcher-{kind}": _matcher(kind) for kind in OPERATORS}


def _ref(kind: str) -> Schema:
    return {"$ref": f"#/$defs/matcher-{kind}"}


def _matcher(kind: str) -> Schema:
    """A value, a list of them, or a mapping of goss's words."""
    if kind == "json":
        plain: Schema = {"type": ["string", "number", "boolean", "null", "array"]}
    else:
        plain = {"anyOf": [_SCALAR, {"type": "array", "items": _ref(kind), "minItems": 1}]}
    words = {"type": "object", "properties": {op: _operand(op, kind) for op in OPERATORS[kind]}}
    return {"anyOf": [plain, {**words, "additionalProperties": False, "minProperties": 1}]}


def _operand(op: str, kind: str) -> Schema:
    inner = kind if op in LOGIC or kind == "json" else "text"
    if op == "gjson":
        return {"type": "object", "minProperties": 1, "additionalProperties": _ref("json")}
    if op in ("and", "or", "contain-elements"):
        return {"type": "array", "items": _ref(inner), "minItems": 1}
    if op in ("not", "contain-element"):
        return _ref(inner)
    return {} if op == "equal" and kind == "json" else _SCALAR


def _closed(properties: Schema, *, needs: tuple[str, ...] = ()) -> Schema:
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1}
    return found | ({"required": [*needs]} if needs else {})


def _patterns() -> Schema:
    return _ref("text")


def _files() -> Schema:
    special = {
        "exists": _SWITCH,
        "type": {"anyOf": [{"enum": [*FILE_TYPES]}, {"$ref": "#/$defs/variable"}]},
        "mode": _ref("text"),
        "size": _ref("number"),
        "contents": _patterns(),
    }
    entry = _closed({key: special.get(key, _SCALAR) for key in FILE_KEYS}, needs=("path",))
    return {"type": "array", "items": entry, "minItems": 1}


def _metadata() -> Schema:
    words: Schema = {"type": "array", "items": _SCALAR}
    named = {"type": "object", "minProperties": 1, "additionalProperties": {"anyOf": [_ref("text"), {"type": "null"}]}}
    return _closed(
        {
            **dict.fromkeys(metadata.MAPPINGS, named),
            **dict.fromkeys(metadata.LISTS, words),
            **dict.fromkeys(metadata.SETS, {**words, "minItems": 1}),
            **dict.fromkeys(metadata.TEXTS, _ref("text")),
        }
    )


def _changes() -> Schema:
    globs: Schema = {"type": "array", "items": _SCALAR}
    return _closed({name: globs if name == "only" else {**globs, "minItems": 1} for name in CHANGE_OPERATORS})


def _states(kind: str, more: Schema) -> Schema:
    [word, *_] = live.STATES[kind]
    state = {"anyOf": [{"enum": [*live.STATES[kind]]}, {"$ref": "#/$defs/variable"}]}
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"anyOf": [state, _closed({word: _SWITCH, **more})]},
    }


def _http() -> Schema:
    headers = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}, {"type": "object"}]}
    request = {**dict.fromkeys(live.OPTIONS, _SCALAR), "request-headers": headers}
    answer = {"status": _ref("number"), "headers": _patterns(), "body": _patterns()}
    entry = _closed({**request, **answer}) | {"anyOf": [{"required": [name]} for name in live.ANSWER]}
    return {"type": "object", "minProperties": 1, "additionalProperties": entry}


def expect_schema() -> Schema:
    """The whole of `expect`."""
    addresses = {"ip": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]}}
    return _closed(
        {
            **{name: _ref(kind) for name, kind in PLAIN.items()},
            **dict.fromkeys(OUTPUT, _patterns()),
            "files": _files(),
            "changes": _changes(),
            "metadata": _metadata(),
            "ports": _states("ports", addresses),
            "process": _states("process", {}),
            "http": _http(),
            "within": _SCALAR,
        }
    )
