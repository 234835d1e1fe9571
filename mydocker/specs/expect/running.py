"""What can only be checked while a container runs: `ports`, `process` and `http` under `expect`.

`http` and its request have goss's options (docs/gossfile.md, "http").
"""

from __future__ import annotations

from functools import partial

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs import values
from mydocker.specs.expect.keywords import ANSWER, REQUEST, STATES
from mydocker.specs.expect.matcher import read_matcher, read_texts
from mydocker.specs.expect.synonyms import unknown_keyword
from mydocker.specs.model.expect import Check, Matcher, Request, checked
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence
from mydocker.specs.nodes.reader import switch
from mydocker.specs.values.duration import parse_timeout
from mydocker.specs.values.port import parse_number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mydocker.specs.nodes.reader import Reader

PROTOCOLS = ("tcp", "tcp6", "udp", "udp6")
NAME_LIMIT = 255


def read_ports(node: Node, reader: Reader) -> Iterator[Check]:
    """`tcp:80: listening`, or as goss has it `tcp:80: {listening: true, ip: [127.0.0.1]}`."""
    for key, value in _entries(node, "ports such as tcp:80, each listening or closed", reader):
        port = reader.value(key, _port)
        if port and isinstance(value, Mapping):
            yield from _port_in_words(port, value, reader)
        elif port:
            yield from _state("ports", port, value, reader)


def _port_in_words(port: str, node: Mapping, reader: Reader) -> Iterator[Check]:
    members = reader.members(node, ("listening", "ip"))
    listens = reader.value(members["listening"], switch) if "listening" in members else True
    matcher = Matcher(op="equal", want=bool(listens))
    yield from checked(members.get("listening", node), ("ports", port, "listening"), matcher)
    if "ip" not in members:
        return
    items = members["ip"].items if isinstance(members["ip"], Sequence) else (members["ip"],)
    for item in items:
        address = reader.text(item)
        inner = Matcher(op="equal", want=address)
        yield from checked(item, ("ports", port, "ip"), Matcher(op="contain-element", want=inner))


def read_process(node: Node, reader: Reader) -> Iterator[Check]:
    """`nginx: running`, or as goss has it `nginx: {running: true}`."""
    for key, value in _entries(node, "names of programs, each running or absent", reader):
        name = reader.value(key, _program)
        if name and isinstance(value, Mapping):
            member = reader.members(value, ("running",)).get("running")
            if member is None:
                reader.refuse(value, "expected running or absent")
            else:
                matcher = Matcher(op="equal", want=bool(reader.value(member, switch)))
                yield from checked(member, ("process", name, "running"), matcher)
        elif name:
            yield from _state("process", name, value, reader)


def read_http(node: Node, reader: Reader) -> Iterator[Check | Request]:
    """A request for each URL, and what is expected of its response."""
    for key, value in _entries(node, "URLs, each with what is expected of the response", reader):
        url = reader.value(key, _url)
        if not isinstance(value, Mapping) or not value.entries:
            reader.refuse(value, f"expected a mapping with {', '.join(ANSWER)}")
            continue
        before = len(reader.problems)
        members = reader.members(value, (*ANSWER, *REQUEST), unknown=unknown_keyword)
        if not members.keys() & set(ANSWER) and len(reader.problems) == before:
            reader.refuse(value, f"nothing is expected of the response: expected {', '.join(ANSWER)}")
        if not url:
            continue
        yield Request(url=url, **_options(members, reader))
        for name in ANSWER:
            if name in members:
                yield from _answer(url, name, members[name], reader)


def _answer(url: str, name: str, node: Node, reader: Reader) -> Iterator[Check]:
    if name == "status":
        yield from checked(node, ("http", url, name), read_matcher(node, "number", reader))
        return
    for item, matcher in read_texts(node, reader):
        yield from checked(item, ("http", url, name), matcher)


def _options(members: dict[str, Node], reader: Reader) -> dict[str, Any]:
    """The options of the request that differ from the default."""
    options: dict[str, Any] = {}
    if "method" in members:
        options["method"] = reader.value(members["method"], _method)
    if "request-headers" in members:
        options["headers"] = tuple(_headers(members["request-headers"], reader))
    if "timeout" in members:
        options["timeout"] = reader.value(members["timeout"], parse_timeout)
    options |= {name: reader.text(members[f"request-{name}"]) for name in ("body",) if f"request-{name}" in members}
    options |= {name: reader.text(members[name]) for name in ("username", "password") if name in members}
    for name, attribute in (("no-follow-redirects", "follow"), ("allow-insecure", "verify")):
        if name in members:
            options[attribute] = not reader.value(members[name], switch)
    return options


def _headers(node: Node, reader: Reader) -> Iterator[tuple[str, str]]:
    """As goss has them, a list of `Name: value`; or a mapping."""
    if isinstance(node, Mapping):
        for key, value in node.entries:
            yield from _header(key, f"{key.text}: {reader.text(value)}", reader)
        return
    for item in node.items if isinstance(node, Sequence) else (node,):
        yield from _header(item, reader.text(item), reader)


def _header(node: Node, text: str, reader: Reader) -> Iterator[tuple[str, str]]:
    found = reader.attempt(node, partial(_split, text))
    if found:
        yield found


def _split(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"{text!r}: expected a header, such as 'Accept: text/html'")
    if not value.isprintable():
        raise UsageError(f"header {name}: its value has control characters in it")
    return name, value.strip()


def _entries(node: Node, want: str, reader: Reader) -> tuple[tuple[Scalar, Node], ...]:
    if isinstance(node, Mapping) and node.entries:
        return node.entries
    reader.refuse(node, f"expected a mapping of {want}")
    return ()


def _state(kind: str, name: str, node: Node, reader: Reader) -> Iterator[Check]:
    states = STATES[kind]
    text = reader.text(node, expected=" or ".join(states))
    if text in states:
        yield from checked(node, (kind, name, next(iter(states))), Matcher(op="equal", want=states[text]))
    elif text:
        reader.refuse(node, f"{text!r}: expected {' or '.join(states)}")


def _port(text: str, scope: values.Scope) -> str:
    """`tcp:80`; 80 and 80/tcp mean the same."""
    number, slash, protocol = text.partition("/")
    if not slash:
        protocol, colon, number = text.rpartition(":")
        protocol = protocol if colon else "tcp"
    if protocol not in PROTOCOLS:
        raise UsageError(f"{text!r}: expected a port such as tcp:80, of {', '.join(PROTOCOLS)}")
    return f"{protocol}:{parse_number(number)}"


def _program(text: str, scope: values.Scope) -> str:
    if not text or "/" in text or len(text) > NAME_LIMIT:
        raise UsageError(f"{text!r}: expected the name of a program, such as nginx, with no path")
    return text


def _method(text: str, scope: values.Scope) -> str:
    if not text.isascii() or not text.isalpha():
        raise UsageError(f"{text!r}: expected a method such as GET or POST")
    return text.upper()


def _url(text: str, scope: values.Scope) -> str:
    from urllib.parse import urlsplit

    wrong = UsageError(f"{text!r}: expected a URL such as http://localhost:8080/path")
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise wrong
    try:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise wrong
    except ValueError:
        raise wrong from None
    if parts.username is not None:
        raise UsageError("a URL with a user in it: expected username and password next to status")
    return text
