"""What a container reports while it runs: `health` and `exec` under `expect`."""

from __future__ import annotations

import shlex

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs import values
from mydocker.specs.expect.keywords import EXEC, HEALTH_STATES
from mydocker.specs.expect.matcher import read_matcher, read_texts
from mydocker.specs.expect.synonyms import unknown_keyword
from mydocker.specs.model.expect import Check, Command, Matcher, checked
from mydocker.specs.nodes.node import Mapping, Node, Sequence
from mydocker.specs.nodes.reader import arguments_of
from mydocker.specs.values.duration import parse_timeout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.specs.nodes.reader import Reader

_IMPLIED = {"timed_out": False, "exit_code": 0}  # as of a container
_NAME = 60  # characters of a command that name it in a report


def read_health(node: Node, reader: Reader) -> Iterator[Check]:
    """`healthy` or `unhealthy`."""
    state = reader.value(node, _state)
    if state:
        yield from checked(node, ("health",), Matcher(op="equal", want=state))


def _state(text: str, scope: values.Scope) -> str:
    if text not in HEALTH_STATES:
        raise UsageError(f"{text!r}: expected {' or '.join(HEALTH_STATES)}")
    return text


def read_exec(node: Node, reader: Reader) -> Iterator[Check | Command]:
    """A list of commands, each with what is expected of it."""
    if not isinstance(node, Sequence) or not node.items:
        reader.refuse(node, "expected a list of commands, such as [{command: [app, --version], stdout: ['2.']}]")
        return
    for number, item in enumerate(node.items):
        if isinstance(item, Mapping):
            yield from _command(item, str(number), reader)
        else:
            reader.refuse(item, "expected a mapping, such as {command: [app, --version], exit_code: 0}")


def _command(node: Mapping, number: str, reader: Reader) -> Iterator[Check | Command]:
    members = reader.members(node, EXEC, unknown=unknown_keyword)
    argv = arguments_of(members["command"], reader) if "command" in members else ()
    if not argv or not argv[0]:
        reader.refuse(members.get("command", node), "expected a command, such as [app, --version]")
        return
    timeout = {"timeout": reader.value(members["timeout"], parse_timeout)} if "timeout" in members else {}
    yield Command(argv=argv, **timeout)
    line = shlex.join(argv)
    name = line if len(line) <= _NAME else f"{line[:_NAME]}…"
    for key, usual in _IMPLIED.items():
        if key not in members and (key == "timed_out" or "timed_out" not in members):
            matcher = Matcher(op="equal", want=usual)
            yield Check(origin=node.origin, about=("exec", number, key, name), matcher=matcher, implied=True)
    for key, value in members.items():
        about = ("exec", number, key, name)
        if EXEC[key].kind == "text":
            for item, matcher in read_texts(value, reader):
                yield from checked(item, about, matcher)
        elif key not in ("command", "timeout"):
            yield from checked(value, about, read_matcher(value, EXEC[key].kind, reader))
