"""What Compose files declare at their top, and which of it their services may name.

Files that include each other are one project: a service may name what any of them declares. Of a service that another
file extends, only the text counts: what that file declares is meant. (compose-spec, "Include", "Services top-level
elements", extends.)
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs import values
from mydocker.specs.formats.compose.networks import DeclaredNetwork
from mydocker.specs.formats.compose.volumes import DeclaredVolume
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence, text_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mydocker.specs.nodes.reader import OpenFile, Reader

KINDS = ("networks", "volumes", "configs", "secrets")


class Declared(Record):
    """What one file declares, by kind and name, as `reader` reads it; None: it could not be read."""

    reader: Reader
    parts: dict[str, dict[str, Any]]
    services: tuple[str, ...] = ()
    shown: str = ""


def visible(kind: str, own: Declared) -> dict[str, Any]:
    """What the services of the file of OWN may name."""
    found: dict[str, Any] = {}
    for each in reversed([*_declared(own)]):
        for name, value in each.parts[kind].items():
            found[name] = value if each is own else _from_elsewhere(value, each)
    return found


def services_of(own: Declared) -> tuple[str, ...]:
    """The services of the file of OWN, and of those that are one project with it."""
    return tuple(dict.fromkeys(name for each in _declared(own) for name in each.services))


def _declared(own: Declared) -> Iterator[Declared]:
    """What the file of OWN and others declare, the first of one name first."""
    file = own.reader.file
    if file is None:
        yield own
        return
    above = [*_connected(file.extended_by)] if file.extended_by else []
    below = [other for base in file.bases for other in _connected(base)]
    for each in dict.fromkeys([*above, *_connected(file), *below]):
        if each is file:
            yield own
        elif isinstance(each.declared, Declared):
            yield each.declared


def _connected(file: OpenFile) -> list[OpenFile]:
    """FILE, the files that it includes and that include it, and theirs."""
    found = [file]
    for each in found:
        found += [other for other in each.included if other not in found]
    return found


def _from_elsewhere(value: Any, owner: Declared) -> Any:
    """VALUE as another file may use it: its variables and paths are those of its OWNER."""
    if isinstance(value, DeclaredNetwork):
        return value.replace(node=_fixed(value.node, owner))
    if isinstance(value, DeclaredVolume):
        return value.replace(members=tuple((name, _fixed(node, owner)) for name, node in value.members))
    if isinstance(value, Mapping):
        return value.replace(entries=tuple((key, _member(key.text, node, owner)) for key, node in value.entries))
    return value


def _member(key: str, node: Node, owner: Declared) -> Node:
    fixed: Node = _fixed(node, owner)
    if key != "file" or not isinstance(node, Scalar):
        return fixed
    quiet = owner.reader.replace(problems=[], file=None)
    return text_at(fixed, quiet.value(node, values.path) or "")


def _fixed(node: Node, owner: Declared) -> Any:
    """NODE with its variables replaced, in the file that it is of."""
    placed = node.replace(file=node.file or owner.shown)
    if isinstance(node, Mapping):
        return placed.replace(entries=tuple((key, _fixed(value, owner)) for key, value in node.entries))
    if isinstance(node, Sequence):
        return placed.replace(items=tuple(_fixed(item, owner) for item in node.items))
    if isinstance(node, Scalar) and not node.is_null:
        return text_at(placed, owner.reader.replace(problems=[], file=None).text(node))
    return placed
