"""YAML types: what a key of a spec file may hold, and how it becomes a value.

A YAML type is a function of the key's node (never null), the field's row and the Reader. The Compose
specification's "Services top-level elements" defines what Compose's keys hold.
"""

from __future__ import annotations

import os

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs import values
from mydocker.specs.environment.files import read_compose_file, read_docker_file
from mydocker.specs.load.pairs import read_pairs
from mydocker.specs.model import NAMESPACES, BindMount
from mydocker.specs.mounts.mapping import long_mount
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence
from mydocker.specs.nodes.reader import arguments_of, switch
from mydocker.specs.values.hosts import host
from mydocker.specs.values.ulimit import limit

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.specs.fields import Field
    from mydocker.specs.nodes.reader import Reader


def _text(node: Node, field: Field, reader: Reader) -> Any:
    """A scalar, parsed like the value of the flag."""
    return reader.value(node, field.parse)


def _title(node: Node, field: Field, reader: Reader) -> Any:
    """A name in a file is free text, such as `web answers`."""
    return reader.value(node, values.title)


def _boolean(node: Node, field: Field, reader: Reader) -> Any:
    return reader.value(node, switch)


def _words(node: Node, field: Field, reader: Reader) -> tuple[str, ...]:
    return arguments_of(node, reader)


def _list(node: Node, field: Field, reader: Reader) -> tuple[Any, ...]:
    if not isinstance(node, Sequence):
        reader.refuse(node, "expected a list")
        return ()
    return tuple(reader.value(item, field.parse) for item in node.items)


def _pairs(node: Node, field: Field, reader: Reader) -> dict[str, str]:
    return read_pairs(node, field.parse, reader)


def _label_files(node: Node, field: Field, reader: Reader) -> dict[str, str]:
    """One file, or a list."""
    pairs: dict[str, str] = {}
    for item in node.items if isinstance(node, Sequence) else (node,):
        before = len(reader.problems)
        pairs.update(reader.value(item, field.parse) or {})
        reader.forgives(before)
    return pairs


def _env_files(node: Node, field: Field, reader: Reader) -> dict[str, str]:
    """One file or a list; an entry is a path, or {path, required, format}. The last to set a variable wins."""
    pairs: dict[str, str] = {}
    for item in node.items if isinstance(node, Sequence) else (node,):
        pairs.update(_env_file(item, reader) or {})
    return pairs


def _env_file(node: Node, reader: Reader) -> Any:
    required, raw, path_node = True, False, node
    before = len(reader.problems)
    if isinstance(node, Mapping):
        members = reader.members(node, ("path", "required", "format"))
        if "path" not in members:
            reader.refuse(node, "an env_file entry needs a path")
            return None
        path_node = members["path"]
        required = "required" not in members or reader.value(members["required"], switch)
        raw = "format" in members and reader.value(members["format"], _env_format) == "raw"
    path = reader.value(path_node, values.path) if len(reader.problems) == before else None
    if path is None or not (required or os.path.exists(path)):
        return None
    environ = reader.scope.environ
    before = len(reader.problems)
    if raw:
        found = reader.attempt(path_node, lambda: read_docker_file(path, environ=environ))
    else:
        found = reader.attempt(path_node, lambda: read_compose_file(path, lookup=environ.get))
    reader.forgives(before)
    return found


def _env_format(text: str, scope: values.Scope) -> str:
    if text != "raw":
        raise UsageError(f"env_file format {text!r}: the only one is raw")
    return text


def _volumes(node: Node, field: Field, reader: Reader) -> tuple[Any, ...]:
    if not isinstance(node, Sequence):
        reader.refuse(node, "expected a list of volumes")
        return ()
    return tuple(
        long_mount(item, reader, boolean=switch) if isinstance(item, Mapping) else _short_mount(item, field, reader)
        for item in node.items
    )


def _short_mount(node: Node, field: Field, reader: Reader) -> Any:
    mount = reader.value(node, field.parse)
    if not isinstance(mount, BindMount) or mount.copy_on_write:
        return mount
    return mount.replace(create=reader.is_compose)


def _volumes_from(node: Node, field: Field, reader: Reader) -> tuple[Any, ...]:
    """In a file, a name alone is that of another container there."""
    if not isinstance(node, Sequence) or reader.file is None:
        return _list(node, field, reader)
    return tuple(reader.value(item, _volume_source) for item in node.items)


def _volume_source(text: str, scope: values.Scope) -> Any:
    from mydocker.specs.mounts.volume import parse_volumes_from

    return parse_volumes_from(text if text.startswith(("container:", "service:")) else f"service:{text}")


def _inline_files(node: Node, field: Field, reader: Reader) -> tuple[Any, ...]:
    from mydocker.specs.load.inline_files import read_inline_files

    return read_inline_files(node, reader, secret=field.key == "secrets")


def _devices(node: Node, field: Field, reader: Reader) -> tuple[Any, ...]:
    """Devices as on the command line, or as {source, target, permissions}."""
    if not isinstance(node, Sequence):
        reader.refuse(node, "expected a list of devices")
        return ()
    return tuple(
        _device(item, reader) if isinstance(item, Mapping) else reader.value(item, field.parse) for item in node.items
    )


def _device(node: Mapping, reader: Reader) -> Any:
    from mydocker.specs.values.device import device

    members = reader.members(node, ("source", "target", "permissions"))
    if "source" not in members:
        reader.refuse(node, "a device needs source")
        return None
    texts = {key: reader.text(value) for key, value in members.items()}
    source = texts["source"]
    return reader.attempt(node, lambda: device(source, texts.get("target", source), texts.get("permissions", "rwm")))


def _namespaces(node: Node, field: Field, reader: Reader) -> tuple[str, ...] | dict[str, bool]:
    """A list: only these namespaces are new. A mapping, name to `host` or `private`: the others keep their default."""
    if isinstance(node, Sequence):
        chosen = [reader.value(item, values.namespace) for item in node.items]
        return tuple(name for name in NAMESPACES if name in chosen)
    if not isinstance(node, Mapping):
        reader.refuse(node, "expected a list of namespaces, or a mapping such as net: host")
        return ()
    members = reader.members(node, NAMESPACES)
    return {name: reader.value(value, _is_private) for name, value in members.items()}


def _is_private(text: str, scope: values.Scope) -> bool:
    if text not in ("host", "private"):
        raise UsageError(f"{text!r}: expected host or private")
    return text == "private"


def _ulimits(node: Node, field: Field, reader: Reader) -> dict[str, tuple[int, int]]:
    """Name to a value, or to {soft, hard}; or a list of NAME=SOFT[:HARD]."""
    pairs: dict[str, tuple[int, int]] = {}
    if isinstance(node, Mapping):
        for key, value in node.entries:
            pairs.update(_ulimit(key, value, reader) or {})
    else:
        for limits in _list(node, field, reader):
            pairs.update(limits or {})
    return pairs


def _ulimit(key: Scalar, value: Node, reader: Reader) -> Any:
    soft = hard = value
    if isinstance(value, Mapping):
        members = reader.members(value, ("soft", "hard"))
        if not {"soft", "hard"} <= members.keys():
            reader.refuse(value, "a ulimit needs soft and hard")
            return None
        soft, hard = members["soft"], members["hard"]
    texts = reader.text(soft), reader.text(hard)
    return reader.attempt(key, lambda: limit(key.text, *texts))


def _expect(node: Node, field: Field, reader: Reader) -> Any:
    from mydocker.specs.expect.expectation import (
        read_expect,  # patterns are slow to import, and most specs expect nothing
    )

    return read_expect(node, field, reader)


def _hosts(node: Node, field: Field, reader: Reader) -> tuple[Any, ...]:
    """Name to an address or several; or a list of NAME:ADDRESS."""
    if not isinstance(node, Mapping):
        return _list(node, field, reader)
    return tuple(
        _host(key, item, reader)
        for key, value in node.entries
        for item in (value.items if isinstance(value, Sequence) else (value,))
    )


def _host(key: Scalar, value: Node, reader: Reader) -> Any:
    text = reader.text(value)
    return reader.attempt(value, lambda: host(key.text, text))


def _one_or_more(node: Node, field: Field, reader: Reader) -> tuple[Any, ...]:
    return _list(node, field, reader) if isinstance(node, Sequence) else (reader.value(node, field.parse),)


def _build(node: Node, field: Field, reader: Reader) -> Any:
    from mydocker.specs.load.build import read_build

    return read_build(
        node, reader, lambda kind, part, parse: YAML_TYPES[kind](part, field.replace(parse=parse), reader)
    )


def _flow(node: Node, field: Field, reader: Reader) -> Any:
    from mydocker.specs.load.flow import read_flow

    return read_flow(node, field, reader)


def _logging(node: Node, field: Field, reader: Reader) -> tuple[Any, ...]:
    from mydocker.specs.model.log_driver import read_logging

    return read_logging(node, reader)


def _gpus(node: Node, field: Field, reader: Reader) -> tuple[Any, ...]:
    from mydocker.specs.devices.gpus import read_gpus

    return read_gpus(node, reader)


def _block_limits(node: Node, field: Field, reader: Reader) -> tuple[Any, ...]:
    from mydocker.specs.devices.block_io import read_block_limits

    return read_block_limits(node, reader)


def _networks(node: Node, field: Field, reader: Reader) -> tuple[Any, ...]:
    from mydocker.specs.load.networks import read_networks

    return read_networks(node, field, reader)


def _exposed(node: Node, field: Field, reader: Reader) -> tuple[Any, ...]:
    from mydocker.specs.values.port import read_exposed

    return read_exposed(node, reader)


def _ports(node: Node, field: Field, reader: Reader) -> tuple[Any, ...]:
    from mydocker.specs.values.port import read_ports

    return read_ports(node, reader)


YAML_TYPES: dict[str, Callable[[Node, Field, Reader], Any]] = {
    "text": _text,
    "pull_policy": _text,
    "shared_namespace": _text,
    "title": _title,
    "boolean": _boolean,
    "words": _words,
    "list": _list,
    "pairs": _pairs,
    "label_files": _label_files,
    "env_files": _env_files,
    "volumes": _volumes,
    "tmpfs": _one_or_more,
    "volumes_from": _volumes_from,
    "inline_files": _inline_files,
    "devices": _devices,
    "namespaces": _namespaces,
    "ulimits": _ulimits,
    "expect": _expect,
    "hosts": _hosts,
    "one_or_more": _one_or_more,
    "build": _build,
    "flow": _flow,
    "ports": _ports,
    "logging": _logging,
    "networks": _networks,
    "block_limits": _block_limits,
    "gpus": _gpus,
    "exposed": _exposed,
}
