"""YAML types: what a key of a spec file may hold, and the value that becomes of it.

A YAML type is a function of the key's node (never null), the field's row and the Reading. The Compose
specification's "Services top-level elements" says what Compose's keys hold.
"""

from __future__ import annotations

import os

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs.environment.files import read_compose_file, read_docker_file
from mydocker.specs.model.container import NAMESPACES
from mydocker.specs.mounts.mapping import long_mount
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence
from mydocker.specs.nodes.reader import switch, words_of
from mydocker.specs.values import parsers
from mydocker.specs.values.hosts import host
from mydocker.specs.values.ulimit import limit

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.specs.nodes.reader import Reading
    from mydocker.specs.table.fields import Field


def _text(node: Node, field: Field, reading: Reading) -> Any:
    """A scalar, read as the flag's word is read."""
    return reading.word(node, field.parse)


def _title(node: Node, field: Field, reading: Reading) -> Any:
    """A name in a file is for people: `web answers` will do."""
    return reading.word(node, parsers.title)


def _boolean(node: Node, field: Field, reading: Reading) -> Any:
    return reading.word(node, switch)


def _words(node: Node, field: Field, reading: Reading) -> tuple[str, ...]:
    return words_of(node, reading)


def _list(node: Node, field: Field, reading: Reading) -> tuple[Any, ...]:
    if not isinstance(node, Sequence):
        reading.refuse(node, "expected a list")
        return ()
    return tuple(reading.word(item, field.parse) for item in node.items)


def _pairs(node: Node, field: Field, reading: Reading) -> dict[str, str]:
    """NAME and value: a mapping, or a list of NAME=VALUE. A NAME without a value is for the field to understand."""
    values: dict[str, str] = {}
    if isinstance(node, Mapping):
        for key, value in node.entries:
            values.update(_pair(key, value, field, reading) or {})
    elif isinstance(node, Sequence):
        for item in node.items:
            values.update(reading.word(item, field.parse) or {})
    else:
        reading.refuse(node, "expected a mapping, or a list of NAME=VALUE")
    return values


def _pair(key: Scalar, value: Node, field: Field, reading: Reading) -> Any:
    if "=" in key.text:
        reading.refuse(key, f"a name cannot have '=' in it: {key.text!r}")
        return None
    if isinstance(value, Scalar) and value.is_null:
        return reading.attempt(key, lambda: field.parse(key.text, reading.place))
    text = reading.text(value)
    return reading.attempt(key, lambda: field.parse(f"{key.text}={text}", reading.place))


def _label_files(node: Node, field: Field, reading: Reading) -> dict[str, str]:
    """One file, or a list."""
    values: dict[str, str] = {}
    for item in node.items if isinstance(node, Sequence) else (node,):
        values.update(reading.word(item, field.parse) or {})
    return values


def _env_files(node: Node, field: Field, reading: Reading) -> dict[str, str]:
    """One file or a list; an entry is a path, or {path, required, format}. The last to set a variable wins."""
    values: dict[str, str] = {}
    for item in node.items if isinstance(node, Sequence) else (node,):
        values.update(_env_file(item, reading) or {})
    return values


def _env_file(node: Node, reading: Reading) -> Any:
    required, raw, path_node = True, False, node
    before = len(reading.problems)
    if isinstance(node, Mapping):
        members = reading.members(node, ("path", "required", "format"))
        if "path" not in members:
            reading.refuse(node, "an env_file entry needs a path")
            return None
        path_node = members["path"]
        required = "required" not in members or reading.word(members["required"], switch)
        raw = "format" in members and reading.word(members["format"], _env_format) == "raw"
    path = reading.word(path_node, parsers.path) if len(reading.problems) == before else None
    if path is None or not (required or os.path.exists(path)):
        return None
    environ = reading.place.environ
    if raw:
        return reading.attempt(path_node, lambda: read_docker_file(path, environ=environ))
    return reading.attempt(path_node, lambda: read_compose_file(path, lookup=environ.get))


def _env_format(word: str, place: parsers.Place) -> str:
    if word != "raw":
        raise UsageError(f"env_file format {word!r}: the only one is raw")
    return word


def _volumes(node: Node, field: Field, reading: Reading) -> tuple[Any, ...]:
    if not isinstance(node, Sequence):
        reading.refuse(node, "expected a list of volumes")
        return ()
    return tuple(
        long_mount(item, reading, boolean=switch) if isinstance(item, Mapping) else reading.word(item, field.parse)
        for item in node.items
    )


def _tmpfs(node: Node, field: Field, reading: Reading) -> tuple[Any, ...]:
    """One, or a list."""
    items = node.items if isinstance(node, Sequence) else (node,)
    return tuple(reading.word(item, field.parse) for item in items)


def _inline_files(node: Node, field: Field, reading: Reading) -> tuple[Any, ...]:
    from mydocker.specs.load.inline_files import read_inline_files

    return read_inline_files(node, reading, secret=field.key == "secrets")


def _devices(node: Node, field: Field, reading: Reading) -> tuple[Any, ...]:
    """Devices as on the command line, or as {source, target, permissions}."""
    if not isinstance(node, Sequence):
        reading.refuse(node, "expected a list of devices")
        return ()
    return tuple(
        _device(item, reading) if isinstance(item, Mapping) else reading.word(item, field.parse) for item in node.items
    )


def _device(node: Mapping, reading: Reading) -> Any:
    from mydocker.specs.values.device import device

    members = reading.members(node, ("source", "target", "permissions"))
    if "source" not in members:
        reading.refuse(node, "a device needs source")
        return None
    texts = {key: reading.text(value) for key, value in members.items()}
    source = texts["source"]
    return reading.attempt(node, lambda: device(source, texts.get("target", source), texts.get("permissions", "rwm")))


def _namespaces(node: Node, field: Field, reading: Reading) -> tuple[str, ...] | dict[str, bool]:
    """A list: exactly these are new. A mapping, name to `host` or `private`: the others are as they would be."""
    if isinstance(node, Sequence):
        chosen = [reading.word(item, parsers.namespace) for item in node.items]
        return tuple(name for name in NAMESPACES if name in chosen)
    if not isinstance(node, Mapping):
        reading.refuse(node, "expected a list of namespaces, or a mapping such as net: host")
        return ()
    members = reading.members(node, NAMESPACES)
    return {name: reading.word(value, _is_private) for name, value in members.items()}


def _is_private(word: str, place: parsers.Place) -> bool:
    if word not in ("host", "private"):
        raise UsageError(f"{word!r}: expected host or private")
    return word == "private"


def _ulimits(node: Node, field: Field, reading: Reading) -> dict[str, tuple[int, int]]:
    """Name to a value, or to {soft, hard}; or a list of NAME=SOFT[:HARD]."""
    values: dict[str, tuple[int, int]] = {}
    if isinstance(node, Mapping):
        for key, value in node.entries:
            values.update(_ulimit(key, value, reading) or {})
    else:
        for limits in _list(node, field, reading):
            values.update(limits or {})
    return values


def _ulimit(key: Scalar, value: Node, reading: Reading) -> Any:
    soft = hard = value
    if isinstance(value, Mapping):
        members = reading.members(value, ("soft", "hard"))
        if not {"soft", "hard"} <= members.keys():
            reading.refuse(value, "a ulimit needs soft and hard")
            return None
        soft, hard = members["soft"], members["hard"]
    texts = reading.text(soft), reading.text(hard)
    return reading.attempt(key, lambda: limit(key.text, *texts))


def _expect(node: Node, field: Field, reading: Reading) -> Any:
    from mydocker.specs.expect.expectation import (
        read_expect,  # patterns are slow to import, and most specs expect nothing
    )

    return read_expect(node, field, reading)


def _hosts(node: Node, field: Field, reading: Reading) -> tuple[Any, ...]:
    """Name to an address or several; or a list of NAME:ADDRESS."""
    if not isinstance(node, Mapping):
        return _list(node, field, reading)
    return tuple(
        _host(key, item, reading)
        for key, value in node.entries
        for item in (value.items if isinstance(value, Sequence) else (value,))
    )


def _host(key: Scalar, value: Node, reading: Reading) -> Any:
    text = reading.text(value)
    return reading.attempt(value, lambda: host(key.text, text))


def _one_or_more(node: Node, field: Field, reading: Reading) -> tuple[Any, ...]:
    return _list(node, field, reading) if isinstance(node, Sequence) else (reading.word(node, field.parse),)


def _flow(node: Node, field: Field, reading: Reading) -> Any:
    from mydocker.specs.load.flow import read_flow

    return read_flow(node, field, reading)


def _ports(node: Node, field: Field, reading: Reading) -> tuple[Any, ...]:
    from mydocker.specs.values.port import read_ports

    return read_ports(node, reading)


YAML_TYPES: dict[str, Callable[[Node, Field, Reading], Any]] = {
    "text": _text,
    "title": _title,
    "boolean": _boolean,
    "words": _words,
    "list": _list,
    "pairs": _pairs,
    "label_files": _label_files,
    "env_files": _env_files,
    "volumes": _volumes,
    "tmpfs": _tmpfs,
    "inline_files": _inline_files,
    "devices": _devices,
    "namespaces": _namespaces,
    "ulimits": _ulimits,
    "expect": _expect,
    "hosts": _hosts,
    "one_or_more": _one_or_more,
    "flow": _flow,
    "ports": _ports,
}
