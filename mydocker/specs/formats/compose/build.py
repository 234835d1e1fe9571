"""`build` of a Compose service: its secrets are those at the top of the file, and its image has a name by default."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.compose.inline_files import granted
from mydocker.specs.nodes.node import Mapping, Node, Scalar, is_null, mapping_at

if TYPE_CHECKING:
    from mydocker.specs.formats.compose.inline_files import Definitions
    from mydocker.specs.nodes.reader import Reader

PAIRS = ("args", "labels", "additional_contexts", "ssh")  # members that are mappings, or lists of NAME=VALUE


def built(node: Node, secrets: Definitions, reader: Reader) -> Node:
    """The value of `build`, each secret with its definition, which is one of SECRETS."""
    if not isinstance(node, Mapping):
        return node
    entries = tuple(
        (key, granted("secrets", value, secrets, reader) if key.text == "secrets" and not is_null(value) else value)
        for key, value in node.entries
    )
    return node.replace(entries=entries)


def as_mapping(node: Node) -> Node:
    """The long form of the value of `build`, also of a context alone, so that another one can lie over it."""
    return mapping_at(node, {"context": node}) if isinstance(node, Scalar) and not is_null(node) else node


def without_other_dockerfile(under: Node, over: Node) -> Node:
    """The `build` UNDER without its Dockerfile, if OVER has one in the other of the two forms, of which one is
    allowed."""
    if not isinstance(under, Mapping) or not isinstance(over, Mapping):
        return under
    forms = ("dockerfile", "dockerfile_inline")
    set_over = {key.text for key, node in over.entries if key.text in forms and not is_null(node)}
    if not set_over:
        return under
    return under.replace(entries=tuple(each for each in under.entries if each[0].text not in {*forms} - set_over))


def is_for_another_system(service: Mapping) -> bool:
    """Whether SERVICE is for a platform that is not Linux, such as wasi/wasm: it cannot start here, whatever `runtime`
    it names."""
    platform = service.get("platform")
    if not isinstance(platform, Scalar):
        return False
    system, slash, _ = platform.text.partition("/")
    return bool(slash) and system != "linux" and "$" not in system
