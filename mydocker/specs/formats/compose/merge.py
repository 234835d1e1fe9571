"""Several Compose files become one: a later one lies over those before it, as `docker compose -f a -f b` has it.

The rules are those of the Compose specification ("Merge"): mappings are merged, lists joined, and everything else is
replaced; of lists whose entries have an identity, an entry replaces that of the same identity. Every node keeps the
file, line and column that it comes from.
"""

from __future__ import annotations

from functools import reduce

from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.compose.build import PAIRS, as_mapping, without_other_dockerfile
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence, is_null, list_at, mapping_at, null_at, text_at
from mydocker.specs.values.port import read_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence as Series

    from mydocker.specs.nodes.reader import Reader

    Path = tuple[str, ...]

RESET, OVERRIDE = "!reset", "!override"
_PAIRS = ("annotations", "environment", "labels", "sysctls")  # mappings, or lists of NAME=VALUE
_OF_OTHERS = (("networks", "labels"), ("volumes", "labels"), ("networks", "driver_opts"), ("volumes", "driver_opts"))
_PAIRS_OF_BUILD = tuple((key,) for key in PAIRS)
_PAIRS_PATHS = (("environment",), ("labels",), ("build", "args"))  # of which a name may have no value
_LISTS = (
    "dns",
    "dns_opt",
    "dns_search",
    "env_file",
    "tmpfs",
    "extra_hosts",
    "label_file",
)  # or one entry, or a mapping
_REPLACED = (("command",), ("entrypoint",), ("healthcheck", "test"))
_EXCLUSIVE = (("network_mode", "networks"), ("networks", "network_mode"))  # one of which a service drops of its base
_DEFAULTS = {"configs": "/", "secrets": "/run/secrets/"}  # where a file is without a target
_SAME_TARGET = ("volumes", "devices", *_DEFAULTS)


def merge_files(documents: Series[Mapping], reader: Reader) -> Mapping:
    """DOCUMENTS, each over those before it. READER records what cannot be merged."""
    return _settled_file(reduce(lambda under, over: _mappings(under, over, (), reader), documents))


def tagged(node: Node) -> Iterator[Node]:
    """The nodes that have one of the two tags."""
    if node.tag:
        yield node
    if isinstance(node, Mapping):
        for _, value in node.entries:
            yield from tagged(value)
    for item in node.items if isinstance(node, Sequence) else ():
        yield from tagged(item)


def without_tags(node: Node) -> Node:
    """NODE, of a whole file, without what is to be reset, and without other tags."""
    return _settled_file(node) if isinstance(node, Mapping) else _untagged(node)


def _settled_file(whole: Mapping) -> Mapping:
    """WHOLE likewise. A service that extends another one keeps its tags: what they reset or replace is that of the
    base."""
    services = whole.get("services")
    settled = _settled(whole)
    if not isinstance(services, Mapping) or services.tag:
        return settled
    kept = tuple(
        (key, node if isinstance(node, Mapping) and node.get("extends") is not None else _untagged(node))
        for key, node in services.entries
        if node.tag != RESET
    )
    own = services.replace(entries=kept)
    return settled.replace(
        entries=tuple((key, own if key.text == "services" else node) for key, node in settled.entries)
    )


def extended(base: Mapping, service: Mapping, name: str, reader: Reader) -> Mapping:
    """SERVICE, called NAME, merged over its BASE, with its tags. READER records what cannot be merged."""
    own = {key.text for key, value in service.entries if not is_null(value)}
    dropped = {other for key, other in _EXCLUSIVE if key in own}
    under = tuple((key, value) for key, value in base.entries if key.text not in dropped)
    over = tuple((key, value) for key, value in service.entries if key.text != "extends")
    found = _mappings(base.replace(entries=under), service.replace(entries=over), ("services", name), reader)
    return found.replace(**service.position)


def settled_service(node: Node) -> Node:
    """NODE, a service, without its tags. Where it still extends another one, its keys keep them."""
    if not isinstance(node, Mapping) or node.get("extends") is None:
        return _untagged(node)
    entries = []
    for key, value in node.entries:
        marked = key.replace(tag=value.tag) if value.tag else key
        entries.append((marked, null_at(value) if value.tag == RESET else _untagged(value)))
    return node.replace(entries=tuple(entries), tag="")


def _untagged(node: Node) -> Node:
    """NODE without what is to be reset, and without other tags."""
    if isinstance(node, Mapping):
        return _settled(node)
    if isinstance(node, Sequence):
        return node.replace(items=tuple(_untagged(item) for item in node.items if item.tag != RESET), tag="")
    return node.replace(tag="") if node.tag else node


def _settled(node: Mapping) -> Mapping:
    kept = tuple((key, _untagged(value)) for key, value in node.entries if value.tag != RESET)
    return node.replace(entries=kept, tag="")


def _over(under: Node, over: Node, path: Path, reader: Reader) -> Node:
    """OVER, merged over UNDER, which is at PATH. It goes on to replace what UNDER has replaced or reset."""
    found = _untagged_over(under.replace(tag="") if under.tag == OVERRIDE else under, over, path, reader)
    return found.replace(tag=OVERRIDE) if under.tag and not found.tag else found


def _untagged_over(under: Node, over: Node, path: Path, reader: Reader) -> Node:
    if over.tag in (RESET, OVERRIDE):
        return over
    inner = path[2:] if path[:1] == ("services",) else ()
    if is_null(over):
        return over if inner[:-1] in _PAIRS_PATHS else under  # a name without a value: that of whoever starts it
    if is_null(under) or under.tag == RESET:
        return over
    if inner in _REPLACED:
        return over
    key = inner[0] if len(inner) == 1 else ""
    before = len(reader.problems)
    if key == "build":
        under, over = without_other_dockerfile(as_mapping(under), as_mapping(over)), as_mapping(over)
    if (
        key in _PAIRS
        or (inner[:1] == ("build",) and inner[1:] in _PAIRS_OF_BUILD)
        or (path[:1] + path[2:] in _OF_OTHERS and len(path) > 2)
    ):
        under, over = _as_pairs(under, reader), _as_pairs(over, reader)
    elif key in _LISTS or inner == ("build", "extra_hosts"):
        under, over = _without(_reset_names(over), _as_list(under, reader), reader), _as_list(over, reader)
    elif key in ("networks", "depends_on"):
        under, over = _by_name(key, under, reader), _by_name(key, over, reader)
    elif _is_another_thing(under, over, inner, reader):
        return over
    return _merged(under, over, path, reader) if len(reader.problems) == before else over  # one mistake is enough


def _merged(under: Node, over: Node, path: Path, reader: Reader) -> Node:
    if isinstance(under, Mapping) and isinstance(over, Mapping):
        return _mappings(under, over, path, reader)
    if isinstance(under, Sequence) and isinstance(over, Sequence):
        items = (*under.items, *over.items)
        return list_at(under, _unique(items, path[2] if len(path) == 3 and path[0] == "services" else "", reader))
    if type(under) is not type(over):
        where = under.origin.within(getattr(reader.file, "shown", ""))
        reader.refuse(over, f"{'.'.join(path)} is {_kind(over)}, and lies over {_kind(under)} at {where}")
    return over


def _mappings(under: Mapping, over: Mapping, path: Path, reader: Reader) -> Mapping:
    entries = {key.text: (key, value) for key, value in under.entries}
    for key, value in over.entries:
        if key.text in entries:
            first, below = entries[key.text]
            entries[key.text] = (first, _over(below, value, (*path, key.text), reader))
        else:
            entries[key.text] = (key, value)
    return under.replace(entries=tuple(entries.values()))


def _unique(items: tuple[Node, ...], key: str, reader: Reader) -> list[Node]:
    """ITEMS, of which a later one takes the place of one with the same identity."""
    found: dict[object, Node] = {}
    for number, item in enumerate(items):
        identity = _identity(item, key, reader.replace(problems=[], file=None))
        found[number if identity is None else identity] = item
    return [*found.values()]


def without_repeats(node: Node, key: str, reader: Reader) -> Node:
    """The list NODE of the key KEY of a service, of which a later entry takes the place of one with the same identity,
    as in one file so between several."""
    return list_at(node, _unique(node.items, key, reader)) if isinstance(node, Sequence) else node


def _identity(item: Node, key: str, reader: Reader) -> object:
    """What distinguishes an entry of the list KEY of a service; None: nothing, all are kept."""
    if key == "ports":
        ports = read_ports(list_at(item, [item]), reader)
        return None if reader.problems else ports
    if key in _SAME_TARGET:
        return _target(item, key, reader)
    text = reader.text(item) if isinstance(item, Scalar) else None
    if key == "tmpfs" and text:
        return text.partition(":")[0]
    return text


def _target(item: Node, key: str, reader: Reader) -> str | None:
    members = {name.text: value for name, value in item.entries} if isinstance(item, Mapping) else {}
    if isinstance(target := members.get("target"), Scalar):
        text = reader.text(target).rstrip("/") or "/"
        return text if text.startswith("/") else _DEFAULTS.get(key, "") + text
    source = members.get("source", item)
    if not isinstance(source, Scalar):
        return None
    text = reader.text(source)
    if key in _DEFAULTS:
        return _DEFAULTS[key] + text
    first, colon, rest = text.partition(":")
    return (rest.partition(":")[0] if colon else first).rstrip("/") or "/"


def _as_pairs(node: Node, reader: Reader) -> Node:
    """A mapping of names to values, also of a list of NAME=VALUE."""
    if not isinstance(node, Sequence):
        return node
    entries = []
    for item in node.items:
        text = _text(item, reader)
        if text is None:
            return node
        name, equals, value = text.partition("=")
        entries.append((text_at(item, name).replace(text=name), text_at(item, value) if equals else null_at(item)))
    return Mapping(**node.position, entries=tuple({key.text: (key, value) for key, value in entries}.values()))


def _as_list(node: Node, reader: Reader) -> Node:
    """A list, also of one entry, or of a mapping of names to values."""
    if isinstance(node, Scalar):
        return list_at(node, [node])
    if not isinstance(node, Mapping) or any(key.text in ("path", "target") for key, _ in node.entries):
        return list_at(node, [node]) if isinstance(node, Mapping) else node
    items = []
    for key, value in node.entries:
        values = value.items if isinstance(value, Sequence) else (value,)
        for each in values if value.tag != RESET else ():
            items.append(text_at(each, f"{key.text}={_text(each, reader) or ''}"))
    return list_at(node, items)


def _reset_names(node: Node) -> set[str]:
    """The names in the mapping NODE whose values are to be reset."""
    entries = node.entries if isinstance(node, Mapping) else ()
    return {key.text for key, value in entries if value.tag == RESET}


def _without(names: set[str], node: Node, reader: Reader) -> Node:
    """The list NODE of NAME:VALUE or NAME=VALUE without those NAMES."""
    if not names or not isinstance(node, Sequence):
        return node
    return list_at(
        node, [item for item in node.items if (_text(item, reader) or "").replace("=", ":").split(":")[0] not in names]
    )


def _by_name(key: str, node: Node, reader: Reader) -> Node:
    """A mapping of names, also of a list of them."""
    if not isinstance(node, Sequence):
        return node
    entries: list[tuple[Scalar, Node]] = []
    for item in node.items:
        name = _text(item, reader)
        if name is None:
            return node
        condition = mapping_at(item, {"condition": text_at(item, "service_started")})
        entries.append((text_at(item, name).replace(text=name), condition if key == "depends_on" else null_at(item)))
    return Mapping(**node.position, entries=tuple(entries))


def _is_another_thing(under: Node, over: Node, inner: Path, reader: Reader) -> bool:
    """Whether OVER has nothing of UNDER: a limit or GPUs in another form, and the options of another log driver."""
    if inner[:1] in (("ulimits",), ("gpus",)) or inner[:2] == ("build", "ulimits"):
        return type(under) is not type(over)
    return inner == ("logging",) and _drivers_differ(under, over, reader)


def _drivers_differ(under: Node, over: Node, reader: Reader) -> bool:
    drivers = [
        _text(value, reader)
        for node in (under, over)
        for key, value in (node.entries if isinstance(node, Mapping) else ())
        if key.text == "driver"
    ]
    return len(set(drivers)) > 1


def _text(node: Node, reader: Reader) -> str | None:
    """The text of a scalar, its variables replaced; None for another node, which the loader refuses."""
    if not isinstance(node, Scalar) or node.is_null:
        return None
    before = len(reader.problems)
    text = reader.text(node)
    return text if len(reader.problems) == before else None


def _kind(node: Node) -> str:
    kinds: dict[type[Node], str] = {Sequence: "a list", Mapping: "a mapping"}
    return kinds.get(type(node), "text")
