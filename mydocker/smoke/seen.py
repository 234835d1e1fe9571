"""What was seen of a container while it ran, its ports, processes and answers, as values to compare and as words."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.smoke.decisive import decisive_lines
from mydocker.smoke.matching import describe, shown
from mydocker.spec.expectwords import STATES

if TYPE_CHECKING:
    from typing import Any

    from mydocker.smoke.case import Finding
    from mydocker.spec.expect import Check

LISTED = 10  # names, at most


def seen(check: Check, finding: Finding) -> tuple[Any, str]:
    """(what CHECK compares, "") or (None, why there is nothing to compare)."""
    kind, name, attribute = check.about[:3]
    facts = finding.facts
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
    return facts[attribute], "more than is looked at" if cut else ""


def _nothing(finding: Finding) -> str:
    return "the container has ended" if finding.outcome else "nothing was seen yet"


def _addresses(ports: dict[str, list[str]], name: str) -> list[str]:
    """Where NAME is listened on; `tcp` is either version of the Internet Protocol."""
    protocol, _, number = name.partition(":")
    other = [] if protocol.endswith("6") else ports.get(f"{protocol}6:{number}", [])
    return ports.get(name, []) + other


def seen_name(about: tuple[str, ...]) -> str:
    """What a check is about, to people."""
    kind, name, attribute = about[:3]
    if attribute in STATES.get(kind, ()):
        return name if kind == "ports" else f"process {name}"
    return f"{attribute} of {name}"


def seen_expected(check: Check) -> str:
    """What is wanted, in words."""
    kind, _, attribute = check.about[:3]
    if kind in STATES and attribute in STATES[kind] and check.matcher.op == "equal":
        yes, no = STATES[kind]
        return yes if check.matcher.want else no
    return describe(check.matcher)


def seen_actual(check: Check, value: Any, finding: Finding) -> str:
    """What there was instead."""
    kind, name, attribute = check.about[:3]
    if kind == "http":
        return decisive_lines(check.matcher, value) if attribute in ("headers", "body") else shown(value)
    if kind == "process":
        others = sorted({names[0] for names in finding.facts["processes"]})
        return "running" if value else f"absent; running: {_listed(others)}"
    if attribute == "ip":
        return shown(value)
    if value:
        return f"listening on {_listed(_addresses(finding.facts['ports'], name))}"
    return f"closed; listening: {_listed(sorted(finding.facts['ports']))}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return (", ".join(names[:LISTED]) or "nothing") + more
