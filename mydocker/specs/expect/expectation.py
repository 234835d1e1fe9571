"""The `expect` key: what a spec file expects of its container becomes an Expect."""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs import values
from mydocker.specs.expect.keywords import CHANGES, EXPECT, FILE, FILE_TYPES, of_kind
from mydocker.specs.expect.matcher import read_matcher, read_texts
from mydocker.specs.expect.metadata import read_metadata
from mydocker.specs.expect.synonyms import unknown_keyword
from mydocker.specs.model.expect import LIVE, PATIENCE, RUNNING, Check, Command, Expect, Matcher, Request, checked
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence, is_null
from mydocker.specs.nodes.reader import switch
from mydocker.specs.values.duration import parse_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from mydocker.specs.fields import Field
    from mydocker.specs.nodes.reader import Reader

PLAIN = {word: EXPECT[word].kind for word in of_kind(EXPECT, "exit", "boolean", "duration", "size")}
OUTPUT = of_kind(EXPECT, "text")


def read_expect(node: Node, field: Field, reader: Reader) -> Expect | None:
    """Read the value of `expect`. No key is ignored, and an expectation that can never fail is an error."""
    reader = reader.replace(bare_dollar=True)
    if not isinstance(node, Mapping) or not node.entries:
        reader.refuse(node, "expected a mapping of expectations, such as 'exit_code: 0' or 'stdout: [welcome]'")
        return None
    checks: list[Check] = []
    requests: list[Request] = []
    commands: list[Command] = []
    within = None
    for key, value in node.entries:
        if is_null(value) and key.text in EXPECT:
            reader.refuse(key, f"{key.text} is empty, which asserts nothing")
        elif key.text == "within":
            within = reader.value(value, parse_timeout)
        else:
            for found in _checks(key, value, reader):
                checks += [found] if isinstance(found, Check) else []
                requests += [found] if isinstance(found, Request) else []
                commands += [found] if isinstance(found, Command) else []
    if within and not any(check.about[0] in LIVE for check in checks):
        reader.refuse(node, f"within waits for {', '.join(LIVE)}, and none of them is expected")
    if within is None and any(check.about[0] in RUNNING for check in checks):
        longest = max((command.timeout for command in commands if command.timeout), default=0.0)
        within = PATIENCE if longest <= PATIENCE else PATIENCE + longest
    return Expect(checks=tuple(checks), within=within, requests=tuple(requests), commands=tuple(commands))


def _checks(key: Scalar, node: Node, reader: Reader) -> Iterator[Check | Request | Command]:
    if key.text in PLAIN:
        yield from checked(node, (key.text,), read_matcher(node, PLAIN[key.text], reader))
    elif key.text in OUTPUT:
        yield from _text(node, (key.text,), reader)
    elif key.text == "files":
        yield from _files(node, reader)
    elif key.text == "changes":
        yield from _changes(node, reader)
    elif key.text == "metadata":
        yield from read_metadata(node, reader)
    elif key.text in RUNNING:
        from mydocker.specs.expect import inside, running

        readers: dict[str, Callable[[Node, Reader], Iterator[Check | Request | Command]]]
        readers = {"ports": running.read_ports, "process": running.read_process, "http": running.read_http}
        readers |= {"health": inside.read_health, "exec": inside.read_exec}
        yield from readers[key.text](node, reader)
    else:
        reader.refuse(key, unknown_keyword(key.text, EXPECT))


def _text(node: Node, subject: tuple[str, ...], reader: Reader) -> Iterator[Check]:
    for item, matcher in read_texts(node, reader):
        yield from checked(item, subject, matcher)


def _files(node: Node, reader: Reader) -> Iterator[Check]:
    if not isinstance(node, Sequence) or not node.items:
        reader.refuse(node, "expected a list of files, each with a path and what is expected of it")
        return
    for item in node.items:
        if isinstance(item, Mapping):
            yield from _file(item, reader)
        else:
            reader.refuse(item, "expected a mapping, such as {path: /etc/app.conf, mode: '0644'}")


def _file(node: Mapping, reader: Reader) -> Iterator[Check]:
    """The first check is that the file exists; every other check of the file implies it."""
    members = reader.members(node, FILE, unknown=unknown_keyword)
    path = reader.value(members["path"], _path) if "path" in members else None
    if not path:
        if "path" not in members:
            reader.refuse(node, "a file needs its path")
        return
    exists = reader.value(members["exists"], switch) if "exists" in members else True
    yield from checked(
        members.get("exists", members["path"]), ("files", path, "exists"), Matcher(op="equal", want=exists)
    )
    for name in FILE:
        if name not in members or name in ("path", "exists"):
            continue
        if not exists:
            reader.refuse(members[name], f"{name} of a file that is not to exist")
        elif name == "contents":
            yield from _text(members[name], ("files", path, name), reader)
        elif name == "mode" and isinstance(members[name], Mapping):
            yield from checked(members[name], ("files", path, name), read_matcher(members[name], "text", reader))
        elif name == "size":
            yield from checked(members[name], ("files", path, name), read_matcher(members[name], "number", reader))
        else:
            value = reader.value(members[name], _FILE_WORDS[name])
            if value is not None:
                op = "called" if name in ("owner", "group") else "equal"
                yield from checked(members[name], ("files", path, name), Matcher(op=op, want=value))


def _changes(node: Node, reader: Reader) -> Iterator[Check]:
    """Read checks of what the container wrote. `only: []` is no empty assertion: nothing may have changed."""
    if not isinstance(node, Mapping) or not node.entries:
        reader.refuse(node, f"expected a mapping with {', '.join(CHANGES)}: patterns such as /tmp/**")
        return
    for name, value in reader.members(node, CHANGES, unknown=unknown_keyword).items():
        if not isinstance(value, Sequence) or (not value.items and name != "only"):
            reader.refuse(value, "expected a list of patterns such as /tmp/**")
            continue
        globs = tuple(reader.value(item, _absolute) for item in value.items)
        yield from checked(value, ("changes",), Matcher(op=CHANGES[name].kind, want=globs))


def _path(text: str, scope: values.Scope) -> str:
    """As `_absolute`; or it begins with a variable of the image, which is for `expand` to replace (assemble.py)."""
    return text if text.startswith("$") else _absolute(text, scope)


def _absolute(text: str, scope: values.Scope) -> str:
    if not text.startswith("/") or "/../" in f"{text}/":
        raise UsageError(f"{text!r}: expected an absolute path in the container, without ..")
    return text


def _type(text: str, scope: values.Scope) -> str:
    if text not in FILE_TYPES:
        raise UsageError(f"{text!r}: expected {', '.join(FILE_TYPES)}")
    return text


def _mode(text: str, scope: values.Scope) -> str:
    """Octal, as chmod takes it; four digits, whatever was written."""
    digits = text.removeprefix("0o")
    if not digits or not set("01234567").issuperset(digits) or len(digits.lstrip("0")) > 4:
        raise UsageError(f'{text!r}: expected a mode in octal, such as "0644"')
    return f"{int(digits, 8):04o}"


def _name_or_number(text: str, scope: values.Scope) -> str:
    if not text or ":" in text:
        raise UsageError(f"{text!r}: expected a name or a number")
    return text


def _sha256(text: str, scope: values.Scope) -> str:
    if len(text) != 64 or not set("0123456789abcdef").issuperset(text.lower()):
        raise UsageError("expected the 64 hexadecimal digits of a SHA-256")
    return text.lower()


_FILE_WORDS: dict[str, Callable[[str, values.Scope], Any]] = {
    "type": _type,
    "mode": _mode,
    "owner": _name_or_number,
    "group": _name_or_number,
    "sha256": _sha256,
}
