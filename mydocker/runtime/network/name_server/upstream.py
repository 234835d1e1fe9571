"""The name servers that a container's one forwards to: those of the host at the moment, or those that `--dns` sets."""

from __future__ import annotations

import _socket as socket
import os
from collections.abc import Iterable, Iterator
from time import monotonic

from mydocker.record import Record
from mydocker.runtime.network import NAME_SERVER
from mydocker.runtime.network.resolvers import PUBLIC

HOSTS = "/etc/resolv.conf"
PORT = 53
_MOST = 3  # MAXNS of resolv.conf(5)
_LIMIT = 1 << 16  # bytes of that file
_AVOIDED = 10.0  # seconds that a server which did not answer is asked last


class Server(Record):
    """A name server, as socket(7) takes it."""

    family: int
    address: tuple[str, int] | tuple[str, int, int, int]


class Upstream:
    """The servers, in the order in which they are to be asked."""

    def __init__(self, fixed: tuple[str, ...] = (), *, path: str = HOSTS) -> None:
        """FIXED are those of `--dns`, if there are any; else the file at PATH names them."""
        self._fixed, self._path = bool(fixed), path
        self._state: tuple[int, ...] = ()
        self._servers = _servers(address for address in fixed if address != NAME_SERVER)  # it would ask itself
        self._silent: dict[Server, float] = {}  # until when each is avoided

    def servers(self) -> list[Server]:
        """Those that have not answered lately come last."""
        if not self._fixed:
            self._refresh()
        now = monotonic()
        return sorted(self._servers, key=lambda server: self._silent.get(server, now) > now)

    def avoid(self, server: Server) -> None:
        """SERVER has not answered."""
        self._silent[server] = monotonic() + _AVOIDED

    def trust(self, server: Server) -> None:
        """SERVER has answered."""
        self._silent.pop(server, None)

    def _refresh(self) -> None:
        """Read the file again if it has changed: a laptop goes from one network to another. What cannot be read leaves
        all as it is."""
        try:
            status = os.stat(self._path)
            state = (status.st_mtime_ns, status.st_ino, status.st_dev, status.st_size)
            if state == self._state:
                return
            with open(self._path, encoding="utf-8", errors="replace") as file:
                words = [line.split() for line in file.read(_LIMIT).splitlines()]
            self._state = state
        except OSError:
            if self._servers:
                return
            words = []
        found = _servers(line[1] for line in words if len(line) > 1 and line[0] == "nameserver")
        self._servers = found or _servers(PUBLIC)
        self._silent = {}


def _servers(addresses: Iterable[str]) -> list[Server]:
    return [*_parsed(addresses)][:_MOST]


def _parsed(addresses: Iterable[str]) -> Iterator[Server]:
    """What is no address is passed over, as the C library does it."""
    for text in addresses:
        address, _, zone = text.partition("%")
        try:
            if ":" in address:
                socket.inet_pton(socket.AF_INET6, address)
                scope = (int(zone) if zone.isdigit() else socket.if_nametoindex(zone)) if zone else 0
                yield Server(family=socket.AF_INET6, address=(address, PORT, 0, scope))
            else:
                socket.inet_pton(socket.AF_INET, address)
                yield Server(family=socket.AF_INET, address=(address, PORT))
        except (OSError, ValueError, OverflowError):
            pass
