"""Keys of a Compose service that are passed over, each by name: those that say nothing about its containers here.

A key that would change what runs is never among them: that is refused.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.nodes.node import Node, Scalar

if TYPE_CHECKING:
    from mydocker.specs.nodes.reader import Reader

_NO_EFFECT = {
    "annotations": "annotations are for other runtimes, and have no effect here",
    "cpu_count": "cpu_count is for Windows, and has no effect here",
    "cpu_percent": "cpu_percent is for Windows, and has no effect here",
    "develop": "develop is for 'docker compose watch', and has no effect here",
}
_DEFAULTS = {"isolation": ("default",)}


def is_passed_over(key: Scalar, node: Node, reader: Reader) -> bool:
    """Whether KEY of a service, with the value NODE, is passed over; if that could matter, it is named by a warning."""
    if key.text in _NO_EFFECT:
        reader.warn(key, _NO_EFFECT[key.text])
        return True
    if key.text in _DEFAULTS and isinstance(node, Scalar):
        return reader.replace(problems=[], file=None).text(node) in ("", *_DEFAULTS[key.text])
    return False
