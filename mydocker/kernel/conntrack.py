"""What the kernel remembers of connections whose addresses it translates (linux/netfilter/nfnetlink_conntrack.h).

A flow keeps the address that it was given at its beginning, also where the container that had it has ended: a client
that goes on sending datagrams from one port would never reach the next one.
"""

from __future__ import annotations

from mydocker.kernel.netlink import AF_INET, NESTED, NETFILTER, Channel, Request, address_bytes, attribute, attributes

_SUBSYSTEM = 1  # NFNL_SUBSYS_CTNETLINK
_GET, _DELETE = 1, 2
_ORIGINAL, _REPLY, _ID, _FILTER = 1, 2, 12, 25
_TUPLE_IP, _IPV4_SOURCE = 1, 1
_FILTER_REPLY, _BY_SOURCE = 2, 1
_HEADER = bytes((AF_INET, 0, 0, 0))  # struct nfgenmsg


def forget(address: str) -> None:
    """Forget the flows that are answered from IPv4 ADDRESS. Raises OSError where the kernel has no such messages."""
    with Channel(NETFILTER) as channel:
        for flow in _answered_from(channel, address_bytes(address)):
            original = attribute(_ORIGINAL | NESTED, flow[_ORIGINAL]) + attribute(_ID, flow[_ID])
            try:  # noqa: SIM105  # contextlib is not on the warm path
                channel.send(Request(kind=_SUBSYSTEM << 8 | _DELETE, payload=_HEADER + original))
            except FileNotFoundError:  # it has just ended
                pass


def _answered_from(channel: Channel, address: bytes) -> list[dict[int, bytes]]:
    """The attributes of each flow whose answers come from ADDRESS. The kernel leaves the others out since Linux 5.8."""
    source = attribute(_TUPLE_IP | NESTED, attribute(_IPV4_SOURCE, address))
    wanted = attribute(_FILTER | NESTED, attribute(_FILTER_REPLY, _BY_SOURCE.to_bytes(4, "little")))
    request = Request(
        kind=_SUBSYSTEM << 8 | _GET, payload=_HEADER + attribute(_REPLY | NESTED, source) + wanted, about="connections"
    )
    flows = [attributes(entry[4:]) for entry in channel.dump(request)]
    return [flow for flow in flows if _source(flow.get(_REPLY, b"")) == address]


def _source(direction: bytes) -> bytes:
    return attributes(attributes(direction).get(_TUPLE_IP, b"")).get(_IPV4_SOURCE, b"")
