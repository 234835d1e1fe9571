"""The JSON Schema of spec files (draft 2020-12), for editors: from the table of fields, its YAML types, and `expect`.

It describes what a YAML parser returns for a file, so a scalar may be a number or a boolean where text is expected, and
a text with a dollar sign may be anything. The loader checks what depends on several keys, or on the text of a value.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.devices import block_io, gpus
from mydocker.specs.fields import FIELDS
from mydocker.specs.load import build, extend, flow, inline_files
from mydocker.specs.model import NAMESPACES, healthcheck, log_driver, restart
from mydocker.specs.model.parts import CONDITIONS
from mydocker.specs.mounts import driver_options, mapping
from mydocker.specs.mounts.mount import TYPES
from mydocker.specs.render.json_schema_expect import definitions, expect_schema
from mydocker.specs.values import network, network_definition, port
from mydocker.specs.values.ulimit import NUMBERS

if TYPE_CHECKING:
    from typing import Any

    from mydocker.specs.fields import Field

    Schema = dict[str, Any]

URL = "https://raw.githubusercontent.com/mydocker/mydocker/main/docs/mydocker.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
FREE = "^x[-_]"

_SCALAR: Schema = {"$ref": "#/$defs/scalar"}
_LIST: Schema = {"type": "array", "items": _SCALAR}
_NAMED: Schema = {"type": "object", "additionalProperties": {"anyOf": [_SCALAR, {"type": "null"}]}}
_SWITCH: Schema = {"$ref": "#/$defs/switch"}


def schema() -> Schema:
    """The schema of one document of a file: a container, a Compose file, or one of container-structure-test."""
    return {
        "$schema": DIALECT,
        "$id": URL,
        "title": "mydocker spec file",
        "if": {"type": "object", "required": ["services"]},
        "then": {"$ref": "#/$defs/compose"},
        "else": {
            "if": {"type": "object", "required": ["schemaVersion"]},
            "then": {"description": "a file of container-structure-test"},
            "else": {"$ref": "#/$defs/container", **_one_root()},
        },
        "$defs": {**_definitions(), **definitions()},
    }


def _one_root() -> Schema:
    """Exactly one of image and rootfs, unless another container provides it. For a document without them, the error
    names only `image`."""
    return {
        "if": {"not": {"anyOf": [_said("extends"), _said("include")]}},
        "then": {
            "if": _said("rootfs"),
            "then": {"properties": {"image": {"type": "null"}}},
            "else": _said("image"),
        },
    }


def _said(key: str) -> Schema:
    return {"required": [key], "properties": {key: {"not": {"type": "null"}}}}


def _definitions() -> Schema:
    rows = {field.key: field for field in reversed(FIELDS)}  # of rows with one key, the first
    keys = {field.key: _key(rows[field.key]) for field in FIELDS}
    return {
        "scalar": {"type": ["string", "number", "boolean"]},
        "switch": {"anyOf": [{"type": "boolean"}, {"enum": [*_switch_words()]}, {"$ref": "#/$defs/variable"}]},
        "variable": {"type": "string", "pattern": r"\$"},
        "container": closed(keys, free=True),
        "compose": {
            "description": "a Compose file; `mydocker check` checks its services",
            "type": "object",
            "properties": {"services": {"type": "object", "additionalProperties": {"type": "object"}}},
        },
    }


def _switch_words() -> list[str]:
    words = ("true", "false", "yes", "no", "on", "off")
    return [form for word in words for form in (word, word.capitalize(), word.upper())]


def closed(properties: Schema, *, needs: tuple[str, ...] = (), free: bool = False) -> Schema:
    """A mapping with these keys and no others."""
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    found |= {"patternProperties": {FREE: {}}} if free else {}
    return found | ({"required": [*needs]} if needs else {})


def _key(row: Field) -> Schema:
    """What a key may hold; null means unset for every key."""
    if row.choices and row.yaml_type == "text":
        holds: Schema = {"anyOf": [{"enum": [*row.choices]}, {"$ref": "#/$defs/variable"}]}
    else:
        holds = _FLOW[row.key] if row.yaml_type == "flow" else YAML_TYPES[row.yaml_type]
    return {"description": row.help, "anyOf": [holds, {"type": "null"}]}


def _words_or(pattern: str, *words: str) -> Schema:
    return {"anyOf": [{"enum": [*words]}, {"type": "string", "pattern": pattern}, {"$ref": "#/$defs/variable"}]}


def _one_or_more(inner: Schema) -> Schema:
    return {"anyOf": [inner, {"type": "array", "items": inner}]}


def _env_file() -> Schema:
    entry = closed({"path": _SCALAR, "required": _SWITCH, "format": {"enum": ["raw"]}}, needs=("path",))
    return _one_or_more({"anyOf": [_SCALAR, entry]})


def _volumes() -> Schema:
    members = {kind: dict.fromkeys(mapping.PARTS[kind], _SCALAR) for kind in TYPES}
    members["volume"]["driver_opts"] = closed(dict.fromkeys(driver_options.KEYS, _SCALAR))
    own = {kind: {"anyOf": [closed(members[kind]), {"type": "null"}]} for kind in TYPES}
    words = {"type": {"enum": [*TYPES]}, **dict.fromkeys(("source", "target", "consistency"), _SCALAR)}
    entry = closed({**words, "read_only": _SWITCH, **own}, needs=("type", "target"))
    return {"type": "array", "items": {"anyOf": [_SCALAR, entry]}}


def _one_source() -> Schema:
    return {"oneOf": [{"required": [name]} for name in inline_files.SOURCES]}


def _devices() -> Schema:
    entry = closed(dict.fromkeys(("source", "target", "permissions"), _SCALAR), needs=("source",))
    return {"type": "array", "items": {"anyOf": [_SCALAR, entry]}}


def _namespaces() -> Schema:
    modes = {"enum": ["host", "private"]}
    return {
        "anyOf": [{"type": "array", "items": {"enum": [*NAMESPACES]}}, closed(dict.fromkeys(NAMESPACES, modes))],
    }


def _ulimits() -> Schema:
    both = closed({"soft": _SCALAR, "hard": _SCALAR}, needs=("soft", "hard"))
    return {"anyOf": [closed(dict.fromkeys(NUMBERS, {"anyOf": [_SCALAR, both]})), _LIST]}


def _hosts() -> Schema:
    return {"anyOf": [{"type": "object", "additionalProperties": _one_or_more(_SCALAR)}, _LIST]}


def _ports() -> Schema:
    entry = closed(dict.fromkeys(port.KEYS, _SCALAR), needs=("target",))
    return {"type": "array", "items": {"anyOf": [_SCALAR, entry]}}


def _included() -> Schema:
    paths = _one_or_more(_SCALAR)
    return closed({"path": paths, "project_directory": _SCALAR, "env_file": paths}, needs=("path",))


def _networks() -> Schema:
    pool = closed(
        {**dict.fromkeys(network_definition.POOL, _SCALAR), network_definition.RESERVED: _NAMED}, needs=("subnet",)
    )
    ipam = closed({"driver": _SCALAR, "config": {"type": "array", "items": pool}})
    pairs = {"anyOf": [_NAMED, _LIST]}
    switches = dict.fromkeys((*network.SWITCHES, "attachable", "enable_ipv4"), _SWITCH)
    create = closed({**switches, "driver": _SCALAR, "ipam": ipam, "labels": pairs, "driver_opts": pairs})
    entry = closed({**dict.fromkeys(network.KEYS, _SCALAR), "aliases": _LIST, "create": create})
    named = {"type": "object", "additionalProperties": {"anyOf": [entry, {"type": "null"}]}}
    return {"anyOf": [_LIST, named]}


def _build() -> Schema:
    """A context, or a mapping; its parts are as those of other keys."""
    kinds = {"text": _SCALAR, "boolean": _SWITCH, "list": _LIST, "hosts": _hosts(), "ulimits": _ulimits()}
    kinds["pairs"] = {"anyOf": [_NAMED, _LIST]}
    parts = {name: kinds[kind] for name, (kind, _) in build.KEYS.items()}
    parts["secrets"] = {"type": "array", "items": closed(dict.fromkeys(build.SECRET_KEYS, _SCALAR))}
    parts["ssh"] = {"anyOf": [_SCALAR, _NAMED, _LIST]}
    return {"anyOf": [_SCALAR, closed(parts)]}


def _gpus() -> Schema:
    several = ("device_ids", "capabilities")
    entry = closed(
        {key: {"type": ["array", "object"]} if key in (*several, "options") else _SCALAR for key in gpus.KEYS}
    )
    return {"anyOf": [_SCALAR, {"type": "array", "items": entry}]}


def _block_limits() -> Schema:
    weight, rate = (closed({"path": _SCALAR, name: _SCALAR}, needs=("path", name)) for name in ("weight", "rate"))
    entries = {key: weight if key == "weight_device" else rate for key in block_io.KEYS[1:]}
    return closed({"weight": _SCALAR, **{key: _one_or_more(entry) for key, entry in entries.items()}})


def _hooks() -> Schema:
    command = _one_or_more(_SCALAR)
    own = {"user": _SCALAR, "privileged": _SWITCH, "working_dir": _SCALAR, "environment": {"anyOf": [_NAMED, _LIST]}}
    entry = closed({"command": command, **own}, needs=("command",))
    return {"type": "array", "items": {"anyOf": [command, entry]}}


YAML_TYPES: dict[str, Schema] = {  # by the names of yaml_types.py
    "text": _SCALAR,
    "pull_policy": _words_or("^every_", "missing", "always", "never", "build", "if_not_present", "daily", "weekly", ""),
    "shared_namespace": _words_or("^(container|service):.", "host", "private", "shareable", ""),
    "title": _SCALAR,
    "boolean": _SWITCH,
    "build": _build(),
    "words": _one_or_more(_SCALAR),
    "list": _LIST,
    "pairs": {"anyOf": [_NAMED, _LIST]},
    "label_files": _one_or_more(_SCALAR),
    "env_files": _env_file(),
    "volumes": _volumes(),
    "tmpfs": _one_or_more(_SCALAR),
    "volumes_from": _LIST,
    "inline_files": {"type": "array", "items": closed(dict.fromkeys(inline_files.KEYS, _SCALAR)) | _one_source()},
    "devices": _devices(),
    "namespaces": _namespaces(),
    "ulimits": _ulimits(),
    "expect": expect_schema(),
    "hosts": _hosts(),
    "one_or_more": _one_or_more(_SCALAR),
    "ports": _ports(),
    "exposed": _LIST,
    "logging": closed(
        {"driver": _SCALAR, "options": closed(dict.fromkeys((*log_driver.OPTIONS, *log_driver.NO_EFFECT), _SCALAR))}
    ),
    "networks": _networks(),
    "block_limits": _block_limits(),
    "gpus": _gpus(),
}
_COMMAND = _one_or_more(_SCALAR)
_CONDITION = {"condition": {"enum": [*CONDITIONS]}, "required": _SWITCH, "restart": _SWITCH, "bound": _SWITCH}
_FLOW: dict[str, Schema] = {  # by key
    "depends_on": {
        "anyOf": [
            _LIST,
            {"type": "object", "additionalProperties": closed(_CONDITION, needs=("condition",))},
        ]
    },
    "healthcheck": closed({**dict.fromkeys(healthcheck.KEYS, _SCALAR), "test": _one_or_more(_SCALAR)}),
    "pre_start": {"type": "array", "items": {"anyOf": [_COMMAND, closed({"command": _COMMAND}, needs=("command",))]}},
    **dict.fromkeys(("post_start", "pre_stop"), _hooks()),
    "extends": {"anyOf": [_SCALAR, closed(dict.fromkeys(extend.KEYS, _SCALAR))]},
    "include": _one_or_more({"anyOf": [_SCALAR, _included()]}),
    "profiles": _LIST,
    "restart": {"anyOf": [_SCALAR, closed(dict.fromkeys(restart.KEYS, _SCALAR))]},
    "tags": _one_or_more(_SCALAR),
    "skip": _SCALAR,
    "retries": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": flow.RETRIES_LIMIT}, {"type": "string"}]},
    "matrix": {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"type": "array", "items": _SCALAR, "minItems": 1},
    },
}
