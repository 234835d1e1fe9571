"""Networks of Compose files: those at the top of the file, and those that a service is in.

A service that names none is in the default one, where each is reached by its own name, its container_name, and the
aliases that it has there; in other networks likewise (compose-spec, "Networks top-level elements", and "Services
top-level elements", networks). A file's networks are stored under the name of the project and their own.
"""

from __future__ import annotations

from mydocker.nearest import did_you_mean
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.formats.compose.nodes import entries_of, key_at
from mydocker.specs.model.parts import NetworkAttachment
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence, is_null, list_at, mapping_at, text_at
from mydocker.specs.nodes.reader import switch
from mydocker.specs.values.network_definition import KEYS, read_definition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mydocker.specs.nodes.reader import Reader

    Entries = dict[str, Node]

DEFAULT = "default"  # the network of services that name none
_PREDEFINED = ("bridge", "host", "none")  # networks of Docker's that need not be made


class DeclaredNetwork(Record):
    """A network of the file: the name that it is stored under, and the node of how it is made."""

    name: str
    node: Mapping
    apart: bool  # whether the host's network is no substitute for it

    @property
    def create(self) -> Mapping | None:
        return None if self.name in _PREDEFINED else self.node


def declared_networks(node: Node | None, project: str, reader: Reader) -> dict[str, DeclaredNetwork]:
    """The networks that the top of the file declares, by their keys."""
    return {key.text: _declared(key, value, project, reader) for key, value in entries_of(node, reader)}


def with_default(networks: dict[str, DeclaredNetwork], project: str, reader: Reader) -> dict[str, DeclaredNetwork]:
    """NETWORKS, and the one that Compose creates for services that name none, if none of them is that."""
    top = key_at(Node(line=1, column=1), DEFAULT)
    default = networks.get(DEFAULT) or _declared(top, mapping_at(top, {}), project, reader)
    if reader.file is not None:
        definition = read_definition(default.node, reader.replace(problems=[]))
        reader.file.default_network = NetworkAttachment(name=default.name, definition=definition)
    return {**networks, DEFAULT: default}


def _declared(key: Scalar, node: Node, project: str, reader: Reader) -> DeclaredNetwork:
    entries = entries_of(node, reader)
    if unknown := [each for each, _ in entries if each.text not in (*KEYS, "name")]:
        for each in unknown:
            reader.refuse(each, f"unknown key {each.text!r}" + did_you_mean(each.text, (*KEYS, "name")))
    members = {each.text: (each, value) for each, value in entries if each not in unknown and not is_null(value)}
    name = reader.text(members.pop("name")[1]) if "name" in members else ""
    if "external" in members and isinstance(members["external"][1], Mapping):  # an older form
        older, _ = members["external"]
        texts = {each.text: reader.text(value) for each, value in entries_of(members["external"][1], reader)}
        name = name or texts.get("name", "")
        members["external"] = (older, text_at(older, "true"))
    before = len(reader.problems)
    create = Mapping(**node.position, entries=tuple(members.values()))
    read_definition(create, reader)
    if reader.passes_over("networks", before):
        create = create.replace(entries=tuple(each for each in members.values() if _is_readable(each, create, reader)))
    is_on = {each for each in ("external", "internal") if each in members and _is_on(members[each][1], reader)}
    stored = name or (key.text if "external" in is_on else f"{project}_{key.text}")
    return DeclaredNetwork(name=stored, node=create, apart=bool(is_on))


def _is_readable(member: tuple[Scalar, Node], of: Mapping, reader: Reader) -> bool:
    """Whether nothing is wrong with MEMBER OF a network."""
    quiet = reader.replace(problems=[])
    read_definition(of.replace(entries=(member,)), quiet)
    return not quiet.problems


def _is_on(node: Node, reader: Reader) -> bool:
    """Its problems are reported where the definition is read."""
    return bool(reader.replace(problems=[]).value(node, switch))


def network_entries(
    name: Scalar,
    service: Entries,
    networks: dict[str, DeclaredNetwork],
    reader: Reader,
    *,
    aliases: Iterable[Node] = (),
) -> Iterator[tuple[Scalar, Node]]:
    """The entries `networks` and `aliases` of the document of the service NAME; none if it sets its network itself.
    ALIASES are further names of it."""
    node = service.get("networks")
    if "network_mode" in service:
        if node is not None and not _is_empty(node):
            reader.refuse(node, "networks and network_mode exclude each other")
        return
    if _has_own_network(service.get("namespaces")):
        return
    names: list[Node] = [text_at(name, name.text)]
    container_name = service.get("container_name")
    if isinstance(container_name, Scalar) and not is_null(container_name) and reader.text(container_name):
        names.append(container_name)
    names += aliases
    default = key_at(node or name, DEFAULT)
    attached = _attached(node, reader) or [(default, text_at(default, "").replace(plain=True))]
    if (own := _implicit(attached, networks[DEFAULT])) is not None:
        names += own
    else:
        entries = [_entry(key, value, networks, reader) for key, value in attached]
        key = key_at(node or name, "networks")
        yield key, Mapping(**key.position, entries=tuple(filter(None, entries)))
    yield key_at(name, "aliases"), list_at(name, names)


def _is_empty(node: Node) -> bool:
    """Whether NODE names no network, which goes with network_mode, as for Compose."""
    found = node.entries if isinstance(node, Mapping) else node.items if isinstance(node, Sequence) else node
    return not found or is_null(node)


def _has_own_network(namespaces: Node | None) -> bool:
    """Whether `namespaces` sets a network of the container's own: a list names all namespaces that are new."""
    if isinstance(namespaces, Mapping):
        named = {key.text: value for key, value in namespaces.entries}
        return isinstance(mode := named.get("net"), Scalar) and mode.text == "private"
    items = namespaces.items if isinstance(namespaces, Sequence) else ()
    return any(isinstance(item, Scalar) and item.text == "net" for item in items)


def _attached(node: Node | None, reader: Reader) -> list[tuple[Scalar, Node]]:
    """The networks that a service names: a list, or a mapping."""
    if isinstance(node, Mapping):
        return [*entries_of(node, reader)]
    if not isinstance(node, Sequence):
        if node is not None:
            reader.refuse(node, "expected a list of networks, or a mapping of their names")
        return []
    texts = [text_at(item, reader.text(item, expected="the name of a network")) for item in node.items]
    return [(text, text_at(text, "").replace(plain=True)) for text in texts]


def _implicit(attached: list[tuple[Scalar, Node]], default: DeclaredNetwork) -> tuple[Node, ...] | None:
    """The aliases of a service that is in the default network alone, and has nothing but aliases there; None if it is
    in another one, or has more. The loader puts it there, or into the host's, where this host cannot make networks."""
    [(key, node), *others] = attached
    if others or key.text != DEFAULT or default.apart:
        return None
    members = {each.text: value for each, value in node.entries} if isinstance(node, Mapping) else {}
    aliases = members.pop("aliases", None)
    if members or not (is_null(node) or isinstance(node, Mapping)):
        return None
    if aliases is None or is_null(aliases):
        return ()
    return aliases.items if isinstance(aliases, Sequence) else None


def _entry(key: Scalar, node: Node, networks: dict[str, DeclaredNetwork], reader: Reader) -> tuple[Scalar, Node] | None:
    """The entry of the document's `networks`: the name that the network is stored under, and how it is made."""
    if key.text not in networks:
        more = did_you_mean(key.text, networks)
        reader.refuse(key, f"network {key.text!r} is not declared under networks at the top of the file{more}")
        return None
    network = networks[key.text]
    create = [(key_at(key, "create"), network.create)] if network.create else []
    if not (is_null(node) or isinstance(node, Mapping)):
        return key.replace(text=network.name), node  # which the loader refuses
    own = entries_of(node, reader)
    entry = Mapping(**node.position, entries=(*own, *create))
    return key.replace(text=network.name), entry if entry.entries else node
