"""Nodes of files of container-structure-test: their members and items, known or refused, and their texts as nodes of a
spec file."""

from __future__ import annotations

from mydocker.nearest import nearest
from mydocker.record import TYPE_CHECKING
from mydocker.specs.expect.go_regexp import python_pattern
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence, is_null, mapping_at, text_at
from mydocker.specs.nodes.reader import unknown_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.specs.nodes.reader import Reader

    Entries = dict[str, Node]


def patterns_of(node: Node, reader: Reader, *, expected: bool) -> Iterator[Node]:
    """Matchers for the regular expressions of a list."""
    if not isinstance(node, Sequence):
        reader.refuse(node, "expected a list of regular expressions")
        return
    for item in node.items:
        matcher = matching(item, reader)
        yield matcher if expected else mapping_at(item, {"not": matcher})


def matching(node: Node, reader: Reader) -> Mapping:
    """The matcher of a regular expression, which is one of Go's."""
    if isinstance(node, Scalar):
        written = node.text
        found = reader.attempt(node, lambda: python_pattern(written))
        return mapping_at(node, {"match-regexp": text_at(node, found or "")})
    return mapping_at(node, {"match-regexp": plain(node, reader)})


def items_of(node: Node | None, reader: Reader) -> Iterator[Mapping]:
    if node is not None and not isinstance(node, Sequence):
        reader.refuse(node, "expected a list")
    for item in node.items if isinstance(node, Sequence) else ():
        if isinstance(item, Mapping):
            yield item
        else:
            reader.refuse(item, "expected a mapping")


def members_of(node: Mapping, known: tuple[str, ...], reader: Reader, needs: tuple[str, ...] = ()) -> Entries:
    """The entries of NODE that are known and not null; the others are refused, and a missing one of NEEDS is an
    error."""
    found: Entries = {}
    meant: set[str | None] = set()  # which are not to be reported missing as well
    for key, value in node.entries:
        if key.text in known:
            found |= {} if is_null(value) else {key.text: value}
        else:
            meant.add(near := nearest(key.text, known))
            reader.refuse(key, unknown_key(key.text, near))
    for name in needs:
        if name not in found and name not in meant:
            reader.refuse(node, f"{name} is missing")
    return found


def name_of(members: Entries, reader: Reader) -> Entries:
    return {"name": plain(members["name"], reader)} if "name" in members else {}


def path_of(node: Node, reader: Reader) -> Node:
    """A path in the container; one that is relative counts from its root (Docker Engine API, ContainerArchiveInfo)."""
    text = plain(node, reader)
    if isinstance(text, Scalar) and text.text and not text.text.startswith(("/", "$")):
        return text.replace(text=f"/{text.text.removeprefix('./')}")
    return text


def plain(node: Node, reader: Reader) -> Node:
    """NODE, a text in which a dollar sign is no variable of Compose's."""
    if isinstance(node, Scalar):
        return node.replace(text=node.text.replace("$", "$$"))
    reader.refuse(node, "expected text")
    return text_at(node, "/unknown")  # one mistake is enough
