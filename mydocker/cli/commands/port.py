"""`mydocker port CONTAINER [PORT[/udp]]`: where the ports of a running container are published on the host."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.errors import LaunchError, UsageError
from mydocker.image.store import Store
from mydocker.number import is_whole_number
from mydocker.runtime.network import PublishedPort, joined_container
from mydocker.runtime.network.connections import listed
from mydocker.services.containers.find import find_kept


def port_command(argv: list[str]) -> int:
    """Print what is published of the container that ARGV names, all of it or one port; 0."""
    options = parser().parse_args(argv)
    for target, place in published(options.container, options.port):
        print(place if options.port else f"{target} -> {place}")
    return 0


def published(container: str, port: str | None = None) -> list[tuple[str, str]]:
    """(port, place on the host) of what is published of CONTAINER, or of its PORT alone. LaunchError if that is not."""
    wanted = _port(port) if port else None
    ports = _ports(Store.open(os.environ), container)
    if wanted:
        ports = tuple(port for port in ports if (port.target, port.protocol) == wanted)
        if not ports:
            raise LaunchError(f"port {wanted[0]}/{wanted[1]} of {container} is not published")
    return [
        (f"{port.target}/{port.protocol}", f"{_bracketed(address)}:{port.port}")
        for port in ports
        for address in ((port.host_ip,) if port.host_ip else ("0.0.0.0", "::"))
    ]


def _ports(store: Store, container: str) -> tuple[PublishedPort, ...]:
    """Those of CONTAINER; none if it is there and does not run."""
    try:
        return listed(joined_container.find(store.containers, container))[1]
    except LaunchError:
        find_kept(store, container)
        return ()


def _port(text: str) -> tuple[int, str]:
    number, _, protocol = text.partition("/")
    if not is_whole_number(number) or protocol not in ("", "tcp", "udp"):
        raise UsageError(f"port {text!r}: expected a number, or one such as 53/udp")
    return int(number), protocol or "tcp"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "port",
        text="It prints the host's address and port number for each of them, including numbers that mydocker chose.",
        exits=(
            ("0", "done"),
            ("1", "there is no such container, or the port is not published"),
            ("2", "wrong usage"),
        ),
        examples=(
            ("mydocker port web", "print all published ports of container web"),
            ("mydocker port web 80", "print the host's address and port for its port 80"),
        ),
    )
    parser.add_argument("container", metavar="CONTAINER", help="the name or ID of a running container")
    parser.add_argument("port", metavar="PORT", nargs="?", help="only this port of the container, such as 53/udp")
    return parser
