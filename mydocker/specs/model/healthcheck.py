"""Healthcheck: a command that checks whether a container works; reads and writes the key of that name.

The members are Compose's ("Services top-level elements", healthcheck); unset ones are the image's, else Docker's.
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model.parts import Healthcheck
from mydocker.specs.nodes.node import Mapping, Node, Sequence
from mydocker.specs.nodes.reader import switch
from mydocker.specs.values import boolean
from mydocker.specs.values.duration import format_duration, parse_duration

if TYPE_CHECKING:
    from typing import Any

    from mydocker.specs.nodes.reader import Reader
    from mydocker.specs.values import Scope

KINDS = ("NONE", "CMD", "CMD-SHELL")
DURATIONS = ("interval", "timeout", "start_period", "start_interval")
KEYS = ("test", *DURATIONS, "retries", "disable", "on_failure")
ACTIONS = ("none", "kill", "stop", "restart")  # podman-run(1), --health-on-failure
RETRIES_LIMIT = 10_000


def read_healthcheck(node: Node, reader: Reader) -> Healthcheck | None:
    """The value of the key; None if it could not be read."""
    if not isinstance(node, Mapping):
        reader.refuse(node, f"expected a mapping with {', '.join(KEYS)}")
        return None
    members = reader.members(node, KEYS)
    values = {name: reader.value(members[name], _duration) for name in DURATIONS if name in members}
    if "retries" in members:
        values["retries"] = reader.value(members["retries"], _retries)
    if "on_failure" in members:
        values["on_failure"] = reader.value(members["on_failure"], _action)
    if "test" in members:
        values["test"] = _test(members["test"], reader)
    if "disable" in members and reader.value(members["disable"], switch):
        if values.get("test", ("NONE",)) != ("NONE",):
            reader.warn(members["disable"], "the test is not used, as the healthcheck is disabled")
        values["test"] = ("NONE",)
    return Healthcheck(**values)


def _test(node: Node, reader: Reader) -> tuple[str, ...]:
    """A list that begins with its kind; a string is for the shell, and an empty list leaves it to the image."""
    if not isinstance(node, Sequence):
        return ("CMD-SHELL", reader.text(node, expected="a command"))
    words = tuple(reader.text(item) for item in node.items)
    if not words:
        return ()
    if words[0] not in KINDS:
        reader.refuse(node, f"expected a list that begins with {' or '.join(KINDS)}")
    elif words[0] == "CMD" and len(words) < 2:
        reader.refuse(node, "CMD needs a command")
    elif words[0] == "CMD-SHELL" and len(words) < 2:
        reader.refuse(node, "CMD-SHELL needs a command")
    elif words[0] == "CMD-SHELL" and len(words) > 2:  # as Docker has it: sh -c COMMAND NAME ARGUMENT…
        reader.warn(node, "CMD-SHELL takes one text: further ones are its arguments $0, $1, …")
    elif words[0] == "NONE" and len(words) > 1:
        reader.refuse(node, "NONE takes nothing")
    return words


def _duration(text: str, scope: Scope) -> float | None:
    """Seconds; 0 means unset, as for Docker."""
    return parse_duration(text) or None


def _action(text: str, scope: Scope) -> str:
    if text not in ACTIONS:
        raise UsageError(f"{text!r}: expected {', '.join(ACTIONS)}")
    return text if text != "none" else ""


def _retries(text: str, scope: Scope) -> int | None:
    count = whole_number(text, RETRIES_LIMIT)
    if count is None:
        raise UsageError(f"{text!r}: expected a number of retries, at most {RETRIES_LIMIT}")
    return count or None


def parse_member(name: str, text: str, scope: Scope) -> dict[str, Any]:
    """The members that a flag of `docker run` sets: the one that has NAME, to TEXT."""
    if name == "test":
        return {"test": ("CMD-SHELL", text) if text else ()}
    if name == "disable":
        return {"disable": boolean(text, scope)}
    return {name: _retries(text, scope) if name == "retries" else _duration(text, scope)}


def of_members(members: dict[str, Any]) -> Healthcheck:
    """The healthcheck of what flags set."""
    if members.get("disable"):
        return Healthcheck(test=("NONE",))
    return Healthcheck(**{name: value for name, value in members.items() if name != "disable"})


def format_healthcheck(check: Healthcheck) -> dict[str, Any]:
    """The value as a mapping for the key."""
    values = {name: value for name, value in check.as_dict().items() if value not in (None, (), "")}
    return {
        name: [*value] if name == "test" else value if name in ("retries", "on_failure") else format_duration(value)
        for name, value in values.items()
    }
