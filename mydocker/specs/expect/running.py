"""What can only be seen while a container runs: `ports`, `process` and `http` under `expect`.

`http` has goss's options (docs/gossfile.md, "http"), and so has the request that is made.
"""

from __future__ import annotations

from functools import partial

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs.expect.keywords import ANSWER, REQUEST, STATES
from mydocker.specs.expect.matcher import read_matcher, read_texts
from mydocker.specs.expect.synonyms import unknown_word
from mydocker.specs.model.expect import Check, Matcher, Request, checked
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence
from mydocker.specs.nodes.reader import switch
from mydocker.specs.values import parsers
from mydocker.specs.values.duration import parse_timeout
from mydocker.specs.values.port import parse_number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mydocker.specs.nodes.reader import Reading

PROTOCOLS = ("tcp", "tcp6", "udp", "udp6")
NAME_LIMIT = 255


def read_ports(node: Node, reading: Reading) -> Iterator[Check]:
    """`tcp:80: listening`, or as goss has it `tcp:80: {listening: true, ip: [127.0.0.1]}`."""
    for key, value in _entries(node, "ports such as tcp:80, each listening or closed", reading):
        port = reading.word(key, _port)
        if port and isinstance(value, Mapping):
            yield from _port_in_words(port, value, reading)
        elif port:
            yield from _state("ports", port, value, reading)


def _port_in_words(port: str, node: Mapping, reading: Reading) -> Iterator[Check]:
    members = reading.members(node, ("listening", "ip"))
    listens = reading.word(members["listening"], switch) if "listening" in members else True
    matcher = Matcher(op="equal", want=bool(listens))
    yield from checked(members.get("listening", node), ("ports", port, "listening"), matcher)
    if "ip" not in members:
        return
    items = members["ip"].items if isinstance(members["ip"], Sequence) else (members["ip"],)
    for item in items:
        address = reading.text(item)
        inner = Matcher(op="equal", want=address)
        yield from checked(item, ("ports", port, "ip"), Matcher(op="contain-element", want=inner))


def read_process(node: Node, reading: Reading) -> Iterator[Check]:
    """`nginx: running`, or as goss has it `nginx: {running: true}`."""
    for key, value in _entries(node, "names of programs, each running or absent", reading):
        name = reading.word(key, _program)
        if name and isinstance(value, Mapping):
            member = reading.members(value, ("running",)).get("running")
            if member is None:
                reading.refuse(value, "expected running or absent")
            else:
                matcher = Matcher(op="equal", want=bool(reading.word(member, switch)))
                yield from checked(member, ("process", name, "running"), matcher)
        elif name:
            yield from _state("process", name, value, reading)


def read_http(node: Node, reading: Reading) -> Iterator[Check | Request]:
    """A request for each URL, and what is expected of the answer."""
    for key, value in _entries(node, "URLs, each with what is expected of the answer", reading):
        url = reading.word(key, _url)
        if not isinstance(value, Mapping) or not value.entries:
            reading.refuse(value, f"expected a mapping with {', '.join(ANSWER)}")
            continue
        before = len(reading.problems)
        members = reading.members(value, (*ANSWER, *REQUEST), unknown=unknown_word)
        if not members.keys() & set(ANSWER) and len(reading.problems) == before:
            reading.refuse(value, f"nothing is expected of the answer: expected {', '.join(ANSWER)}")
        if not url:
            continue
        yield Request(url=url, **_options(members, reading))
        for name in ANSWER:
            if name in members:
                yield from _answer(url, name, members[name], reading)


def _answer(url: str, name: str, node: Node, reading: Reading) -> Iterator[Check]:
    if name == "status":
        yield from checked(node, ("http", url, name), read_matcher(node, "number", reading))
        return
    for place, matcher in read_texts(node, reading):
        yield from checked(place, ("http", url, name), matcher)


def _options(members: dict[str, Node], reading: Reading) -> dict[str, Any]:
    """What of the request is not as it would be."""
    said: dict[str, Any] = {}
    if "method" in members:
        said["method"] = reading.word(members["method"], _method)
    if "request-headers" in members:
        said["headers"] = tuple(_headers(members["request-headers"], reading))
    if "timeout" in members:
        said["timeout"] = reading.word(members["timeout"], parse_timeout)
    said |= {name: reading.text(members[f"request-{name}"]) for name in ("body",) if f"request-{name}" in members}
    said |= {name: reading.text(members[name]) for name in ("username", "password") if name in members}
    for name, ours in (("no-follow-redirects", "follow"), ("allow-insecure", "verify")):
        if name in members:
            said[ours] = not reading.word(members[name], switch)
    return said


def _headers(node: Node, reading: Reading) -> Iterator[tuple[str, str]]:
    """As goss has them, a list of `Name: value`; or a mapping."""
    if isinstance(node, Mapping):
        for key, value in node.entries:
            yield from _header(key, f"{key.text}: {reading.text(value)}", reading)
        return
    for item in node.items if isinstance(node, Sequence) else (node,):
        yield from _header(item, reading.text(item), reading)


def _header(node: Node, text: str, reading: Reading) -> Iterator[tuple[str, str]]:
    found = reading.attempt(node, partial(_split, text))
    if found:
        yield found


def _split(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"{text!r}: expected a header, such as 'Accept: text/html'")
    if not value.isprintable():
        raise UsageError(f"header {name}: its value has control characters in it")
    return name, value.strip()


def _entries(node: Node, want: str, reading: Reading) -> tuple[tuple[Scalar, Node], ...]:
    if isinstance(node, Mapping) and node.entries:
        return node.entries
    reading.refuse(node, f"expected a mapping of {want}")
    return ()


def _state(kind: str, name: str, node: Node, reading: Reading) -> Iterator[Check]:
    states = STATES[kind]
    text = reading.text(node, want=" or ".join(states))
    if text in states:
        yield from checked(node, (kind, name, next(iter(states))), Matcher(op="equal", want=states[text]))
    elif text:
        reading.refuse(node, f"{text!r}: expected {' or '.join(states)}")


def _port(word: str, place: parsers.Place) -> str:
    """`tcp:80`; 80 and 80/tcp mean the same."""
    number, slash, protocol = word.partition("/")
    if not slash:
        protocol, colon, number = word.rpartition(":")
        protocol = protocol if colon else "tcp"
    if protocol not in PROTOCOLS:
        raise UsageError(f"{word!r}: expected a port such as tcp:80, of {', '.join(PROTOCOLS)}")
    return f"{protocol}:{parse_number(number)}"


def _program(word: str, place: parsers.Place) -> str:
    if not word or "/" in word or len(word) > NAME_LIMIT:
        raise UsageError(f"{word!r}: expected the name of a program, such as nginx, with no path")
    return word


def _method(word: str, place: parsers.Place) -> str:
    if not word.isascii() or not word.isalpha():
        raise UsageError(f"{word!r}: expected a method such as GET or POST")
    return word.upper()


def _url(word: str, place: parsers.Place) -> str:
    from urllib.parse import urlsplit

    wrong = UsageError(f"{word!r}: expected a URL such as http://localhost:8080/path")
    if not (word.isascii() and word.isprintable() and " " not in word):
        raise wrong
    try:
        parts = urlsplit(word)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise wrong
    except ValueError:
        raise wrong from None
    if parts.username is not None:
        raise UsageError("a URL with a user in it: expected username and password beside status")
    return word
