"""What `expect` may hold, as JSON Schema: from the tables of keywords.py."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.expect.keywords import (
    ANSWER,
    CHANGES,
    EXEC,
    EXPECT,
    FILE,
    FILE_TYPES,
    HEALTH_STATES,
    MATCHERS,
    METADATA,
    REQUEST,
    STATES,
)
from mydocker.specs.expect.matcher import LOGIC, MEASURED, OPERATORS
from mydocker.specs.model.expect import LIVE

if TYPE_CHECKING:
    from typing import Any

    from mydocker.specs.expect.keywords import Table

    Schema = dict[str, Any]

_SCALAR: Schema = {"$ref": "#/$defs/scalar"}
_SWITCH: Schema = {"$ref": "#/$defs/switch"}
_LIST: Schema = {"type": "array", "items": _SCALAR}


def definitions() -> Schema:
    """A definition for the matchers of each kind of value."""
    return {f"matcher-{kind}": _matcher(kind) for kind in OPERATORS}


def _ref(kind: str) -> Schema:
    return {"$ref": f"#/$defs/matcher-{kind}"}


def _matcher(kind: str) -> Schema:
    """A value, a list of them, or a mapping of goss's words."""
    if kind == "json":
        scalar: Schema = {"type": ["string", "number", "boolean", "null"]}
    else:
        scalar = _SCALAR
    plain = {"anyOf": [scalar, {"type": "array", "items": _ref(kind), "minItems": 1}]}
    words = {
        "type": "object",
        "properties": {op: _operand(op, kind) | {"description": MATCHERS[op].help} for op in OPERATORS[kind]},
    }
    if kind in MEASURED:
        return words | {"additionalProperties": False, "minProperties": 1}
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


def _named() -> Schema:
    value = {"anyOf": [_ref("text"), {"type": "null"}]}
    return {"type": "object", "minProperties": 1, "additionalProperties": value}


_KINDS: dict[str, Schema] = {  # of keywords, except those with a mapping as value
    **{kind: _ref(kind) for kind in OPERATORS},
    "word": _SCALAR,
    "mode": _ref("text"),
    "type": {"anyOf": [{"enum": [*FILE_TYPES]}, {"$ref": "#/$defs/variable"}]},
    "switch": _SWITCH,
    "time": _SCALAR,
    "command": {"anyOf": [_SCALAR, {**_LIST, "minItems": 1}]},
    "health": {"anyOf": [{"enum": [*HEALTH_STATES]}, {"$ref": "#/$defs/variable"}]},
    "globs": _LIST,
    "some-glob": {**_LIST, "minItems": 1},
    "no-glob": {**_LIST, "minItems": 1},
    "named": _named(),
    "words": _LIST,
    "members": {**_LIST, "minItems": 1},
    "headers": {"anyOf": [_SCALAR, _LIST, {"type": "object"}]},
}


def _rows(table: Table, **own: Schema) -> Schema:
    """The keywords of TABLE; OWN has the schemas of those without a kind."""
    return {word: {"description": row.help, **(own.get(word) or _KINDS[row.kind])} for word, row in table.items()}


def _states(kind: str, more: Schema) -> Schema:
    [word, *_] = STATES[kind]
    state = {"anyOf": [{"enum": [*STATES[kind]]}, {"$ref": "#/$defs/variable"}]}
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"anyOf": [state, _closed({word: _SWITCH, **more})]},
    }


def _http() -> Schema:
    entry = _closed(_rows(ANSWER) | _rows(REQUEST)) | {"anyOf": [{"required": [name]} for name in ANSWER]}
    return {"type": "object", "minProperties": 1, "additionalProperties": entry}


def expect_schema() -> Schema:
    """The schema of `expect`."""
    rows = _rows(
        EXPECT,
        files={"type": "array", "items": _closed(_rows(FILE), needs=("path",)), "minItems": 1},
        changes=_closed(_rows(CHANGES)),
        metadata=_closed(_rows(METADATA)),
        ports=_states("ports", {"ip": {"anyOf": [_SCALAR, _LIST]}}),
        process=_states("process", {}),
        http=_http(),
        exec={"type": "array", "items": _closed(_rows(EXEC), needs=("command",)), "minItems": 1},
    )
    waits = {"anyOf": [{"required": [name]} for name in LIVE]}
    return _closed(rows) | {"dependentSchemas": {"within": waits}}
