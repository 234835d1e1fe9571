"""The long form of an entry of `volumes` in a spec file: Compose's mapping of type, source, target and more."""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs import values
from mydocker.specs.model import BindMount, Mount, TmpfsMount, VolumeMount
from mydocker.specs.mounts.mount import TYPES, parse_subpath
from mydocker.specs.mounts.tmpfs import parse_mode
from mydocker.specs.mounts.volume import PROPAGATIONS, clean_target, source_of_volume
from mydocker.specs.nodes.node import Mapping
from mydocker.specs.values.size import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.specs.nodes.node import Node
    from mydocker.specs.nodes.reader import Reader

PARTS = {  # of the member that has the type's name; members that are supported, and members without effect
    "bind": ("propagation", "create_host_path", "selinux", "recursive"),
    "volume": ("nocopy", "subpath", "driver_opts", "external"),
    "tmpfs": ("size", "mode"),
}


def long_mount(node: Mapping, reader: Reader, *, boolean: Callable[[str, values.Scope], bool]) -> Mount | None:
    """The mount of {type, source, target, read_only, bind | volume | tmpfs: {…}}; None after a problem.

    `create_host_path` is true by default in Compose files, as in the Compose specification ("Services top-level
    elements", volumes), and elsewhere false. `selinux` has no effect.
    """
    known = ("type", "source", "target", "read_only", "consistency", *TYPES)
    written = node.get("type")
    kind = reader.value(written, _type) if written is not None else None
    if written is not None and kind is None:  # the other members are those of that type
        return None
    members = reader.members(node, known, unsupported=("image", "cluster"))
    for key in ("type", "target"):
        if key not in members:
            reader.refuse(node, f"a volume needs {key}")
            return None
    assert kind is not None
    for other in TYPES:
        if other in members and other != kind:
            mistake = f"{other!r} does not go with type {kind!r}"
            if reader.is_compose:  # where Compose warns, too
                reader.warn(members[other], f"{mistake}, and has no effect")
            else:
                reader.refuse(members[other], mistake)
    own = _own(members.get(kind), kind, reader)
    common = {
        "target": reader.value(members["target"], lambda text, scope: clean_target(text)),
        "read_only": "read_only" in members and reader.value(members["read_only"], boolean),
    }
    before = len(reader.problems)
    build = {"bind": _bind, "volume": _volume, "tmpfs": _tmpfs}[kind]
    mount = build(node, members.get("source"), own, common, reader)
    return mount if len(reader.problems) == before and common["target"] else None


def _own(node: Node | None, kind: str, reader: Reader) -> dict[str, Node]:
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        reader.refuse(node, "expected a mapping")
        return {}
    return reader.members(node, PARTS[kind], unsupported=("labels",) if kind == "volume" else ())


def _type(text: str, scope: values.Scope) -> str:
    if text not in TYPES:
        is_known = text in ("image", "npipe", "cluster")
        raise UsageError(f"volume type {text!r}{' is not supported' if is_known else ''}: expected {', '.join(TYPES)}")
    return text


def _word(own: dict[str, Node], key: str, reader: Reader, parse: Callable[[str], Any]) -> Any:
    return reader.value(own[key], lambda text, scope: parse(text)) if key in own else None


def _bind(
    node: Node, source: Node | None, own: dict[str, Node], common: dict[str, Any], reader: Reader
) -> BindMount | None:
    if source is None:
        reader.refuse(node, "a volume of type 'bind' needs source")
        return None
    return BindMount(
        **common,
        source=reader.value(source, values.path),
        propagation=_word(own, "propagation", reader, _propagation) or "rprivate",
        recursive=_word(own, "recursive", reader, _recursive) is not False,
        create=bool(_word(own, "create_host_path", reader, _is_true))
        if "create_host_path" in own
        else reader.is_compose,
    )


def _propagation(text: str) -> str:
    if text not in PROPAGATIONS:
        raise UsageError(f"{text!r}: expected {' or '.join(PROPAGATIONS)}")
    return text


def _recursive(text: str) -> bool:
    if text not in ("enabled", "disabled", "readonly"):
        raise UsageError(f"{text!r}: expected enabled, disabled or readonly")
    return text != "disabled"


def _volume(
    node: Node, source: Node | None, own: dict[str, Node], common: dict[str, Any], reader: Reader
) -> Mount | None:
    name = reader.value(source, lambda text, scope: source_of_volume(text, bind="type: bind")) if source else None
    if "driver_opts" in own:
        return _of_driver(own, common, reader)
    return VolumeMount(
        **common,
        volume=name,
        copy=not _word(own, "nocopy", reader, _is_true),
        external=bool(_word(own, "external", reader, _is_true)),
        subpath=_word(own, "subpath", reader, lambda word: parse_subpath(word, name)) or "",
    )


def _of_driver(own: dict[str, Node], common: dict[str, Any], reader: Reader) -> Mount | None:
    """What the driver of a volume mounts; the image's files are not copied into it."""
    from mydocker.specs.mounts.driver_options import KEYS, driver_mount

    node = own["driver_opts"]
    if not isinstance(node, Mapping):
        reader.refuse(node, f"expected a mapping with {', '.join(KEYS)}")
        return None
    if "subpath" in own:
        reader.refuse(own["subpath"], "a subpath is for a volume without driver_opts")
    before = len(reader.problems)
    options = {key.text: reader.text(value) for key, value in node.entries}
    if len(reader.problems) > before or not common["target"]:
        return None
    unset = reader.file.unset if reader.file else ()
    place = next((value for _, value in node.entries if value.origin in unset), node)
    found: Mount | None = reader.attempt(place, lambda: driver_mount(options, **common, scope=reader.scope))
    return found


def _is_true(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise UsageError(f"expected true or false, not {text!r}")
    return text.lower() == "true"


def _tmpfs(node: Node, source: Node | None, own: dict[str, Node], common: dict[str, Any], reader: Reader) -> TmpfsMount:
    if source:
        reader.refuse(source, "a volume of type 'tmpfs' has no source")
    size, mode = _word(own, "size", reader, parse_size), _word(own, "mode", reader, parse_mode)
    return TmpfsMount(**common, size=size, mode=mode)
