"""NAME and value: a mapping, or a list of NAME=VALUE, as `environment` and `labels` have it."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence, is_null

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.specs.nodes.reader import Reader
    from mydocker.specs.values import Scope

    Parse = Callable[[str, Scope], Any]


def read_pairs(node: Node, parse: Parse, reader: Reader) -> dict[str, str]:
    """The pairs of NODE. PARSE makes one of NAME=VALUE, and decides what a NAME without a value means."""
    pairs: dict[str, str] = {}
    if isinstance(node, Mapping):
        for key, value in node.entries:
            pairs.update(_pair(key, value, parse, reader) or {})
    elif isinstance(node, Sequence):
        for item in node.items:
            pairs.update(reader.value(item, parse) or {})
    else:
        reader.refuse(node, "expected a mapping, or a list of NAME=VALUE")
    return pairs


def _pair(key: Scalar, value: Node, parse: Parse, reader: Reader) -> Any:
    if "=" in key.text:
        reader.refuse(key, f"a name cannot have '=' in it: {key.text!r}")
        return None
    text = key.text if is_null(value) else f"{key.text}={reader.text(value)}"
    return reader.attempt(key, lambda: parse(text, reader.scope))
