"""`links` and `external_links` of Compose services: who begins first, and names in the network.

A link makes the service that it leads to begin first, and gives it one more name, the alias. Docker keeps that name to
the container with the link; here, all containers of the other one's networks know it, so one alias cannot stand for two
services. The keys are Compose's ("Services top-level elements", links and external_links).
"""

from __future__ import annotations

from mydocker.nearest import did_you_mean
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.formats.compose.nodes import key_at
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence, is_null, list_at, mapping_at, text_at

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mydocker.specs.nodes.reader import Reader


class Link(Record):
    """That a service needs the service called `target`, and knows it as `alias` too; both at `node`."""

    target: str
    alias: str
    node: Scalar


def links_of(service: Mapping, services: Iterable[str], reader: Reader) -> tuple[Link, ...]:
    """The links of SERVICE to others of SERVICES."""
    found: list[Link] = []
    nodes = _items(service, "links", reader)
    known = dict.fromkeys(services) if nodes else {}
    for node in nodes:
        target, _, alias = reader.text(node, expected="SERVICE or SERVICE:ALIAS").partition(":")
        if target in known:
            found.append(Link(target=target, alias=alias or target, node=text_at(node, alias or target)))
        elif target:
            reader.refuse(node, f"there is no service {target!r}" + did_you_mean(target, known))
    return tuple(found)


def aliases_of(links: Iterable[Link], reader: Reader) -> dict[str, list[Node]]:
    """Service to the further names that LINKS give it. An alias that stands for two services is refused."""
    found: dict[str, dict[str, Node]] = {}
    targets: dict[str, str] = {}
    for link in links:
        other = targets.setdefault(link.alias, link.target)
        if other != link.target:
            reader.refuse(link.node, f"alias {link.alias!r} stands for {other!r} in another link: use another name")
        elif link.alias != link.target:
            found.setdefault(link.target, {})[link.alias] = link.node
    return {name: [*nodes.values()] for name, nodes in found.items()}


def refuse_nameless(links: Iterable[Link], services: dict[str, Mapping], reader: Reader) -> None:
    """Refuse aliases for services that have no names in a network."""
    for link in links:
        if link.alias == link.target:
            continue
        if link.target not in services:
            reader.refuse(link.node, f"{link.target!r} is of another file, and so cannot have the alias {link.alias!r}")
        elif services[link.target].get("network_mode") is not None:
            reader.refuse(link.node, f"{link.target!r} has a network_mode, and so cannot have the alias {link.alias!r}")


def read_external_links(service: Mapping, reader: Reader) -> None:
    """Check the containers that SERVICE expects to find in its networks: there they are known by their own names."""
    for node in _items(service, "external_links", reader):
        name, _, alias = reader.text(node, expected="CONTAINER").partition(":")
        if alias and alias != name:
            message = f"the alias {alias!r} of another project's container is not supported: use its name, {name!r}"
            reader.refuse(node, message)
        elif name:
            reader.warn(node, f"container {name!r} is known by this name if it is in one of the service's networks")


def needing(service: Mapping, links: Iterable[Link]) -> Mapping:
    """SERVICE, with a dependency on each service that LINKS lead to."""
    names = {link.target: link.node for link in links}
    entry = next((entry for entry in service.entries if entry[0].text == "depends_on"), None)
    if not names or (entry and not isinstance(entry[1], Mapping | Sequence)):
        return service
    if entry is None:
        first = next(iter(names.values()))
        items = list_at(first, [text_at(node, name) for name, node in names.items()])
        return service.replace(entries=(*service.entries, (key_at(first, "depends_on"), items)))
    key, node = entry
    others = tuple(each for each in service.entries if each[0].text != "depends_on")
    return service.replace(entries=(*others, (key, _added(node, names))))


def _added(node: Node, names: dict[str, Scalar]) -> Node:
    """The value of `depends_on`, in either form, with those of NAMES that it lacks."""
    if isinstance(node, Sequence):
        there = {item.text for item in node.items if isinstance(item, Scalar)}
        return node.replace(
            items=(*node.items, *(text_at(at, name) for name, at in names.items() if name not in there))
        )
    assert isinstance(node, Mapping)
    there = {key.text for key, _ in node.entries}
    added = (
        (key_at(at, name), mapping_at(at, {"condition": text_at(at, "service_started")}))
        for name, at in names.items()
        if name not in there
    )
    return node.replace(entries=(*node.entries, *added))


def _items(service: Mapping, name: str, reader: Reader) -> tuple[Node, ...]:
    node = service.get(name)
    if node is None or is_null(node):
        return ()
    if not isinstance(node, Sequence):
        reader.refuse(node, "expected a list")
        return ()
    return node.items
