"""The long form of an entry of `volumes` in a spec file: Compose's mapping of type, source, target and more."""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model.container import BindMount, Mount, TmpfsMount, VolumeMount
from mydocker.specs.mounts.mount import TYPES, parse_subpath
from mydocker.specs.mounts.tmpfs import parse_mode
from mydocker.specs.mounts.volume import PROPAGATIONS, clean_target, volume_name
from mydocker.specs.nodes.node import Mapping
from mydocker.specs.values import parsers
from mydocker.specs.values.size import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.specs.nodes.node import Node
    from mydocker.specs.nodes.reader import Reading

PARTS = {  # of the member that has the type's name; what we know and what changes nothing
    "bind": ("propagation", "create_host_path", "selinux", "recursive"),
    "volume": ("nocopy", "subpath"),
    "tmpfs": ("size", "mode"),
}


def long_mount(node: Mapping, reading: Reading, *, boolean: Callable[[str, parsers.Place], bool]) -> Mount | None:
    """The mount of {type, source, target, read_only, bind | volume | tmpfs: {…}}; None after a problem.

    `create_host_path` and `selinux` are let through: a source that is missing is an error at launch whatever the
    former says, so it cannot be lost silently.
    """
    known = ("type", "source", "target", "read_only", "consistency", *TYPES)
    members = reading.members(node, known, unsupported=("image", "cluster"))
    for key in ("type", "target"):
        if key not in members:
            reading.refuse(node, f"a volume needs {key}")
            return None
    kind = reading.word(members["type"], _type)
    if kind is None:
        return None
    for other in TYPES:
        if other in members and other != kind:
            reading.refuse(members[other], f"{other!r} does not go with type {kind!r}")
    own = _own(members.get(kind), kind, reading)
    common = {
        "target": reading.word(members["target"], lambda word, place: clean_target(word)),
        "read_only": "read_only" in members and reading.word(members["read_only"], boolean),
    }
    before = len(reading.problems)
    build = {"bind": _bind, "volume": _volume, "tmpfs": _tmpfs}[kind]
    mount = build(node, members.get("source"), own, common, reading)
    return mount if len(reading.problems) == before and common["target"] else None


def _own(node: Node | None, kind: str, reading: Reading) -> dict[str, Node]:
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        reading.refuse(node, "expected a mapping")
        return {}
    return reading.members(node, PARTS[kind], unsupported=("labels",) if kind == "volume" else ())


def _type(word: str, place: parsers.Place) -> str:
    if word not in TYPES:
        is_known = word in ("image", "npipe", "cluster")
        raise UsageError(f"volume type {word!r}{' is not supported' if is_known else ''}: expected {', '.join(TYPES)}")
    return word


def _word(own: dict[str, Node], key: str, reading: Reading, parse: Callable[[str], Any]) -> Any:
    return reading.word(own[key], lambda word, place: parse(word)) if key in own else None


def _bind(
    node: Node, source: Node | None, own: dict[str, Node], common: dict[str, Any], reading: Reading
) -> BindMount | None:
    if source is None:
        reading.refuse(node, "a volume of type 'bind' needs source")
        return None
    return BindMount(
        **common,
        source=reading.word(source, parsers.path),
        propagation=_word(own, "propagation", reading, _propagation) or "rprivate",
        recursive=_word(own, "recursive", reading, _recursive) is not False,
    )


def _propagation(word: str) -> str:
    if word not in PROPAGATIONS:
        raise UsageError(f"{word!r}: expected {' or '.join(PROPAGATIONS)}")
    return word


def _recursive(word: str) -> bool:
    if word not in ("enabled", "disabled", "readonly"):
        raise UsageError(f"{word!r}: expected enabled, disabled or readonly")
    return word != "disabled"


def _volume(
    node: Node, source: Node | None, own: dict[str, Node], common: dict[str, Any], reading: Reading
) -> VolumeMount:
    name = reading.word(source, lambda word, place: volume_name(word)) if source else None
    return VolumeMount(
        **common,
        volume=name,
        copy=not _word(own, "nocopy", reading, _is_true),
        subpath=_word(own, "subpath", reading, lambda word: parse_subpath(word, name)) or "",
    )


def _is_true(word: str) -> bool:
    if word.lower() not in ("true", "false"):
        raise UsageError(f"expected true or false, not {word!r}")
    return word.lower() == "true"


def _tmpfs(
    node: Node, source: Node | None, own: dict[str, Node], common: dict[str, Any], reading: Reading
) -> TmpfsMount:
    if source:
        reading.refuse(source, "a volume of type 'tmpfs' has no source")
    size, mode = _word(own, "size", reading, parse_size), _word(own, "mode", reading, parse_mode)
    return TmpfsMount(**common, size=size, mode=mode)
