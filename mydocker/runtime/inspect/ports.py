"""Ports on which a running container listens, from the tables of its network namespace in /proc (proc_net(5)).

With the host's network those are the host's tables, of which only the sockets that a process of the container holds
count.
"""

from __future__ import annotations

import ipaddress
import os
import sys

from mydocker.errors import is_limit_of_host
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.inspect.processes import list_processes, pid_of
from mydocker.runtime.network import NAME_SERVER, NAME_SERVER_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROTOCOLS = ("tcp", "tcp6", "udp", "udp6")
_WAITING = {"tcp": "0A", "udp": "07"}  # TCP_LISTEN; of a UDP socket that is not connected, TCP_CLOSE
_NAME_SERVER = (NAME_SERVER, NAME_SERVER_PORT)  # mydocker's
_TABLE_LIMIT = 8 << 20  # bytes


def listening(process: int, namespaces: Mapping[str, int]) -> dict[str, list[str]]:
    """`tcp:80` and the like, with the addresses that are listened on. PROCESS and NAMESPACES as for `list_processes`.

    Raises ProcessLookupError if the container has ended, LookupError as `list_processes`.
    """
    pid = pid_of(process)
    if pid is None:
        raise ProcessLookupError
    held = None if "net" in namespaces else set(_held(process, namespaces))
    sockets: dict[str, list[str]] = {}
    for protocol in PROTOCOLS:
        for address, port, inode in _table(pid, protocol):
            if (held is None and (address, port) != _NAME_SERVER) or (held and inode in held):
                addresses = sockets.setdefault(f"{protocol}:{port}", [])
                addresses += [address] if address not in addresses else []
    return sockets


def _table(pid: int, protocol: str) -> Iterator[tuple[str, int, str]]:
    """(address, port, inode) of each socket that waits for others."""
    try:
        with open(f"/proc/{pid}/net/{protocol}") as file:
            lines = file.read(_TABLE_LIMIT).splitlines()[1:]
    except FileNotFoundError:  # a kernel without IPv6
        return
    for line in lines:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _WAITING[protocol[:3]]:
            address, _, port = fields[1].partition(":")
            yield _address(address), int(port, 16), fields[9]


def _address(text: str) -> str:
    """The kernel prints each four bytes as a number in the machine's byte order."""
    words = [bytes.fromhex(text[here : here + 8]) for here in range(0, len(text), 8)]
    raw = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    return str(ipaddress.ip_address(raw))


def _held(process: int, namespaces: Mapping[str, int]) -> Iterator[str]:
    """The inodes of the sockets that the container's processes have open."""
    for each in list_processes(process, namespaces):
        try:
            descriptors = os.listdir(f"/proc/{each.pid}/fd")
        except OSError as error:
            if is_limit_of_host(error):
                raise
            continue
        for name in descriptors:
            try:
                target = os.readlink(f"/proc/{each.pid}/fd/{name}")
            except OSError:
                continue
            if target.startswith("socket:["):
                yield target[8:-1]
