"""Nodes of Compose files: their entries and members, known or refused by name."""

from __future__ import annotations

from mydocker.nearest import nearest
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model.unsupported import UNSUPPORTED_KEYS
from mydocker.specs.nodes.node import Mapping, Node, Scalar, is_null
from mydocker.specs.nodes.reader import unknown_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mydocker.specs.nodes.reader import Reader

    Entries = dict[str, Node]


def entries_of(node: Node | None, reader: Reader) -> tuple[tuple[Scalar, Node], ...]:
    """The entries of a mapping, except extensions (`x-…`)."""
    if isinstance(node, Mapping):
        return tuple(entry for entry in node.entries if not entry[0].text.startswith("x-"))
    if node is not None and not is_null(node):
        reader.refuse(node, "expected a mapping")
    return ()


def members_of(node: Node, known: Iterable[str], reader: Reader, *, unsupported: Iterable[str] = ()) -> Entries:
    """The entries of NODE that are known and not null; the others are refused.

    UNSUPPORTED are names of Compose that are refused as not supported.
    """
    names, others = tuple(known), tuple(unsupported)
    found: Entries = {}
    for key, value in entries_of(node, reader):
        if key.text in names:
            if not is_null(value) or key.text == "services":
                found[key.text] = value
        elif key.text in others or key.text in UNSUPPORTED_KEYS:
            reader.refuse(key, f"{key.text} is not supported yet")
        else:
            reader.refuse(key, unknown_key(key.text, nearest(key.text, (*names, *others))))
    return found


def key_at(node: Node, text: str) -> Scalar:
    """The key TEXT at the position of NODE."""
    return Scalar(**node.position, text=text, plain=True)
