"""`mydocker network`: the networks that containers can be in, and which of them a container is in."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

from mydocker.cli.commands import NEGATIVE
from mydocker.cli.common import complain, say
from mydocker.cli.common.confirm import confirmed
from mydocker.cli.common.filters import add_filter, filters_of, has_label, matching
from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import add_template_format, show, show_json
from mydocker.errors import LaunchError, NetworkError, StoreError, UsageError
from mydocker.image.store import Store
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import DEFAULT, Network, Subnet, leases, lifecycle, networks
from mydocker.runtime.network.lifecycle import Addresses
from mydocker.runtime.network.subnets import parse_subnet
from mydocker.runtime.network.upkeep.members import Member, members

if TYPE_CHECKING:
    from typing import Any

DRIVER = "bridge"
_SHORT = 12  # digits of an ID in a table
_HEADINGS = {"ID": "NETWORK ID", "CreatedAt": "CREATED AT"}
_CREATE_INSTEAD = {
    "--aux-address": "use --ip-range to keep addresses from containers",
    **dict.fromkeys(("--config-from", "--config-only"), "name all options of the network"),
    **dict.fromkeys(("--ingress", "--scope"), "networks are of this machine; there is no swarm"),
    **dict.fromkeys(("--ipam-driver", "--ipam-opt"), "use --subnet, --gateway and --ip-range"),
    **dict.fromkeys(("--disable-dns", "--dns"), "'mydocker run --dns' sets the resolvers of a container"),
    "--interface-name": "the name of the bridge follows from the ID; 'mydocker network ls --format json' prints it",
    "--route": "the host routes what leaves the network",
}


_CONNECT_INSTEAD = {
    "--driver-opt": "the driver has no options for one container",
    "--gw-priority": "the default route is by the network that the container was in first",
    "--link": "containers of one network find each other by their names",
    "--link-local-ip": "use --ip and --ip6",
}


def network_command(argv: list[str]) -> int:
    """0; 1 if a network does not exist, exists already, or is to be removed and in use. Others are removed anyway."""
    options = parser().parse_args(argv)
    store = Store.open(os.environ)
    options.store, options.networks = store, store.networks
    if options.action is _create:
        store.prepare()
    status: int = options.action(options)
    return status


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "network",
        text="`mydocker run --network NAME` uses one. Containers in one network reach each other by their names; the "
        "default network 'bridge' is created when its first container starts.",
        exits=(
            ("0", "done"),
            ("1", "a network does not exist, exists already, or is in use; a container does not run"),
            ("2", "wrong usage"),
            ("125", "the network cannot be made or changed"),
        ),
        examples=(
            ("mydocker network create web", "create a network with a free subnet"),
            ("mydocker network create --internal --subnet 10.90.0.0/24 db", "create one without access to the outside"),
            ("mydocker network inspect web", "show its addresses and its containers"),
            ("mydocker network ls --format '{{.Name}}'", "print what a template says"),
        ),
    )
    _add_create(parser)
    listing = parser.add_command("ls", _list, "[OPTIONS]", "List the networks", aliases=("list",))
    listing.add_argument("-q", "--quiet", action="store_true", help="print IDs only")
    listing.add_argument("--no-trunc", action="store_true", help="print whole IDs")
    add_filter(listing, ("name", "id", "driver", "label", "type"), "-f")
    add_template_format(listing)
    inspect = parser.add_command("inspect", _inspect, "[OPTIONS] NETWORK...", "Describe networks, as JSON")
    inspect.add_argument("-f", "--format", metavar="FORMAT", help="a template of Go's, filled in for each")
    remove = parser.add_command("rm", _remove, "[OPTIONS] NETWORK...", "Remove networks", aliases=("remove",))
    remove.add_argument("-f", "--force", action="store_true", help="ignore networks that do not exist")
    for each in (inspect, remove):
        each.add_argument("names", nargs="+", metavar="NETWORK", help="a name, or the beginning of an ID")
    prune = parser.add_command("prune", _prune, "[OPTIONS]", "Remove all networks that no container is using")
    prune.add_argument("-f", "--force", action="store_true", help="do not prompt")
    add_filter(prune, ("label",))
    _add_connect(parser)
    return parser


def _add_connect(parser: Parser) -> None:
    summary = "Connect a container to a network, now if it runs, or when it starts"
    connect = parser.add_command("connect", _connect, "[OPTIONS] NETWORK CONTAINER", summary, instead=_CONNECT_INSTEAD)
    connect.add_argument("--ip", default="", metavar="ADDRESS", help="its IPv4 address (default: the next free one)")
    connect.add_argument("--ip6", default="", metavar="ADDRESS", help="its IPv6 address")
    connect.add_argument(
        "--alias",
        action="append",
        default=[],
        metavar="NAME",
        help="a name for it; may be repeated",
    )
    disconnect = parser.add_command(
        "disconnect", _disconnect, "[OPTIONS] NETWORK CONTAINER", "Disconnect a container from a network"
    )
    disconnect.add_argument("-f", "--force", action="store_true", help="accepted for compatibility")
    for each in (connect, disconnect):
        each.add_argument("name", metavar="NETWORK", help="a name, or the beginning of an ID")
        each.add_argument("container", metavar="CONTAINER", help="its name, or the beginning of its ID")


def _add_create(parser: Parser) -> None:
    create = parser.add_command(
        "create",
        _create,
        "[OPTIONS] NAME",
        "Create a network, and print its ID",
        instead=_CREATE_INSTEAD,
    )
    many: dict[str, Any] = {"action": "append", "default": []}
    create.add_argument("--subnet", **many, metavar="SUBNET", help="its addresses (default: a free subnet)")
    create.add_argument("--gateway", **many, metavar="ADDRESS", help="the host's address in it (default: the first)")
    create.add_argument("--ip-range", metavar="SUBNET", help="the part of an IPv4 subnet that containers get")
    create.add_argument("--ipv6", action="store_true", help="add IPv6 addresses")
    create.add_argument("--internal", action="store_true", help="no access to the outside, nor from there")
    create.add_argument("--label", **many, metavar="KEY=VALUE", help="a label; may be repeated")
    create.add_argument("-d", "--driver", default=DRIVER, metavar="DRIVER", help=f"only {DRIVER} (the default)")
    create.add_argument("-o", "--opt", **many, metavar="KEY=VALUE", help=f"an option: {lifecycle.MTU_OPTIONS[0]}=BYTES")
    create.add_argument("--attachable", action="store_true", help="accepted for compatibility: every network is")
    create.add_argument("name", metavar="NAME", help="its name: letters, digits, _ . and -")


def _create(options: argparse.Namespace) -> int:
    if options.driver != DRIVER:
        raise UsageError(f"network driver {options.driver!r} is not supported", hint=f"the driver is always {DRIVER}")
    try:
        made = lifecycle.create(
            options.networks,
            options.name,
            addresses=_addresses(options),
            internal=options.internal,
            labels=_pairs(options.label, "label"),
            options=_pairs(options.opt, "option"),
        )
    except NetworkError as error:
        complain(error)
        return NEGATIVE
    print(made.id)
    return 0


def _addresses(options: argparse.Namespace) -> Addresses:
    """The subnets of the command line, one of each version, each with that gateway which is in it."""
    found: dict[bool, Subnet] = {}
    gateways = {":" in text: text for text in options.gateway}
    if len(gateways) < len(options.gateway) or not gateways.keys() <= {":" in text for text in options.subnet}:
        raise UsageError("--gateway: expected one for each --subnet at most")
    if options.ip_range and False not in {":" in text for text in options.subnet}:
        raise UsageError("--ip-range: expected an IPv4 --subnet, too")
    for text in options.subnet:
        is_6 = ":" in text
        if is_6 in found:
            raise UsageError("--subnet: expected one of IPv4 and one of IPv6 at most")
        found[is_6] = parse_subnet(text, gateways.get(is_6), ip_range=None if is_6 else options.ip_range)
    return Addresses(subnet=found.get(False), subnet6=found.get(True), ipv6=options.ipv6)


def _pairs(words: list[str], what: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    for name, _, value in pairs:
        if not name:
            raise UsageError(f"{what} {'=' + value!r}: it has no name")
        if any("\ud800" <= letter <= "\udfff" for letter in name + value):
            raise UsageError(f"{what} {name!r}: it is not UTF-8")
    return {name: value for name, _, value in pairs}


def _list(options: argparse.Namespace) -> int:
    found = matching(_known(options.networks), filters_of(options), _has)
    if options.quiet:
        for network in found:
            print(_shown_id(network, options))
    elif options.format == "json":
        show_json([_plain(network, options.networks) for network in found])
    elif options.format != "table":
        from mydocker.cli.output.go_template import render_all

        print(render_all(options.format, [_row(each, options) for each in found], headings=_HEADINGS), end="")
    else:
        rows = [
            (_shown_id(each, options), each.name, DRIVER, _subnets(each), str(_count(options.networks, each)))
            for each in found
        ]
        show(("NETWORK ID", "NAME", "DRIVER", "SUBNET", "CONTAINERS"), rows)
    return 0


def _row(network: Network, options: argparse.Namespace) -> dict[str, str]:
    """With the fields of a template of `docker network ls`."""
    return {
        "ID": _shown_id(network, options),
        "Name": network.name,
        "Driver": DRIVER,
        "Scope": "local",
        "IPv4": "true",
        "IPv6": str(network.subnet6 is not None).lower(),
        "Internal": str(network.internal).lower(),
        "Labels": ",".join(f"{key}={value}" for key, value in network.labels.items()),
        "CreatedAt": network.created,
        "Subnet": _subnets(network),
    }


def _known(directory: str) -> list[Network]:
    """All networks; those that are damaged are named on stderr."""
    found = []
    for name in networks.names(directory):
        try:
            found.append(networks.load(directory, name))
        except StoreError as error:
            complain(error)
        except NetworkError:  # it has just been removed
            pass
    return found


def _shown_id(network: Network, options: argparse.Namespace) -> str:
    return network.id if options.no_trunc else network.id[:_SHORT]


def _subnets(network: Network) -> str:
    return " ".join(subnet.network for subnet in (network.subnet, network.subnet6) if subnet)


def _count(directory: str, network: Network) -> int:
    return len({owner for _, owner in leases.live(f"{directory}/{network.name}")})


def _plain(network: Network, directory: str) -> dict[str, Any]:
    values = {**network.as_dict(), "driver": DRIVER, "containers": _count(directory, network)}
    return {key: value.as_dict() if isinstance(value, Subnet) else value for key, value in values.items()}


def _inspect(options: argparse.Namespace) -> int:
    found, missing = [], []
    for name in options.names:
        try:
            found.append(networks.load(options.networks, name))
        except NetworkError as error:
            missing.append(error)
    described = [_described(network, members(f"{options.networks}/{network.name}", network)) for network in found]
    if options.format is None:
        show_json(described)
    else:
        from mydocker.cli.output.go_template import render_all

        print(render_all(options.format, described), end="")
    for each in missing:
        complain(each)
    return NEGATIVE if missing else 0


def _described(network: Network, joined: list[Member]) -> dict[str, Any]:
    """With the keys of `docker network inspect`."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": DRIVER,
        "EnableIPv4": True,
        "EnableIPv6": network.subnet6 is not None,
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": [_pool(subnet) for subnet in (network.subnet, network.subnet6) if subnet],
        },
        "Internal": network.internal,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {member.id: _endpoint(member, network) for member in joined},
        "Options": {**network.options, "com.docker.network.bridge.name": network.interface},
        "Labels": dict(network.labels),
    }


def _pool(subnet: Subnet) -> dict[str, str]:
    part = {"IPRange": subnet.ip_range} if subnet.ip_range else {}
    return {"Subnet": subnet.network, **part, "Gateway": subnet.gateway}


def _endpoint(member: Member, network: Network) -> dict[str, str]:
    address6 = f"{member.address6}/{network.subnet6.prefix}" if member.address6 and network.subnet6 else ""
    return {
        "Name": member.name,
        "MacAddress": member.mac,
        "IPv4Address": f"{member.address}/{network.subnet.prefix}",
        "IPv6Address": address6,
    }


def _remove(options: argparse.Namespace) -> int:
    status = 0
    for text in options.names:
        try:
            name = networks.resolve_name(options.networks, text)
        except NetworkError as error:
            if not options.force:
                complain(error)
                status = NEGATIVE
            continue
        try:
            _remove_one(options.networks, name)
            print(text)
        except NetworkError as error:
            complain(error)
            status = NEGATIVE
    return status


def _remove_one(directory: str, name: str) -> None:
    from mydocker.runtime.network.rootless.connections import take_down_if_up

    lifecycle.remove(directory, name, down=take_down_if_up)


def _connect(options: argparse.Namespace) -> int:
    from mydocker.cli.containers.network_changes import connect
    from mydocker.runtime.network.upkeep.reconnect import Endpoint
    from mydocker.specs.values import Scope
    from mydocker.specs.values.network import address, address6, alias

    scope = Scope(directory="", environ=os.environ)
    endpoint = Endpoint(
        address=options.ip and address(options.ip, scope),
        address6=options.ip6 and address6(options.ip6, scope),
        aliases=tuple(alias(name, scope) for name in options.alias),
    )
    return _changed(lambda: connect(options.store, options.name, options.container, endpoint))


def _disconnect(options: argparse.Namespace) -> int:
    from mydocker.cli.containers.network_changes import disconnect

    return _changed(lambda: disconnect(options.store, options.name, options.container))


def _changed(change: Callable[[], object]) -> int:
    try:
        change()
    except (NetworkError, LaunchError) as error:  # one of the two is not there, or they are so connected already
        complain(error)
        return NEGATIVE
    return 0


def _prune(options: argparse.Namespace) -> int:
    found = matching(_known(options.networks), filters_of(options), _has)
    unused = [each.name for each in found if each.name != DEFAULT and not _count(options.networks, each)]
    if unused and not options.force and not confirmed(unused, what="networks"):
        return NEGATIVE
    for name in unused:
        try:
            _remove_one(options.networks, name)
            print(name)
        except NetworkError:  # a container has joined it meanwhile, or it has been removed
            say(f"network {name} was left alone: it is in use, or has been removed")
    return 0


def _has(network: Network, key: str, value: str) -> bool:
    if key in ("label", "label!"):
        return has_label(network.labels, value) is (key == "label")
    if key == "type":
        return (value == "builtin") is (network.name == DEFAULT)
    if key == "driver":
        return value == "bridge"
    return value in network.name if key == "name" else network.id.startswith(value)
