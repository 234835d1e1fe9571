"""`extends` of Compose files: a service is merged over the one that it extends, before either becomes a document.

The rules are those of files that lie over each other (formats/compose/merge.py), tags included, as in Compose
(compose-spec, "Services top-level elements", extends, "Finding referenced service" and "Merging service definitions").
The base is text: its variables are those of the service that extends it, and its relative paths count from its own
file. A base that cannot be found here, or is of mydocker's own form, is left to load/extend.py.
"""

from __future__ import annotations

import os

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.formats.compose.merge import extended, settled_service
from mydocker.specs.formats.compose.services import declare
from mydocker.specs.mounts.volume import is_path
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence, is_null, list_at, mapping_at, text_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.specs.nodes.reader import OpenFile, Reader

    Chain = tuple[tuple[str, str], ...]  # the files and names of the services that led here

_CHAIN_LIMIT = 64


class _Found(Record):
    """A service with all that it extends, and the file of the first of these."""

    service: Mapping
    file: OpenFile


def with_bases(whole: Mapping, file: OpenFile, reader: Reader) -> Mapping:
    """WHOLE, a Compose file, with the bases of its services merged into them."""
    services = whole.get("services")
    if not isinstance(services, Mapping) or all(_extends(node) is None for _, node in services.entries):
        return whole
    entries = []
    for key, node in services.entries:
        found = _resolved(key.text, file, reader, ()) if _extends(node) is not None else None
        entries.append((key, settled_service(found.service if found else node)))
    own = services.replace(entries=tuple(entries))
    return whole.replace(entries=tuple((key, own if key.text == "services" else node) for key, node in whole.entries))


def _extends(service: Node) -> Node | None:
    node = service.get("extends") if isinstance(service, Mapping) else None
    return None if node is None or is_null(node) else node


def _resolved(name: str, file: OpenFile, reader: Reader, chain: Chain) -> _Found | None:
    """The service NAME of FILE with its bases; None if one of them cannot be found. CHAIN: the services that lead to
    it."""
    here = (file.path, name)
    services = file.whole.get("services") if file.whole else None
    service = services.get(name) if isinstance(services, Mapping) else None
    if not isinstance(service, Mapping) or here in chain or len(chain) > _CHAIN_LIMIT:
        return None
    node = _extends(service)
    if node is None:
        return _Found(service=service, file=file)
    quiet = reader.replace(problems=[], file=None)
    base_name, base_file = _named(node, file, quiet)
    found = _resolved(base_name, base_file, reader, (*chain, here)) if base_file else None
    if found is None or base_file is None:
        return None
    base = found.service
    if base_file is not file:
        base = _placed(base, base_file.shown)
        if base_file.scope.directory != file.scope.directory:
            base = rooted(base, quiet.replace(scope=quiet.scope.replace(directory=base_file.scope.directory)))
    return _Found(service=extended(base, service, name, reader), file=file)


def _named(node: Node, file: OpenFile, reader: Reader) -> tuple[str, OpenFile | None]:
    """The name of the service that the value of `extends` in FILE means, and its file; None if it cannot be read."""
    if not isinstance(node, Mapping):
        return reader.text(node), None if reader.problems else file
    members = {key.text: reader.text(value) for key, value in node.entries}
    if reader.problems or not members.keys() <= {"service", "file"}:
        return "", None
    name = members.get("service", "")
    if "file" not in members:
        return name, file
    try:
        opened = file.open_other(members["file"])
    except UsageError:
        return name, None
    if opened is not file and opened not in file.bases:
        opened.extended_by = opened.extended_by or file
        file.bases.append(opened)
    if opened.whole is None:
        return name, None
    if opened.declared is None and opened is not file:
        declare(opened.whole, opened.reader)
    return name, opened


def _placed(node: Node, shown: str) -> Mapping:
    """NODE with the name of the file that it is of, for messages."""
    found = _with_file(node, shown)
    assert isinstance(found, Mapping)
    return found


def _with_file(node: Node, shown: str) -> Node:
    placed = node.replace(file=node.file or shown)
    if isinstance(placed, Mapping):
        entries = tuple(
            (key.replace(file=key.file or shown), _with_file(value, shown)) for key, value in placed.entries
        )
        return placed.replace(entries=entries)
    if isinstance(placed, Sequence):
        return placed.replace(items=tuple(_with_file(item, shown) for item in placed.items))
    return placed


def rooted(service: Mapping, reader: Reader) -> Mapping:
    """SERVICE, of a Compose file, with its relative paths below the directory of the scope of READER."""
    return service.replace(
        entries=tuple(
            (key, _ROOTED[key.text](value, reader) if key.text in _ROOTED else value) for key, value in service.entries
        )
    )


def _path(node: Node, reader: Reader) -> Node:
    """An absolute path in place of a relative one; what is none, or cannot be read, stays."""
    text = reader.text(node) if isinstance(node, Scalar) and not node.is_null else ""
    if not text or text[0] in "/~" or "://" in text:
        return node
    return text_at(node, _joined(text, reader)).replace(tag=node.tag)


def _joined(path: str, reader: Reader) -> str:
    return os.path.normpath(os.path.join(reader.scope.directory, path))


def _files(node: Node, reader: Reader) -> Node:
    """The value of `env_file` or `label_file`."""
    if isinstance(node, Sequence):
        return node.replace(items=tuple(_files(item, reader) for item in node.items))
    return _members(node, reader, {"path": _path}) if isinstance(node, Mapping) else _path(node, reader)


def _build(node: Node, reader: Reader) -> Node:
    if not isinstance(node, Mapping):
        return _path(node, reader)
    if node.get("context") is None:
        context = mapping_at(node, {"context": text_at(node, reader.scope.directory)})
        node = node.replace(entries=(*context.entries, *node.entries))
    return _members(node, reader, {"context": _path, "additional_contexts": _contexts})


def _contexts(node: Node, reader: Reader) -> Node:
    """Those that are directories, NAME=PATH or a mapping; `service:NAME` and addresses stay."""
    if isinstance(node, Mapping):
        return node.replace(entries=tuple((key, _context(value, reader)) for key, value in node.entries))
    if not isinstance(node, Sequence):
        return node
    items = []
    for item in node.items:
        name, equals, path = (reader.text(item) if isinstance(item, Scalar) else "").partition("=")
        found = _context(text_at(item, path), reader) if equals else item
        items.append(text_at(item, f"{name}={reader.text(found)}") if equals else item)
    return list_at(node, items)


def _context(node: Node, reader: Reader) -> Node:
    is_other = isinstance(node, Scalar) and node.text.startswith(("service:", "target:"))
    return node if is_other else _path(node, reader)


def _volumes(node: Node, reader: Reader) -> Node:
    if not isinstance(node, Sequence):
        return node
    return node.replace(items=tuple(_volume(item, reader) for item in node.items))


def _volume(item: Node, reader: Reader) -> Node:
    if isinstance(item, Mapping):
        kind = item.get("type")
        is_bind = isinstance(kind, Scalar) and reader.text(kind) == "bind"
        return _members(item, reader, {"source": _path}) if is_bind else item
    if not isinstance(item, Scalar) or item.is_null:
        return item
    source, colon, rest = reader.text(item).partition(":")
    if not colon or not is_path(source) or source[0] != ".":
        return item
    return text_at(item, f"{_joined(source, reader)}:{rest}").replace(tag=item.tag)


def _members(node: Mapping, reader: Reader, known: dict[str, Callable[[Node, Reader], Node]]) -> Mapping:
    return node.replace(
        entries=tuple(
            (key, known[key.text](value, reader) if key.text in known else value) for key, value in node.entries
        )
    )


_ROOTED: dict[str, Callable[[Node, Reader], Node]] = {
    "env_file": _files,
    "label_file": _files,
    "build": _build,
    "volumes": _volumes,
}
