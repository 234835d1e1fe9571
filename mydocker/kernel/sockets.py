"""Sockets of IPv4 on this machine's loopback, and descriptors that are sent to another process, by the C library alone.

For the child of a start, in which the module `socket` would take a millisecond; see ip(7), unix(7), cmsg(3).
"""

from __future__ import annotations

import os
import sys

from mydocker.kernel import _call, open_socket
from mydocker.kernel.clib import Int, UnsignedInt, UnsignedLong, addressof, sizeof
from mydocker.kernel.netlink import address_bytes
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

STREAM, DATAGRAM = 1, 2
_AF_UNIX, _AF_INET = 1, 2
_SOL_SOCKET, _SO_BINDTODEVICE, _SCM_RIGHTS = 1, 25, 1
_BACKLOG = 128
_LOOPBACK = b"lo\0"


def pair() -> tuple[int, int]:
    """Two connected sockets of this machine (socketpair(2)), which execve(2) closes."""
    both = (Int * 2)()
    _call("socketpair", _AF_UNIX, STREAM | os.O_CLOEXEC, 0, both)
    return both[0], both[1]


def bind_to_loopback(kind: int, address: str, port: int) -> int:
    """A socket of KIND, at PORT of ADDRESS, that gets what comes by the interface `lo`, and nothing else. A stream's
    listens."""
    descriptor = open_socket(_AF_INET, kind, 0)
    try:
        _call("setsockopt", descriptor, _SOL_SOCKET, _SO_BINDTODEVICE, _LOOPBACK, UnsignedInt(len(_LOOPBACK)))
        name = _AF_INET.to_bytes(2, sys.byteorder) + port.to_bytes(2, "big") + address_bytes(address) + bytes(8)
        _call("bind", descriptor, name, UnsignedInt(len(name)), target=f"{address}:{port}")
        if kind == STREAM:
            _call("listen", descriptor, _BACKLOG, target=f"{address}:{port}")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def send_descriptors(channel: int, descriptors: Sequence[int]) -> None:
    """Send DESCRIPTORS, which stay open, with one byte through the Unix socket CHANNEL."""
    rights = b"".join(each.to_bytes(4, sys.byteorder) for each in descriptors)
    length = 16 + len(rights)  # struct cmsghdr: its length, level and type
    header = length.to_bytes(8, sys.byteorder) + _SOL_SOCKET.to_bytes(4, sys.byteorder)
    control = header + _SCM_RIGHTS.to_bytes(4, sys.byteorder) + rights
    control += b"\0" * (-len(control) % 8)
    ancillary = (UnsignedLong * (len(control) // 8)).from_buffer_copy(control)
    content = (UnsignedLong * 1)(0)
    vector = (UnsignedLong * 2)(addressof(content), 1)
    message = (UnsignedLong * 7)(0, 0, addressof(vector), 1, addressof(ancillary), sizeof(ancillary), 0)
    _call("sendmsg", channel, message, 0)
