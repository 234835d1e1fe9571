"""Published ports: reserved on the host before the container starts, so that a port in use is an error by then.

The sockets listen from the beginning: who connects before the relay (process.py) runs, waits. They belong to the
network namespace of the caller, whichever one the relay enters afterwards.
"""

from __future__ import annotations

import _socket as socket  # the interpreter's own: the standard module is a wrapper that takes longer to import
import errno
import os

from mydocker.errors import LaunchError, hint_for
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mydocker.runtime.network import PublishedPort

BACKLOG = 4096  # connections that wait to be accepted; the kernel's limit is net.core.somaxconn
IP_PKTINFO, IPV6_RECVPKTINFO = 8, 49  # linux/in.h, linux/in6.h
_ATTEMPTS = 256  # to find a number that is free for all addresses
_ALL = ("0.0.0.0", "::")
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class Listener(Record):
    """A bound socket for `port`, which has the number that was chosen. TCP's listens."""

    port: PublishedPort
    socket: socket.socket


class Reservation:
    """Context manager: holds the sockets of published ports until the relay has them."""

    def __init__(self) -> None:
        self.ports: tuple[PublishedPort, ...] = ()  # as they were asked for, with the numbers that were chosen
        self.listeners: tuple[Listener, ...] = ()

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, port: PublishedPort) -> None:
        bound = _bind(port)
        self.ports += (bound[0].port,)
        self.listeners += tuple(bound)

    def close(self) -> None:
        """Close this process's copies of the sockets."""
        for listener in self.listeners:
            listener.socket.close()
        self.listeners = ()


def reserve(ports: Iterable[PublishedPort]) -> Reservation:
    """Bind PORTS in the network namespace of the caller, all or none; port 0 becomes one that is free.

    Raises LaunchError where a port is in use, where the address is not the host's, or where the user may not bind it.
    """
    reservation = Reservation()
    try:
        for port in ports:
            reservation.add(port)
    except BaseException:
        reservation.close()
        raise
    return reservation


def _bind(port: PublishedPort) -> list[Listener]:
    """Sockets for all addresses of PORT, which have the same number."""
    if port.protocol not in _TYPES:
        raise LaunchError(f"cannot publish port {port.target}/{port.protocol}: only tcp and udp can be published")
    rejected: list[Listener] = []  # numbers that are taken for another address: held, so that none is chosen again
    try:
        while True:
            bound: list[Listener] = []
            try:
                _bind_addresses(port, bound)
                return bound
            except OSError as error:
                rejected += bound
                if port.port or not bound or error.errno != errno.EADDRINUSE or len(rejected) >= _ATTEMPTS:
                    host = _hosts(port)[len(bound)]
                    raise _refused(bound[0].port if bound else port, host, error) from None
    finally:
        for listener in rejected:
            listener.socket.close()


def _hosts(port: PublishedPort) -> tuple[str, ...]:
    return (port.host_ip,) if port.host_ip else _ALL


def _bind_addresses(port: PublishedPort, bound: list[Listener]) -> None:
    """Add sockets for PORT to BOUND, as far as there is no error."""
    number = port.port
    for host in _hosts(port):
        if sock := _bind_to(port, host, number):
            number = sock.getsockname()[1]
            bound.append(Listener(port=port.replace(port=number), socket=sock))


def _bind_to(port: PublishedPort, host: str, number: int) -> socket.socket | None:
    """A socket bound to NUMBER of HOST; None where all addresses are meant, and the host has no IPv6."""
    is_ipv6 = ":" in host
    family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
    try:
        sock = socket.socket(family, _TYPES[port.protocol] | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError as error:
        if is_ipv6 and not port.host_ip and error.errno in _NO_IPV6:
            return None
        raise
    try:
        _set_options(sock, is_tcp=port.protocol == "tcp", is_ipv6=is_ipv6)
        sock.bind((host, number))
        if port.protocol == "tcp":
            sock.listen(BACKLOG)  # at once: only that keeps others out, who reuse addresses as well (socket(7))
    except OSError as error:
        sock.close()
        if is_ipv6 and not port.host_ip and error.errno in _NO_IPV6:
            return None
        raise
    return sock


def _set_options(sock: socket.socket, *, is_tcp: bool, is_ipv6: bool) -> None:
    if is_ipv6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if is_tcp:  # connections of an earlier container that are about to end keep no one from the port
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    elif is_ipv6:  # replies come from the address that was asked
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


def _refused(port: PublishedPort, host: str, error: OSError) -> LaunchError:
    where = f"[{host}]" if ":" in host else host
    reason = (error.strerror or str(error)).lower()
    if error.errno == errno.EADDRINUSE:
        option = "-lntp" if port.protocol == "tcp" else "-lnup"
        hint = f"publish another port, or end what holds this one: ss {option} 'sport = :{port.port}'"
    elif error.errno == errno.EACCES:
        first = _first_unprivileged()
        hint = f"ports below {first} take root: publish a higher one, or sysctl {_SETTING}={port.port}"
    elif error.errno == errno.EADDRNOTAVAIL:
        hint = "the address must be one of the host's: see ip address"
    else:
        hint = hint_for(error) or ""
    return LaunchError(f"cannot publish port {port.port}/{port.protocol} on {where}: {reason}", hint=hint or None)


_SETTING = "net.ipv4.ip_unprivileged_port_start"


def _first_unprivileged() -> str:
    try:
        descriptor = os.open(f"/proc/sys/{_SETTING.replace('.', '/')}", os.O_RDONLY)
    except OSError:
        return "1024"
    try:
        return os.read(descriptor, 16).decode().strip()
    finally:
        os.close(descriptor)
