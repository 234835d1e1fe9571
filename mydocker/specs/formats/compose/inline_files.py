"""`configs` and `secrets` of a Compose file: a definition at the top and its use by a service become an entry of a spec
file."""

from __future__ import annotations

from mydocker.nearest import did_you_mean, nearest
from mydocker.record import TYPE_CHECKING
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence, list_at, text_at
from mydocker.specs.nodes.reader import unknown_key

if TYPE_CHECKING:
    from mydocker.specs.nodes.reader import Reader

    Definitions = dict[str, Mapping | None]

SOURCES = ("file", "content", "environment")
_SOURCES = ", ".join(SOURCES)
_GRANT = ("source", "target", "uid", "gid", "mode")
_OF_CLUSTERS = ("external", "driver", "driver_opts", "template_driver")  # of files that a cluster stores
_KNOWN = (*SOURCES, *_OF_CLUSTERS, "name")


def definitions(entries: tuple[tuple[Scalar, Node], ...], reader: Reader) -> Definitions:
    """What each name stands for; None: it could not be read."""
    return {key.text: _definition(node, reader) for key, node in entries}


def _definition(node: Node, reader: Reader) -> Mapping | None:
    if not isinstance(node, Mapping):
        reader.refuse(node, f"expected a mapping with one of {_SOURCES}")
        return None
    before = len(reader.problems)
    for key, _ in node.entries:
        if key.text == "labels":
            reader.warn(key, "labels has no effect here")
        elif key.text not in _KNOWN and not key.text.startswith("x-"):
            reader.refuse(key, unknown_key(key.text, nearest(key.text, SOURCES)))
    return node if len(reader.problems) == before else None


def granted(kind: str, node: Node, known: Definitions, reader: Reader) -> Node:
    """The value of the key KIND of a service, each entry with its definition."""
    if not isinstance(node, Sequence):
        return node
    found = (_granted(kind, item, known, reader) for item in node.items)
    return list_at(node, [item for item in found if item])


def _granted(kind: str, item: Node, known: Definitions, reader: Reader) -> Node | None:
    entries = item.entries if isinstance(item, Mapping) else ()
    source = next((value for key, value in entries if key.text == "source"), item)
    for key, _ in entries:
        if key.text not in _GRANT and not key.text.startswith("x-"):
            reader.refuse(key, unknown_key(key.text, nearest(key.text, _GRANT)))
    before = len(reader.problems)
    name = reader.text(source, expected=f"the name of one of the {kind}")
    if len(reader.problems) > before:
        return None
    if name not in known:
        more = did_you_mean(name, known)
        reader.refuse(source, f"{name!r} is not declared under {kind} at the top of the file{more}")
    definition = known.get(name)
    if definition is None:
        return None
    if other := next((each.text for each, _ in definition.entries if each.text in _OF_CLUSTERS), None):
        message = f"{name!r} has the key {other}, for files of a cluster, which is not supported: expected {_SOURCES}"
        reader.refuse(source, message)
        return None
    key = Scalar(**source.position, text="source", plain=True)
    own = tuple(entry for entry in entries if entry[0].text in _GRANT[1:])
    content = tuple(entry for entry in definition.entries if entry[0].text in SOURCES)
    return Mapping(**item.position, entries=((key, text_at(source, name)), *own, *content))
