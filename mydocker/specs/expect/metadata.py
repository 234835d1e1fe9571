"""`metadata` under `expect`: the configuration of the image, whatever the container overrides."""

from __future__ import annotations

from functools import partial

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs.expect.keywords import METADATA, of_kind
from mydocker.specs.expect.matcher import read_matcher
from mydocker.specs.expect.synonyms import unknown_keyword
from mydocker.specs.model.expect import Check, Matcher, checked
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence
from mydocker.specs.values.port import HIGHEST, PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.specs.nodes.reader import Reader

LISTS = of_kind(METADATA, "words")  # as a whole
SETS = of_kind(METADATA, "members")  # each of these
MAPPINGS = of_kind(METADATA, "named")


def read_metadata(node: Node, reader: Reader) -> Iterator[Check]:
    """The checks of the whole mapping."""
    if not isinstance(node, Mapping) or not node.entries:
        reader.refuse(node, f"expected a mapping with {', '.join(METADATA)}")
        return
    for name, value in reader.members(node, METADATA, unknown=unknown_keyword).items():
        if name in MAPPINGS:
            yield from _named(name, value, reader)
        elif name in SETS:
            yield from _each(name, value, reader)
        else:
            kind = "json" if name in LISTS else "text"
            if kind == "json" and not isinstance(value, Sequence):
                reader.refuse(value, "expected a list of words")
            yield from checked(value, ("metadata", "the image", name), _whole(value, kind, reader))


def _whole(node: Node, kind: str, reader: Reader) -> Matcher | None:
    """A list of words as it stands, the empty one as well."""
    if kind == "json" and isinstance(node, Sequence):
        return Matcher(op="equal", want=tuple(reader.text(item) for item in node.items))
    return read_matcher(node, kind, reader)


def _named(kind: str, node: Node, reader: Reader) -> Iterator[Check]:
    """Names and their values; null: there must be no such name."""
    if not isinstance(node, Mapping) or not node.entries:
        reader.refuse(node, "expected a mapping of names to values; null: not there")
        return
    for key, value in node.entries:
        absent = isinstance(value, Scalar) and value.is_null
        matcher = Matcher(op="equal", want=None) if absent else read_matcher(value, "text", reader)
        yield from checked(value if not absent else key, ("metadata", key.text, kind), matcher)


def _each(kind: str, node: Node, reader: Reader) -> Iterator[Check]:
    """Items that must be present, or with a `!` must not."""
    if not isinstance(node, Sequence) or not node.items:
        reader.refuse(node, "expected a list; ! before what must not be there")
        return
    for item in node.items:
        word = reader.text(item)
        name = word.removeprefix("!")
        expected = reader.attempt(item, partial(_port, name)) if kind == "exposed_ports" else name
        found = Matcher(op="contain-element", want=Matcher(op="equal", want=expected))
        matcher = Matcher(op="not", want=found) if word.startswith("!") else found
        yield from checked(item, ("metadata", "the image", kind), matcher)


def _port(text: str) -> str:
    """`80` is `80/tcp`."""
    number, _, protocol = text.partition("/")
    if not whole_number(number, HIGHEST) or protocol not in ("", *PROTOCOLS):
        raise UsageError(f"{text!r}: expected a port such as 80 or 53/udp")
    return f"{number}/{protocol or 'tcp'}"
