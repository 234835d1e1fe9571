"""`links` of Compose services: a service starts after those that it links to, and may know them by other names.

Compose, "Services", links: `SERVICE` or `SERVICE:ALIAS`. An alias is a name for all in the networks of that service,
not for the one that links to it alone.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.compose.nodes import key_at
from mydocker.specs.model.parts import STARTED
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence, is_null, list_at, mapping_at, text_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.specs.nodes.reader import Reader

    Entries = dict[str, Node]


def link_aliases(services: tuple[tuple[Scalar, Node], ...], reader: Reader) -> dict[str, list[Node]]:
    """The names that `links` of SERVICES have for other services, by these; mistakes are reported elsewhere."""
    quiet = reader.replace(problems=[])
    found: dict[str, list[Node]] = {}
    for _, service in services:
        node = next((value for key, value in _entries(service) if key.text == "links"), None)
        for item, target, alias in _links(node, quiet):
            if alias and alias != target:
                found.setdefault(target, []).append(text_at(item, alias))
    return found


def with_links(members: Entries, reader: Reader) -> Node | None:
    """The `depends_on` of a service with MEMBERS, and what it links to as well; None if there is neither."""
    node, links = members.get("depends_on"), members.get("links")
    if links is None:
        return node
    if not isinstance(links, Sequence):
        reader.refuse(links, "expected a list of services, or of SERVICE:ALIAS")
        return node
    known = {key.text for key, _ in _entries(node)}
    known.update(item.text for item in node.items if isinstance(item, Scalar)) if isinstance(node, Sequence) else None
    new = {target: text_at(item, target) for item, target, _ in _links(links, reader) if target not in known}
    if isinstance(node, Mapping):
        started = {name: mapping_at(at, {"condition": text_at(at, STARTED)}) for name, at in new.items()}
        return node.replace(entries=(*node.entries, *((key_at(at, name), at) for name, at in started.items())))
    if node is None or isinstance(node, Sequence):
        return list_at(links if node is None else node, [*(node.items if node else ()), *new.values()])
    return node


def _entries(node: Node | None) -> tuple[tuple[Scalar, Node], ...]:
    return node.entries if isinstance(node, Mapping) else ()


def _links(node: Node | None, reader: Reader) -> Iterator[tuple[Node, str, str]]:
    """Each link, with the service and the alias that it names."""
    for item in node.items if isinstance(node, Sequence) else ():
        if not is_null(item):
            target, _, alias = reader.text(item, expected="a service, or SERVICE:ALIAS").partition(":")
            yield item, target, alias
