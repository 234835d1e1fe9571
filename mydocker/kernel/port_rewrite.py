"""Let a server on a loopback address have another port than its clients ask: rules of nftables, without state.

Docker does the same for its embedded server, by address translation. Here the numbers in the packets are changed, which
needs no connection tracking: those of questions after all else on their way out, and those of replies before all else,
so the firewall and the connection tracking of the namespace, if it has any, see the port that was asked. An ICMP error
of a port that is closed quotes the packet, so its client learns at once that nobody serves it.
"""

from __future__ import annotations

from mydocker.kernel.netlink import CREATE, NESTED, NETFILTER, Channel, Request, address_bytes, attribute, text
from mydocker.kernel.nftables import BATCH_BEGIN, BATCH_END, IPV4, SUBSYSTEM, data, header
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLE = "mydocker-names"  # of the namespace's nftables
_NEWTABLE, _NEWCHAIN, _NEWRULE = 0, 3, 6
_APPEND = 0x800  # NLM_F_APPEND
_TABLE_NAME = 1
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_TYPE = 1, 3, 4, 7
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_RULE_TABLE, _RULE_CHAIN, _RULE_EXPRESSIONS = 1, 2, 4
_LIST_ELEMENT, _EXPRESSION_NAME, _EXPRESSION_DATA = 1, 1, 2
_LOCAL_OUT = 3  # NF_INET_LOCAL_OUT
_FIRST, _LAST = -350, 300  # before connection tracking (-200) and raw (-300), and after all filters
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_PROTOCOL_AT, _SOURCE_AT, _DESTINATION_AT = 9, 12, 16  # in the header of IPv4
_SOURCE_PORT_AT, _DESTINATION_PORT_AT = 0, 2
_INTERNET_CHECKSUM = 1
_REGISTER = 1
_CHECKSUMS_AT = {6: 16, 17: 6}  # TCP, UDP: where the checksum is in the header
_ICMP, _ICMP_CHECKSUM_AT, _PORT_UNREACHABLE = b"\1", 2, b"\3\3"
_QUOTED_PORT_AT = 8 + 20 + 2  # after the headers of ICMP and of the packet, which has no options


def load(address: str, port: int, substitute: int) -> None:
    """In this network namespace: who asks PORT of the local IPv4 ADDRESS reaches SUBSTITUTE, and gets its replies.

    Raises OSError.
    """
    begin = Request(kind=BATCH_BEGIN, payload=header(0, SUBSYSTEM), acknowledged=False)
    end = Request(kind=BATCH_END, payload=header(0, SUBSYSTEM), acknowledged=False)
    table = _request(_NEWTABLE, CREATE, attribute(_TABLE_NAME, text(TABLE)))
    rules = [
        _rule(*each) for each in _rules(address_bytes(address), port.to_bytes(2, "big"), substitute.to_bytes(2, "big"))
    ]
    chains = _chain("questions", _LAST), _chain("replies", _FIRST)
    changes = [
        each.replace(acknowledged=False) for each in (table, *chains, *rules[:-1])
    ]  # an error is reported anyway
    with Channel(NETFILTER) as channel:
        channel.send(begin, *changes, rules[-1], end)


def _rules(address: bytes, asked: bytes, served: bytes) -> Iterator[tuple[str, bytes]]:
    """The chain and the expressions of each rule. What several have in common is made once."""
    equals_address = _equals(address)
    to_server = _loads(_NETWORK_HEADER, _DESTINATION_AT, 4) + equals_address
    to_client = _loads(_NETWORK_HEADER, _SOURCE_AT, 4) + equals_address
    protocol_is = _loads(_NETWORK_HEADER, _PROTOCOL_AT, 1)
    is_asked = _loads(_TRANSPORT_HEADER, _DESTINATION_PORT_AT, 2) + _equals(asked)
    is_served = _loads(_TRANSPORT_HEADER, _SOURCE_PORT_AT, 2) + _equals(served)
    for protocol, checksum_at in _CHECKSUMS_AT.items():
        of_protocol = protocol_is + _equals(protocol.to_bytes(1, "big"))
        yield "questions", to_server + of_protocol + is_asked + _writes(_DESTINATION_PORT_AT, served, checksum_at)
        yield "replies", to_client + of_protocol + is_served + _writes(_SOURCE_PORT_AT, asked, checksum_at)
    refusal = to_client + protocol_is + _equals(_ICMP) + _loads(_TRANSPORT_HEADER, 0, 2) + _equals(_PORT_UNREACHABLE)
    refusal += _loads(_TRANSPORT_HEADER, _QUOTED_PORT_AT, 2) + _equals(served)
    yield "replies", refusal + _writes(_QUOTED_PORT_AT, asked, _ICMP_CHECKSUM_AT)


def _request(kind: int, flags: int, payload: bytes) -> Request:
    return Request(kind=SUBSYSTEM << 8 | kind, flags=flags, payload=header(IPV4, 0) + payload, about=TABLE)


def _number(value: int) -> bytes:
    return (value & 0xFFFFFFFF).to_bytes(4, "big")


def _chain(name: str, priority: int) -> Request:
    hook = attribute(_HOOK_NUMBER, _number(_LOCAL_OUT)) + attribute(_HOOK_PRIORITY, _number(priority))
    payload = attribute(_CHAIN_TABLE, text(TABLE)) + attribute(_CHAIN_NAME, text(name))
    payload += attribute(_CHAIN_HOOK | NESTED, hook) + attribute(_CHAIN_TYPE, text("filter"))
    return _request(_NEWCHAIN, CREATE, payload)


def _rule(chain: str, expressions: bytes) -> Request:
    payload = attribute(_RULE_TABLE, text(TABLE)) + attribute(_RULE_CHAIN, text(chain))
    return _request(_NEWRULE, CREATE | _APPEND, payload + attribute(_RULE_EXPRESSIONS | NESTED, expressions))


def _loads(base: int, offset: int, length: int) -> bytes:
    """NFTA_PAYLOAD_DREG, _BASE, _OFFSET, _LEN."""
    values = (_REGISTER, base, offset, length)
    return _expression("payload", b"".join(attribute(kind, _number(each)) for kind, each in enumerate(values, 1)))


def _equals(value: bytes) -> bytes:
    """NFTA_CMP_SREG, _OP (NFT_CMP_EQ), _DATA."""
    return _expression("cmp", attribute(1, _number(_REGISTER)) + attribute(2, _number(0)) + _value(3, value))


def _writes(offset: int, value: bytes, checksum_at: int) -> bytes:
    """NFTA_IMMEDIATE_DREG, _DATA; NFTA_PAYLOAD_BASE, _OFFSET, _LEN, _SREG, _CSUM_TYPE, _CSUM_OFFSET."""
    loaded = _expression("immediate", attribute(1, _number(_REGISTER)) + _value(2, value))
    values = (_TRANSPORT_HEADER, offset, len(value), _REGISTER, _INTERNET_CHECKSUM, checksum_at)
    written = b"".join(attribute(kind, _number(each)) for kind, each in enumerate(values, 2))
    return loaded + _expression("payload", written)


def _value(kind: int, value: bytes) -> bytes:
    return attribute(kind | NESTED, data(value))


def _expression(name: str, content: bytes) -> bytes:
    named = attribute(_EXPRESSION_NAME, text(name)) + attribute(_EXPRESSION_DATA | NESTED, content)
    return attribute(_LIST_ELEMENT | NESTED, named)
