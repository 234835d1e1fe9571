"""Networks of Compose files. There is one, the host's, which all services share; what needs another one is refused.

On it, each service is reached by these names: its own, its container_name, and the aliases that it
has on the default network (compose-spec, "Services top-level elements", networks).
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.compose.nodes import entries_of, members_of
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence, is_null, text_at
from mydocker.specs.values.port import elsewhere, ports_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.specs.nodes.reader import Reader

    Entries = dict[str, Node]

_DEFAULT = "default"
_OF_A_NETWORK = (  # other members of Compose, next to aliases
    *("driver_opts", "gw_priority", "interface_name", "ipv4_address", "ipv6_address"),
    *("link_local_ips", "mac_address", "priority"),
)


def refuse_networks(node: Node | None, reader: Reader) -> None:
    """Refuse the networks that the top of the file declares, except the one that Compose creates by default."""
    for key, network in entries_of(node, reader):
        if key.text != _DEFAULT or not (is_null(network) or _is_empty(network)):
            reader.refuse(key, f"network {key.text!r} is not supported yet: services share the host's network")


def _is_empty(node: Node) -> bool:
    return isinstance(node, Mapping) and not node.entries


def aliases_of(name: Scalar, service: Entries, reader: Reader) -> list[Node]:
    """The names by which others know the service NAME; none if it sets its network itself."""
    if "network_mode" in service or _has_own_network(service.get("namespaces")):
        return []
    found: list[Node] = [text_at(name, name.text)]
    if isinstance(container_name := service.get("container_name"), Scalar):
        found.append(container_name)
    return [*found, *_on_default(service.get("networks"), reader)]


def _has_own_network(namespaces: Node | None) -> bool:
    """Whether `namespaces` sets a network of the container's own: a list names all namespaces that are new."""
    if isinstance(namespaces, Mapping):
        named = {key.text: value for key, value in namespaces.entries}
        return isinstance(mode := named.get("net"), Scalar) and mode.text == "private"
    items = namespaces.items if isinstance(namespaces, Sequence) else ()
    return any(isinstance(item, Scalar) and item.text == "net" for item in items)


def _on_default(node: Node | None, reader: Reader) -> Iterator[Node]:
    """The aliases on the default network. Other networks are refused with the key, see `is_default`."""
    for key, network in node.entries if isinstance(node, Mapping) else ():
        if key.text != _DEFAULT or is_null(network):
            continue
        aliases = members_of(network, ("aliases",), reader, unsupported=_OF_A_NETWORK).get("aliases")
        if isinstance(aliases, Sequence):
            yield from aliases.items
        elif aliases is not None:
            reader.refuse(aliases, "expected a list of names")


def is_default(key: Scalar, node: Node, service: Entries, reader: Reader) -> bool:
    """Whether `networks` of a service names the default one alone. If not, the key stays, and the loader refuses it by
    name."""
    if "network_mode" in service:
        reader.refuse(key, "networks and network_mode exclude each other")
        return True
    names = [name for name, _ in node.entries] if isinstance(node, Mapping) else getattr(node, "items", ())
    return all(isinstance(each, Scalar) and each.text == _DEFAULT for each in names) and not isinstance(node, Scalar)


def check_ports(node: Node, reader: Reader) -> None:
    """On the host's network a port of a service is the host's, under its own number and on the addresses it chooses."""
    for item, port in ports_at(node, reader):
        if other := elsewhere(port):
            message = f"port {port.target} as {other} is not supported yet: services share the host's network"
            reader.refuse(item, message)
