"""What was observed of a container while it ran (its ports, processes and HTTP responses), as values and as text."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.expect.keywords import STATES
from mydocker.verdict.excerpt import excerpt, last_lines
from mydocker.verdict.match import describe, shown

if TYPE_CHECKING:
    from typing import Any

    from mydocker.specs.model.expect import Check
    from mydocker.verdict.finding import Finding

LISTED = 10  # names, at most


def live_value(check: Check, finding: Finding) -> tuple[Any, str]:
    """(what CHECK compares, "") or (None, why there is nothing to compare)."""
    facts = finding.facts
    if check.about[0] == "health":
        return facts.get("health"), "" if "health" in facts else _nothing(finding)
    kind, name, attribute = check.about[:3]
    if kind == "exec":
        return _executed(facts.get(f"exec {name}"), int(name), attribute, finding)
    if kind == "http":
        return _answer(facts.get(f"http {name}"), attribute, finding)
    found = facts.get("ports" if kind == "ports" else "processes")
    if found is None:
        return None, facts.get("running problem") or _nothing(finding)
    if kind == "process":
        return any(name in names for names in found), ""
    addresses = _addresses(found, name)
    return (addresses if attribute == "ip" else bool(addresses)), ""


def _answer(facts: dict[str, Any] | None, attribute: str, finding: Finding) -> tuple[Any, str]:
    if facts is None:
        return None, _nothing(finding)
    if attribute not in facts:
        return None, facts["problem"]
    cut = attribute == "body" and facts["cut"]
    return facts[attribute], "more than is read" if cut else ""


def _executed(facts: dict[str, Any] | None, number: int, attribute: str, finding: Finding) -> tuple[Any, str]:
    """The value of a check of a command that was executed in the container."""
    if facts is None:
        waits = ", or not begun: each command waits until the one before it is as expected" if number > 0 else ""
        return None, "the container has ended" if finding.outcome else f"it has not ended{waits}"
    if "problem" in facts:
        return None, facts["problem"]
    values = {**facts, "duration": facts["seconds"], "timed_out": facts["exit_code"] is None}
    if attribute == "exit_code" and values["timed_out"]:
        return None, "it did not end before its timeout"
    return values[attribute], "more output than is kept" if attribute in facts["cut"] else ""


def _nothing(finding: Finding) -> str:
    return "the container has ended" if finding.outcome else "nothing has been observed yet"


def _addresses(ports: dict[str, list[str]], name: str) -> list[str]:
    """The addresses on which NAME is listening; `tcp` is either version of the Internet Protocol."""
    protocol, _, number = name.partition(":")
    other = [] if protocol.endswith("6") else ports.get(f"{protocol}6:{number}", [])
    return ports.get(name, []) + other


def live_name(subject: tuple[str, ...]) -> str:
    """The name of a subject in reports."""
    if subject[0] == "health":
        return "health"
    if subject[0] == "exec":
        return f"{subject[2]} of {subject[3]}"
    kind, name, attribute = subject[:3]
    if attribute in STATES.get(kind, ()):
        return name if kind == "ports" else f"process {name}"
    return f"{attribute} of {name}"


def live_expected(check: Check) -> str:
    """The expected value, in words."""
    if check.about[0] == "health":
        return str(check.matcher.want)
    kind, _, attribute = check.about[:3]
    if kind == "exec" and attribute == "timed_out":
        return "a timeout" if check.matcher.want else "an end before its timeout"
    if kind == "exec" and attribute == "duration":
        return f"{describe(check.matcher)} seconds"
    if kind in STATES and attribute in STATES[kind] and check.matcher.op == "equal":
        yes, no = STATES[kind]
        return yes if check.matcher.want else no
    return describe(check.matcher)


def live_actual(check: Check, value: Any, finding: Finding) -> str:
    """The actual value, in words."""
    if check.about[0] == "health":
        output = finding.facts.get("health said")
        return f"{value}: {output}" if output else str(value)
    kind, name, attribute = check.about[:3]
    if kind == "exec":
        return _came_of(check, value, finding.facts[f"exec {name}"])
    if kind == "http":
        return excerpt(check.matcher, value) if attribute in ("headers", "body") else shown(value)
    if kind == "process":
        others = sorted({names[0] for names in finding.facts["processes"]})
        return "running" if value else f"absent; running: {_listed(others)}"
    if attribute == "ip":
        return shown(value)
    if value:
        return f"listening on {_listed(_addresses(finding.facts['ports'], name))}"
    return f"closed; listening: {_listed(sorted(finding.facts['ports']))}"


def _came_of(check: Check, value: Any, facts: dict[str, Any]) -> str:
    """The actual value for a command, with its output where that is not what is compared."""
    attribute = check.about[2]
    if attribute in ("stdout", "stderr"):
        return excerpt(check.matcher, value)
    if attribute == "duration":
        return f"{value:.3f} seconds"
    ended = f"it was killed after {facts['seconds']:.2f} s" if value else "it ended by itself"
    first = ended if attribute == "timed_out" else str(value)
    wrote = [f"{name}: {last_lines(facts[name])}" for name in ("stdout", "stderr") if facts[name].strip()]
    return "\n".join([first, *wrote])


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return (", ".join(names[:LISTED]) or "nothing") + more
