"""Netlink sockets (netlink(7)), and what mydocker does with network interfaces through them (rtnetlink(7)).

A channel speaks to the network namespace in which it was opened. Several requests go in one system call; the kernel
carries them out in their order, and what fails is an OSError that names what it was about. Messages are built from
bytes here, because `struct` and `socket` cost a warm start more than all of this.
"""

from __future__ import annotations

import errno
import os

from mydocker.kernel import open_socket
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

AF_INET, AF_INET6 = 2, 10
ROUTE, NETFILTER = 0, 12  # protocols of netlink, linux/netlink.h

REQUEST, ACK, EXCLUSIVE, CREATE = 0x1, 0x4, 0x200, 0x400
_ROOT_AND_MATCH = 0x300
NESTED = 0x8000
_ERROR, _DONE = 2, 3
_HEADER = 16  # bytes of struct nlmsghdr
_BUFFER = 1 << 16

_NEWLINK, _DELLINK, _GETLINK, _SETLINK, _NEWADDR, _NEWROUTE = 16, 17, 18, 19, 20, 24
_IFF_UP = 0x1
_LINK_ADDRESS, _LINK_NAME, _LINK_MTU, _LINK_MASTER, _LINK_INFO, _LINK_NET_NS_PID = 1, 3, 4, 10, 18, 19
_LINK_PEER, _LINK_AF_SPEC = 5, 26
_LINK_ALIAS, ALIAS_LIMIT = 20, 255  # bytes, IFALIASZ - 1 (linux/if.h)
_INFO_KIND, _INFO_DATA, _INFO_SLAVE_KIND, _INFO_SLAVE_DATA = 1, 2, 4, 5
_BRIDGE_PORT_MODE = 4  # IFLA_BRPORT_MODE: hairpin
_VETH_PEER = 1
_INET6_ADDR_GEN_MODE, _GEN_MODE_NONE = 8, 1
_ADDRESS, _LOCAL, _BROADCAST, _ADDRESS_FLAGS = 1, 2, 4, 8
_NO_DUPLICATE_DETECTION = 0x02  # IFA_F_NODAD
_ROUTE_OIF, _ROUTE_GATEWAY = 4, 5
_TABLE_MAIN, _PROTOCOL_BOOT, _SCOPE_UNIVERSE, _UNICAST = 254, 3, 0, 1


def u16(value: int) -> bytes:
    return value.to_bytes(2, "little")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def attribute(kind: int, value: bytes) -> bytes:
    """An attribute, padded to four bytes (struct nlattr)."""
    length = len(value) + 4
    return u16(length) + u16(kind) + value + b"\0" * (-length % 4)


def text(value: str) -> bytes:
    return os.fsencode(value) + b"\0"


class Request(Record):
    """One message to the kernel; `about` is what an error names. Without `acknowledged`, no answer is waited for."""

    kind: int
    flags: int = 0
    payload: bytes
    about: str = ""
    acknowledged: bool = True


class Channel:
    """A netlink socket of PROTOCOL. Context manager."""

    def __init__(self, protocol: int = ROUTE) -> None:
        # AF_NETLINK, SOCK_RAW; not blocking, as the kernel has answered before a message is sent
        self._socket = open_socket(16, 3 | os.O_NONBLOCK, protocol)
        self._sequence = 0

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._socket)

    def send(self, *requests: Request) -> None:
        """Have the kernel carry out REQUESTS in their order. Raises the OSError of the first that fails; what follows
        it may have been carried out all the same."""
        pending, packet = {}, b""
        for request in requests:
            self._sequence += 1
            if request.acknowledged:
                pending[self._sequence] = request
            packet += self._message(request, request.flags | (ACK if request.acknowledged else 0))
        os.write(self._socket, packet)
        failure: OSError | None = None
        while pending:
            for kind, sequence, body in self._received():
                if kind != _ERROR:
                    continue
                failure = failure or _failure(pending.get(sequence, requests[-1]), body)
                if sequence not in pending:  # a transaction that failed as a whole: nothing else follows
                    pending.clear()
                pending.pop(sequence, None)
        if failure:
            raise failure

    def query(self, request: Request) -> bytes:
        """What the kernel returns to REQUEST: the payload of one message."""
        self._sequence += 1
        os.write(self._socket, self._message(request, request.flags))
        for kind, _, body in self._received():
            if kind != _ERROR:
                return body
            failure = _failure(request, body)
            if failure:
                raise failure
        return b""

    def dump(self, request: Request) -> list[bytes]:
        """All entries of a table of the kernel's."""
        self._sequence += 1
        os.write(self._socket, self._message(request, request.flags | _ROOT_AND_MATCH))
        entries: list[bytes] = []
        while True:
            for kind, _, body in self._received():
                if kind == _ERROR:
                    failure = _failure(request, body)
                    if failure:
                        raise failure
                if kind in (_ERROR, _DONE):
                    return entries
                entries.append(body)

    def _message(self, request: Request, flags: int) -> bytes:
        header = u32(_HEADER + len(request.payload)) + u16(request.kind) + u16(flags | REQUEST)
        return header + u32(self._sequence) + u32(0) + request.payload

    def _received(self) -> Iterator[tuple[int, int, bytes]]:
        """(type, sequence number, payload) of each message that comes next."""
        data = os.read(self._socket, _BUFFER)
        offset = 0
        while offset + _HEADER <= len(data):
            length = _number(data, offset, 4)
            yield _number(data, offset + 4, 2), _number(data, offset + 8, 4), data[offset + _HEADER : offset + length]
            offset += length + -length % 4


def _number(data: bytes, offset: int, size: int) -> int:
    return int.from_bytes(data[offset : offset + size], "little")


def _failure(request: Request, body: bytes) -> OSError | None:
    """What an acknowledgement says: a negative errno, or nothing (struct nlmsgerr)."""
    code = -int.from_bytes(body[:4], "little", signed=True)
    return OSError(code, os.strerror(code), request.about or None) if code else None


class Link(Record):
    """A network interface."""

    index: int
    is_up: bool
    name: str = ""
    mtu: int = 0
    mac: str = ""
    kind: str = ""  # bridge, veth, …
    master: int = 0  # the index of the bridge that it belongs to
    alias: str = ""  # any text
    peer: int = 0  # the index of the other end of a pair, in its own namespace


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes in DATA by their number."""
    found, offset = {}, 0
    while offset + 4 <= len(data):
        length = max(_number(data, offset, 2), 4)
        found[_number(data, offset + 2, 2) & 0x3FFF] = data[offset + 4 : offset + length]
        offset += length + -length % 4
    return found


def get_link(channel: Channel, name: str) -> Link | None:
    """The interface NAME; None if there is none."""
    try:
        answer = channel.query(Request(kind=_GETLINK, payload=_link_header() + attribute(_LINK_NAME, text(name))))
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise
    return _link(answer)


def list_links(channel: Channel) -> list[Link]:
    """All interfaces of the namespace."""
    return [_link(entry) for entry in channel.dump(Request(kind=_GETLINK, payload=_link_header()))]


def _link(message: bytes) -> Link:
    found = attributes(message[16:])
    kind = attributes(found.get(_LINK_INFO, b"")).get(_INFO_KIND, b"")
    return Link(
        index=_number(message, 4, 4),
        is_up=bool(_number(message, 8, 4) & _IFF_UP),
        name=os.fsdecode(found.get(_LINK_NAME, b"").rstrip(b"\0")),
        mtu=_number(found.get(_LINK_MTU, b""), 0, 4),
        mac=":".join(f"{byte:02x}" for byte in found.get(_LINK_ADDRESS, b"")),
        kind=os.fsdecode(kind.rstrip(b"\0")),
        master=_number(found.get(_LINK_MASTER, b""), 0, 4),
        alias=os.fsdecode(found.get(_LINK_ALIAS, b"").rstrip(b"\0")),
        peer=_number(found.get(_LINK_PEER, b""), 0, 4),
    )


def _link_header(*, index: int = 0, up: bool = False) -> bytes:
    """struct ifinfomsg."""
    return bytes(4) + u32(index) + (u32(_IFF_UP) * 2 if up else bytes(8))


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


_NO_LINK_LOCAL = attribute(
    _LINK_AF_SPEC, attribute(AF_INET6, attribute(_INET6_ADDR_GEN_MODE, _GEN_MODE_NONE.to_bytes(1, "little")))
)


def add_bridge(name: str, *, mac: str) -> Request:
    """Create bridge NAME, which is down. EEXIST if there is an interface of that name."""
    info = attribute(_LINK_INFO, attribute(_INFO_KIND, b"bridge"))
    more = attribute(_LINK_NAME, text(name)) + attribute(_LINK_ADDRESS, mac_bytes(mac))
    return Request(kind=_NEWLINK, flags=CREATE | EXCLUSIVE, payload=_link_header() + more + info, about=name)


def set_mtu(name: str, mtu: int) -> Request:
    """Let interface NAME have MTU. A bridge keeps only one that it got so: one that it was created with follows its
    interfaces, and is 1500 once it has none (net/bridge/br_if.c, br_mtu_auto_adjust)."""
    more = attribute(_LINK_NAME, text(name)) + attribute(_LINK_MTU, u32(mtu))
    return Request(kind=_SETLINK, payload=_link_header() + more, about=name)


def add_veth(name: str, *, master: int, mtu: int, peer: str, peer_mac: str, pid: int) -> Request:
    """Create a pair of interfaces: NAME, up and on the bridge with index MASTER, and PEER in the network namespace of
    process PID. What index that gets, the kernel chooses."""
    other = _link_header() + attribute(_LINK_NAME, text(peer)) + attribute(_LINK_MTU, u32(mtu))
    other += attribute(_LINK_ADDRESS, mac_bytes(peer_mac)) + attribute(_LINK_NET_NS_PID, u32(pid))
    info = attribute(_INFO_KIND, b"veth") + attribute(_INFO_DATA, attribute(_VETH_PEER, other))
    payload = _link_header(up=True) + attribute(_LINK_NAME, text(name)) + attribute(_LINK_MTU, u32(mtu))
    payload += attribute(_LINK_MASTER, u32(master)) + attribute(_LINK_INFO, info)
    return Request(kind=_NEWLINK, flags=CREATE | EXCLUSIVE, payload=payload, about=name)


def allow_hairpin(name: str) -> Request:
    """Let the bridge that interface NAME is on send frames back to where they came from."""
    mode = attribute(_INFO_SLAVE_DATA, attribute(_BRIDGE_PORT_MODE, b"\1"))
    info = attribute(_LINK_INFO, attribute(_INFO_SLAVE_KIND, b"bridge") + mode)
    return Request(kind=_NEWLINK, payload=_link_header() + attribute(_LINK_NAME, text(name)) + info, about=name)


def delete_link(name: str) -> Request:
    """Delete interface NAME, and its peer if it is one of a pair."""
    return Request(kind=_DELLINK, payload=_link_header() + attribute(_LINK_NAME, text(name)), about=name)


def set_alias(index: int, alias: str, *, name: str) -> Request:
    """Let the interface with INDEX carry the text ALIAS; one that is too long is left out."""
    more = attribute(_LINK_ALIAS, text(alias)) if len(os.fsencode(alias)) <= ALIAS_LIMIT else b""
    return Request(kind=_SETLINK, payload=_link_header(index=index) + more, about=name)


def set_up(index: int, *, name: str) -> Request:
    """Bring the interface with INDEX up."""
    return Request(kind=_SETLINK, payload=_link_header(index=index, up=True), about=name)


def forgo_link_local(index: int, *, name: str) -> Request:
    """Let the interface with INDEX, which is still down, get no IPv6 address by itself."""
    return Request(kind=_SETLINK, payload=_link_header(index=index) + _NO_LINK_LOCAL, about=name)


def add_address(index: int, address: str, *, prefix: int) -> Request:
    """Give the interface with INDEX an ADDRESS of a subnet, of whose bits PREFIX are the subnet's."""
    raw = address_bytes(address)
    if len(raw) == 4:
        everyone = int.from_bytes(raw, "big") | ((1 << (32 - prefix)) - 1)
        family, more = AF_INET, attribute(_BROADCAST, everyone.to_bytes(4, "big")) if prefix < 31 else b""
    else:
        family, more = AF_INET6, attribute(_ADDRESS_FLAGS, u32(_NO_DUPLICATE_DETECTION))
    header = bytes((family, prefix, 0, _SCOPE_UNIVERSE)) + u32(index)  # struct ifaddrmsg
    payload = header + attribute(_LOCAL, raw) + attribute(_ADDRESS, raw) + more
    return Request(kind=_NEWADDR, flags=CREATE | EXCLUSIVE, payload=payload, about=address)


def add_default_route(index: int, gateway: str) -> Request:
    """Send everything else through GATEWAY, by the interface with INDEX."""
    raw = address_bytes(gateway)
    family = AF_INET if len(raw) == 4 else AF_INET6
    header = bytes((family, 0, 0, 0, _TABLE_MAIN, _PROTOCOL_BOOT, _SCOPE_UNIVERSE, _UNICAST)) + u32(0)  # struct rtmsg
    payload = header + attribute(_ROUTE_GATEWAY, raw) + attribute(_ROUTE_OIF, u32(index))
    return Request(kind=_NEWROUTE, flags=CREATE | EXCLUSIVE, payload=payload, about=f"the route to {gateway}")


def address_bytes(address: str) -> bytes:
    """ADDRESS, IPv4 or IPv6, in network order."""
    if ":" not in address:
        return bytes(int(part) for part in address.split("."))
    from socket import inet_pton  # few networks have IPv6

    return inet_pton(AF_INET6, address)
