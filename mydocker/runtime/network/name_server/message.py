"""DNS messages (RFC 1035, section 4): the question of a query, and the replies that answer or refuse it.

Queries come from programs that are not trusted. All that is read of one is its header, its only question and the size
that it allows for a reply (EDNS, RFC 6891); names are bytes in lower case, without the dot at the end.
"""

from __future__ import annotations

from mydocker.record import Record

HEADER = 12  # bytes
A, PTR, OPT, AAAA, ANY = 1, 12, 41, 28, 255
INTERNET = 1  # the class
FORMAT_ERROR, SERVER_FAILURE, NAME_ERROR, NOT_IMPLEMENTED, REFUSED = 1, 2, 3, 4, 5
TRUNCATED = 0x0200
LARGEST = 65535  # bytes of a message over TCP
_RESPONSE, _RECURSION_AVAILABLE, _OPCODE, _RECURSION_DESIRED, _CODE = 0x8000, 0x0080, 0x7800, 0x0100, 0x000F
_QUESTION_NAME = b"\xc0\x0c"  # a pointer to the name of the question
_NAME_LIMIT, _LABEL_LIMIT = 255, 63
_PLAIN_SIZE, _MOST_SIZE = 512, 4096  # bytes of a reply over UDP: without EDNS, and at most
_MORE = 16  # records after the question that are looked through for EDNS


class Malformed(Exception):
    """No query that can be answered or forwarded; `code` is that of the reply."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Question(Record):
    """What a query asks. `name` is empty for the root, and for one that no name of a host can be."""

    name: bytes
    kind: int
    class_: int
    raw: bytes  # the section of the question
    size: int  # bytes that a reply over UDP may have
    extended: bool  # it has an OPT record, so the reply has one as well


def parse(query: bytes) -> Question:
    """The question of QUERY, which has a header at least. Raises Malformed."""
    flags, questions, answers, authorities, additional = (_number(query, place) for place in range(2, HEADER, 2))
    if flags & _OPCODE:
        raise Malformed(NOT_IMPLEMENTED)
    if (questions, answers, authorities) != (1, 0, 0) or additional > _MORE or flags & TRUNCATED:
        raise Malformed(FORMAT_ERROR)
    name, end = _name(query)
    if end + 4 > len(query):
        raise Malformed(FORMAT_ERROR)
    size = _allowed_size(query, end + 4, additional)
    return Question(
        name=name,
        kind=_number(query, end),
        class_=_number(query, end + 2),
        raw=query[HEADER : end + 4],
        size=min(max(size or 0, _PLAIN_SIZE), _MOST_SIZE),
        extended=size is not None,
    )


def is_query(message: bytes) -> bool:
    """Whether MESSAGE has a header, and is no response: those are never replied to."""
    return len(message) >= HEADER and not _number(message, 2) & _RESPONSE


def _number(message: bytes, offset: int) -> int:
    return int.from_bytes(message[offset : offset + 2], "big")


def _name(query: bytes) -> tuple[bytes, int]:
    """The name of the question, and where it ends. It is the first in the message, so no pointer can be in it."""
    labels, offset = [], HEADER
    while True:
        if offset >= len(query) or query[offset] > _LABEL_LIMIT:
            raise Malformed(FORMAT_ERROR)
        length, offset = query[offset], offset + 1
        if length == 0:
            break
        labels.append(query[offset : offset + length])
        offset += length
        if offset - HEADER >= _NAME_LIMIT:
            raise Malformed(FORMAT_ERROR)
    name = b".".join(labels).lower()
    return (name if name.count(b".") == len(labels) - 1 else b""), offset


def _allowed_size(query: bytes, offset: int, count: int) -> int | None:
    """The size of a reply that the OPT record among COUNT ones from OFFSET on allows; None if there is none."""
    for _ in range(count):
        is_root = query[offset : offset + 1] == b"\0"
        while offset < len(query) and 0 < query[offset] <= _LABEL_LIMIT:
            offset += query[offset] + 1
        offset += 2 if query[offset : offset + 1] >= b"\xc0" else 1
        if offset + 10 > len(query):
            raise Malformed(FORMAT_ERROR)
        if is_root and _number(query, offset) == OPT:
            return _number(query, offset + 2)
        offset += 10 + _number(query, offset + 8)
    return None


def refusal(query: bytes, code: int, question: Question | None = None) -> bytes:
    """A reply to QUERY, which has a header, that says CODE and nothing else."""
    return _message(query, code, question, [])


def answer(query: bytes, question: Question, data: list[bytes], *, limit: int) -> bytes:
    """A reply to QUERY with the records of DATA, addresses or names, as many as LIMIT bytes hold. They may be another
    container's in the next moment, so nobody is to keep them."""
    records = [_record(PTR if question.kind == PTR else _kind_of(each), each) for each in data]
    room = limit - HEADER - len(question.raw) - (len(_OPTIONS) if question.extended else 0)
    fitting: list[bytes] = []
    for record in records:
        room -= len(record)
        if room < 0:
            return _message(query, TRUNCATED, question, fitting)
        fitting.append(record)
    return _message(query, 0, question, fitting)


def truncated(query: bytes, question: Question) -> bytes:
    """A reply that is to be asked for over TCP."""
    return _message(query, TRUNCATED, question, [])


# An OPT record: the root, the type, the size that is taken here, nothing more
_OPTIONS = b"\0" + OPT.to_bytes(2, "big") + _MOST_SIZE.to_bytes(2, "big") + bytes(6)


def _message(query: bytes, flags: int, question: Question | None, records: list[bytes]) -> bytes:
    kept = _number(query, 2) & (_OPCODE | _RECURSION_DESIRED)
    options = _OPTIONS if question and question.extended else b""
    counts = (1 if question else 0, len(records), 0, 1 if options else 0)
    header = query[:2] + (kept | _RESPONSE | _RECURSION_AVAILABLE | flags).to_bytes(2, "big")
    header += b"".join(count.to_bytes(2, "big") for count in counts)
    return header + (question.raw if question else b"") + b"".join(records) + options


def _kind_of(address: bytes) -> int:
    return A if len(address) == 4 else AAAA


def _record(kind: int, data: bytes) -> bytes:
    parts = (kind, INTERNET, 0, 0, len(data))  # no time to live, in four bytes
    return _QUESTION_NAME + b"".join(part.to_bytes(2, "big") for part in parts) + data


def encoded(name: bytes) -> bytes:
    """NAME, as a message has it; empty if none can."""
    labels = name.split(b".")
    if not all(0 < len(label) <= _LABEL_LIMIT for label in labels) or len(name) + 2 > _NAME_LIMIT:
        return b""
    return b"".join(len(label).to_bytes(1, "big") + label for label in labels) + b"\0"


def address_of(name: bytes) -> bytes:
    """The address whose name NAME asks for (RFC 1035 section 3.5, RFC 3596 section 2.5); empty if it is another one."""
    labels = name.split(b".")[::-1]
    try:
        if labels[:2] == [b"arpa", b"in-addr"] and len(labels) == 6:
            return bytes(map(int, labels[2:]))
        if labels[:2] == [b"arpa", b"ip6"] and len(labels) == 34 and all(len(label) == 1 for label in labels[2:]):
            return bytes.fromhex(b"".join(labels[2:]).decode("ascii"))
    except ValueError:
        pass
    return b""


def answers(response: bytes, identifier: bytes, question: Question) -> bool:
    """Whether RESPONSE, of an upstream server, is one to QUESTION that was sent with IDENTIFIER."""
    if len(response) < HEADER or response[:2] != identifier or not _number(response, 2) & _RESPONSE:
        return False
    if _number(response, 4) == 0:  # as some servers refuse a query
        return code_of(response) != 0
    return _number(response, 4) == 1 and response[HEADER : HEADER + len(question.raw)] == question.raw


def code_of(response: bytes) -> int:
    return _number(response, 2) & _CODE
