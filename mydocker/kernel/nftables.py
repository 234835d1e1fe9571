"""Elements of nftables' sets and maps, and where packets are dropped, through nfnetlink (linux/netfilter/nf_tables.h).

Rules are loaded by nft(8), once for each network. What comes and goes with each container are elements of their sets,
which take one system call here instead of a program.
"""

from __future__ import annotations

from mydocker.kernel.netlink import (
    CREATE,
    NESTED,
    NETFILTER,
    Channel,
    Request,
    address_bytes,
    attribute,
    attributes,
    mac_bytes,
    text,
)
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INET, IPV4, BRIDGE, IPV6 = 1, 2, 7, 10  # families, linux/netfilter.h

SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
BATCH_BEGIN, BATCH_END = 16, 17
_GETTABLE, _GETCHAIN, _NEWSETELEM, _DELSETELEM = 1, 4, 12, 14
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS, _LIST_ELEMENT = 1, 2, 3, 1
_ELEMENT_KEY, _ELEMENT_DATA, _DATA_VALUE = 1, 2, 1
_TABLE_NAME = 1
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY = 1, 3, 4, 5
_HOOK_NUMBER = 1
_FORWARD, _DROP = 2, 0
_TOGETHER = 100  # elements in one transaction
_PROTOCOLS = {"tcp": 6, "udp": 17}


class Element(Record):
    """An element of a set; of a map, if it has a value. Key and value are as `key` makes them."""

    table: str
    family: int
    set: str
    key: bytes
    value: bytes = b""


class Chain(Record):
    """A chain of a table, whose hook is `forward`. With `drops`, that is its policy for what no rule accepts."""

    family: int
    table: str
    name: str
    drops: bool


def key(*parts: bytes) -> bytes:
    """Parts one after the other, each padded to four bytes, as a concatenation has them."""
    return b"".join(part + b"\0" * (-len(part) % 4) for part in parts)


def interface(name: str) -> bytes:
    return text(name).ljust(16, b"\0")


def protocol(name: str) -> bytes:
    return _PROTOCOLS[name].to_bytes(1, "big")


def port(number: int) -> bytes:
    return number.to_bytes(2, "big")


address, mac = address_bytes, mac_bytes


def add_elements(elements: Iterable[Element]) -> None:
    """Add ELEMENTS, all or none. EEXIST if a map has a key already, with another value."""
    _send([_request(_NEWSETELEM, CREATE, element) for element in elements])


def replace_elements(elements: Iterable[Element]) -> None:
    """Add ELEMENTS to maps, in place of those that have their keys."""
    for some in _parts(elements):
        try:
            add_elements(some)
        except FileExistsError:
            for element in some:
                delete_elements([element.replace(value=b"")])  # whatever it has
                add_elements([element])


def delete_elements(elements: Iterable[Element]) -> None:
    """Delete ELEMENTS. Those that are not there any more, or whose table has gone, are passed over; so are those of
    maps whose key has another value by now."""
    for some in _parts(elements):
        try:  # together: the kernel takes milliseconds for each transaction
            _delete(some)
        except (FileNotFoundError, FileExistsError):
            if len(some) > 1:
                for element in some:
                    delete_elements([element])


def _delete(elements: list[Element]) -> None:
    """In one transaction. The kernel looks at the key alone when it deletes, but does not add a key that has another
    value: so what is in a map is added first, which changes nothing where it is there."""
    additions = [_request(_NEWSETELEM, CREATE, element) for element in elements if element.value]
    _send([*additions, *(_request(_DELSETELEM, 0, element.replace(value=b"")) for element in elements)])


def _parts(elements: Iterable[Element]) -> Iterator[list[Element]]:
    """ELEMENTS in lists that are short enough for a socket to hold what the kernel answers to each."""
    left = list(elements)
    while left:
        yield left[:_TOGETHER]
        left = left[_TOGETHER:]


def has_table(family: int, name: str) -> bool:
    """Whether there is a table NAME of FAMILY."""
    request = Request(
        kind=SUBSYSTEM << 8 | _GETTABLE, payload=header(family, 0) + attribute(_TABLE_NAME, text(name)), about=name
    )
    try:
        with Channel(NETFILTER) as channel:
            channel.query(request)
    except FileNotFoundError:
        return False
    return True


def forwarding_chains() -> list[Chain]:
    """All chains that what is forwarded passes, of all tables."""
    with Channel(NETFILTER) as channel:
        entries = channel.dump(Request(kind=SUBSYSTEM << 8 | _GETCHAIN, payload=header(0, 0)))
    found = []
    for entry in entries:
        chain = attributes(entry[4:])
        hook = attributes(chain.get(_CHAIN_HOOK, b"")).get(_HOOK_NUMBER, b"")
        if entry[0] in (INET, IPV4, IPV6) and hook == _FORWARD.to_bytes(4, "big"):
            table, name = _name(chain[_CHAIN_TABLE]), _name(chain[_CHAIN_NAME])
            drops = chain.get(_CHAIN_POLICY) == _DROP.to_bytes(4, "big")
            found.append(Chain(family=entry[0], table=table, name=name, drops=drops))
    return found


def _name(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode()


def _request(kind: int, flags: int, element: Element) -> Request:
    return Request(kind=SUBSYSTEM << 8 | kind, flags=flags, payload=_payload(element), about=element.table)


def _send(changes: list[Request]) -> None:
    """One transaction, as the kernel takes changes of rules only in batches."""
    begin = Request(kind=BATCH_BEGIN, payload=header(0, SUBSYSTEM), acknowledged=False)
    end = Request(kind=BATCH_END, payload=header(0, SUBSYSTEM), acknowledged=False)
    if changes:
        with Channel(NETFILTER) as channel:
            channel.send(begin, *changes, end)


def _payload(element: Element) -> bytes:
    value = attribute(_ELEMENT_DATA | NESTED, data(element.value)) if element.value else b""
    content = attribute(_ELEMENT_KEY | NESTED, data(element.key)) + value
    listed = attribute(_LIST_ELEMENTS | NESTED, attribute(_LIST_ELEMENT | NESTED, content))
    named = attribute(_LIST_TABLE, text(element.table)) + attribute(_LIST_SET, text(element.set))
    return header(element.family, 0) + named + listed


def data(value: bytes) -> bytes:
    """The attribute of a value, as keys, elements and registers have it."""
    return attribute(_DATA_VALUE, value)


def header(family: int, resource: int) -> bytes:
    """struct nfgenmsg."""
    return bytes((family, 0)) + resource.to_bytes(2, "big")
