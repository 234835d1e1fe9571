"""Messages of DNS, held against an encoder and a reader of the tests' own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import dns

from mydocker.runtime.network.name_server import message
from mydocker.runtime.network.name_server.message import Malformed

LABEL = st.text("abcdefghijklmnopqrstuvwxyzABC-_0123", min_size=1, max_size=63)


@given(
    st.lists(LABEL, min_size=1, max_size=4).map(".".join).filter(lambda name: len(name) < 254), st.integers(0, 65535)
)
def test_a_question(name: str, size: int) -> None:
    for extended in (None, size):
        query = dns.question(name, dns.AAAA, size=extended)
        found = message.parse(query)
        assert (found.name, found.kind, found.class_) == (name.lower().encode(), dns.AAAA, 1)
        assert found.extended == (extended is not None) and found.size == min(max(extended or 0, 512), 4096)
        reply = dns.read(message.answer(query, found, [bytes([10, 1, 1, 1]), bytes(15) + b"\1"], limit=65535))
        assert reply.raw[:2] == query[:2] and found.raw in query and found.raw in reply.raw
        assert (reply.code, reply.data, reply.extended) == (0, ("10.1.1.1", "::1"), found.extended)
        for code in range(1, 6):
            assert dns.read(message.refusal(query, code, found)).code == code


@given(st.binary(min_size=12, max_size=300))
def test_anything(raw: bytes) -> None:
    try:
        found = message.parse(raw)
    except Malformed as error:
        reply = dns.read(message.refusal(raw, error.code))
        assert reply.code in (dns.FORMERR, dns.NOTIMP) and len(reply.raw) == 12
        return
    reply = dns.read(message.answer(raw, found, [bytes(4)] * 40, limit=found.size))
    assert len(reply.raw) <= found.size
    message.answers(raw, raw[:2], found)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (b"4.3.2.1.in-addr.arpa", bytes([1, 2, 3, 4])),
        (b"1." + b"0." * 31 + b"ip6.arpa", bytes(15) + b"\1"),
        (b"3.2.1.in-addr.arpa", b""),
        (b"256.3.2.1.in-addr.arpa", b""),
        (b"-1.3.2.1.in-addr.arpa", b""),
        (b"x." + b"0." * 31 + b"ip6.arpa", b""),
        (b"1." * 31 + b"ip6.arpa", b""),
        (b"", b""),
    ],
)
def test_the_address_that_a_name_is_for(name: bytes, address: bytes) -> None:
    assert message.address_of(name) == address


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        (b"a.bc", b"\1a\2bc\0"),
        (b"", b""),
        (b"a..b", b""),
        (b"x" * 64, b""),
        (b"x" * 63, b"\x3f" + b"x" * 63 + b"\0"),
        (b".".join([b"x" * 63] * 4), b""),
    ],
)
def test_a_name_in_a_message(name: bytes, raw: bytes) -> None:
    assert message.encoded(name) == raw
