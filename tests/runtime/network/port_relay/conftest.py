"""A host, a container on it and another machine, which reaches the host under two addresses of each kind."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from lab.machines import Machine, link

from mydocker.runtime.network import PublishedPort
from mydocker.runtime.network.port_relay import reserve
from mydocker.runtime.network.port_relay.process import PortRelay

ADDRESS = "10.77.0.2"  # the container's


@dataclass(frozen=True)
class Site:
    host: Machine
    container: Machine
    other: Machine


@dataclass(frozen=True)
class Relayed:
    """A published port, and the socket of the container's that is behind it."""

    site: Site
    port: int
    server: socket.socket
    process: PortRelay

    def connect(self, address: str = "127.0.0.1", *, machine: Machine | None = None) -> socket.socket:
        """A connection to the port, from MACHINE: the host if that is none."""
        with (machine or self.site.host).inside():
            client = socket.create_connection((address, self.port))
        client.settimeout(60)
        return client

    def accept(self) -> socket.socket:
        """The next connection in the container."""
        connection, _ = self.server.accept()
        connection.settimeout(60)
        return connection

    def pair(
        self, address: str = "127.0.0.1", *, machine: Machine | None = None
    ) -> tuple[socket.socket, socket.socket]:
        """A client, and what the container has of it."""
        client = self.connect(address, machine=machine)
        return client, self.accept()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Machine() as host, Machine() as container, Machine() as other:
        link(host, container, "bridge", ones=("10.77.0.1/24",), others=(f"{ADDRESS}/24",))
        hosts = ("192.168.77.1/24", "192.168.77.3/24", "fd77::1/64", "fd77::3/64")
        link(host, other, "outside", ones=hosts, others=("192.168.77.2/24", "fd77::2/64"))
        yield Site(host, container, other)


@pytest.fixture
def publish(site: Site) -> Iterator[Callable[..., Relayed]]:
    """Publishes a new port of the container, in which something listens unless LISTENS is false."""
    with ExitStack() as stack:

        def make(protocol: str = "tcp", *, listens: bool = True, host_ip: str = "") -> Relayed:
            kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
            with site.container.inside():
                server = stack.enter_context(socket.socket(socket.AF_INET, kind))
            server.bind(("0.0.0.0", 0))
            server.settimeout(60)
            target = server.getsockname()[1]
            if protocol == "tcp" and listens:
                server.listen(2000)
            with site.host.inside():
                held = reserve([PublishedPort(target=target, port=0, protocol=protocol, host_ip=host_ip)])
                process = stack.enter_context(PortRelay(held, ADDRESS))
            return Relayed(site, held.ports[0].port, server, process)

        yield make
