"""Restart policies: the text of `--restart` and of the key `restart`, and its mapping, which is that of Compose's
`deploy.restart_policy`, with systemd's limit of starts: `burst` of them within `interval` are the last ones.

The names are Docker's (docker container run, "Restart policies"), the members of the mapping are those of the Compose
Deploy Specification, "restart_policy".
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model.parts import RestartPolicy
from mydocker.specs.nodes.node import Mapping, Node
from mydocker.specs.values.duration import format_duration, parse_duration

if TYPE_CHECKING:
    from typing import Any

    from mydocker.specs.nodes.reader import Reader
    from mydocker.specs.values import Scope

KEYS = ("condition", "max_attempts", "delay", "window", "burst", "interval")
ATTEMPTS_LIMIT = 999_999
NAMES = ("no", "always", "unless-stopped", "on-failure")
_CONDITIONS = {**dict.fromkeys(("none", "no"), "no"), "any": "always", **{name: name for name in NAMES[1:]}}
_EXPECTED = "expected no, always, unless-stopped or on-failure[:N]"


def parse_restart(text: str) -> RestartPolicy | None:
    """The policy; None for `no`, which YAML also writes as `false`, and for empty text, as for Docker."""
    name, colon, count = text.partition(":")
    attempts = whole_number(count, ATTEMPTS_LIMIT) if colon else 0
    if text in ("", "no", "false"):
        return None
    if name in ("always", "unless-stopped") and colon:
        raise UsageError(f"restart {text!r}: only on-failure takes a number of attempts")
    if name not in NAMES[1:] or attempts is None:
        raise UsageError(f"restart {text!r}: {_EXPECTED}")
    return RestartPolicy(name=name, attempts=attempts)


def read_restart(node: Node, reader: Reader) -> RestartPolicy | None:
    """The value of the key: a word, or a mapping."""
    if not isinstance(node, Mapping):
        word: RestartPolicy | None = reader.value(node, lambda text, scope: parse_restart(text))
        return word
    before = len(reader.problems)
    members = reader.members(node, KEYS)
    values: dict[str, Any] = {key: reader.value(value, _PARSERS[key]) for key, value in members.items()}
    name = values.get("condition", "always")
    if len(reader.problems) > before or name == "no":
        return None
    return RestartPolicy(
        name=name,
        attempts=values.get("max_attempts", 0),
        delay=values.get("delay"),
        window=values.get("window"),
        burst=values.get("burst", 0),
        interval=values.get("interval", 0.0),
    )


def format_restart(policy: RestartPolicy) -> str | dict[str, Any]:
    """The value for the key; a word, if that can express it."""
    if word := docker_word(policy):
        return word
    times = {"delay": policy.delay, "window": policy.window}
    attempts: dict[str, Any] = {"max_attempts": policy.attempts} if policy.attempts else {}
    if policy.burst:
        attempts |= {"burst": policy.burst, "interval": format_duration(policy.interval)}
    written = {key: format_duration(value) for key, value in times.items() if value is not None}
    return {"condition": policy.name, **attempts, **written}


def docker_word(policy: RestartPolicy) -> str:
    """The value of Docker's `--restart`; empty if that cannot express POLICY."""
    if policy.delay is not None or policy.window is not None or policy.burst:
        return ""
    if not policy.attempts:
        return policy.name
    return f"{policy.name}:{policy.attempts}" if policy.name == "on-failure" else ""


def _condition(text: str, scope: Scope) -> str:
    if text not in _CONDITIONS:
        raise UsageError(f"{text!r}: expected none, on-failure or any")
    return _CONDITIONS[text]


def _attempts(text: str, scope: Scope) -> int:
    count = whole_number(text, ATTEMPTS_LIMIT)
    if count is None:
        raise UsageError(f"{text!r}: expected a number of attempts, at most {ATTEMPTS_LIMIT}")
    return count


def _time(text: str, scope: Scope) -> float:
    return parse_duration(text)


_PARSERS = {
    "condition": _condition,
    "max_attempts": _attempts,
    "delay": _time,
    "window": _time,
    "burst": _attempts,
    "interval": _time,
}
