"""The networks of a container, and what it publishes there, as a plan has them."""

from __future__ import annotations

from mydocker.number import is_whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model import BRIDGE
from mydocker.specs.model.parts import NetworkAttachment, Port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.image.model import ImageConfig
    from mydocker.specs.model import ContainerSpec


_LOCAL = (  # each container's own
    "localhost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
)


def attachments(spec: ContainerSpec, container_id: str) -> tuple[NetworkAttachment, ...]:
    """The networks that SPEC is in, each with all names by which the others find it: its aliases, its name, its host
    name and the beginning of its ID. None of them means the machine itself elsewhere."""
    networks = spec.networks or (NetworkAttachment(name=BRIDGE),)
    own = (spec.name or "", spec.hostname or "", container_id[:12])
    return tuple(each.replace(aliases=known_by(*each.aliases, *own)) for each in networks)


def known_by(*names: str) -> tuple[str, ...]:
    """Those of NAMES by which others find a container: not what is no word, and nothing that each has as its own."""
    return tuple(name for name in dict.fromkeys(names) if name and _is_word(name) and name.lower() not in _LOCAL)


def _is_word(name: str) -> bool:
    """Whether NAME can stand in /etc/hosts; the title of a test may be a sentence."""
    return name.isprintable() and not any(letter.isspace() or letter == "#" for letter in name)


def published(spec: ContainerSpec, config: ImageConfig | None) -> tuple[Port, ...]:
    """The ports of SPEC; with `publish_all`, also those that it and its image expose, each under a free number."""
    if not spec.publish_all:
        return spec.ports
    taken = {(port.target, port.protocol) for port in spec.ports}
    exposed = dict.fromkeys(map(_exposed, (*spec.expose, *(config.exposed_ports if config else ()))))
    return (*spec.ports, *(Port(target=each[0], protocol=each[1]) for each in exposed if each and each not in taken))


def _exposed(text: str) -> tuple[int, str] | None:
    """(80, tcp) of `80/tcp`; None of a word that is no port of TCP or UDP, as an image can have anything there."""
    number, _, protocol = text.partition("/")
    if not is_whole_number(number) or not 0 < int(number) < 1 << 16 or protocol not in ("", "tcp", "udp"):
        return None
    return int(number), protocol or "tcp"


def with_earlier_addresses(
    networks: tuple[NetworkAttachment, ...], addresses: Mapping[str, str]
) -> tuple[NetworkAttachment, ...]:
    """NETWORKS with the ADDRESSES, by network, of a container when it ran before: it gets them again, if they are free.

    Programs keep the address of a name: nginx, for one, looks up those of its upstreams once, when it starts.
    """
    return tuple(each.replace(earlier=addresses.get(each.name, "")) for each in networks)
