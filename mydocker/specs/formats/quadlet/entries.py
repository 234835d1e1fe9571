"""Entries, (key of a spec file, node), become one document: each key once."""

from __future__ import annotations

from functools import partial

from mydocker.errors import MydockerError
from mydocker.record import TYPE_CHECKING
from mydocker.specs.fields import FIELDS
from mydocker.specs.nodes.node import Mapping, Scalar, list_at
from mydocker.specs.values.duration import parse_duration
from mydocker.specs.values.quantity import parse_cpus, parse_memory, parse_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mydocker.specs.nodes.node import Node
    from mydocker.specs.nodes.unit_file import Setting

    Entry = tuple[str, Node]
    Entries = list[tuple[Setting | None, Entry]]  # and the setting that says so; None: no setting does
    Found = tuple[Setting | None, Node]

_LISTED = frozenset(
    row.key
    for row in FIELDS
    if row.repeatable and (row.flags or row.key == "secrets") and row.key not in ("networks", "logging", "blkio_config")
)


def joined(entries: Entries, top: Node) -> Mapping:
    """One entry for each key: the items of what is a list, the members of what is a mapping, the least of what both
    Podman and systemd limit, else the last. TOP: where what no setting says is."""
    return Mapping(line=1, column=1, entries=tuple(_pairs(entries, top)))


def _pairs(entries: Entries, top: Node) -> Iterator[tuple[Scalar, Node]]:
    nodes: dict[str, list[Found]] = {}
    for setting, (key, node) in entries:
        nodes.setdefault(key, []).append((setting, node))
    for key, found in nodes.items():
        setting, value = _LEAST[key](found) if key in _LEAST else found[-1]
        node = setting.key if setting else top
        if key in _LISTED:
            value = list_at(found[0][1], [each for _, each in found])
        elif isinstance(value, Mapping):
            value = value.replace(entries=tuple(entry for _, each in found for entry in getattr(each, "entries", ())))
        yield Scalar(**node.position, text=key, plain=True), value


def _least(result: list[Found], parse: Callable[[str], float | None]) -> Found:
    """Of what Podman limits, and what systemd limits, what is less; None and what cannot be read are no limit."""
    lasts = {setting.section if setting else "": (setting, node) for setting, node in result}

    def amount(each: Found) -> float:
        try:
            value = parse(each[1].text.replace("$$", "$")) if isinstance(each[1], Scalar) else None
        except MydockerError:  # which the loader reports when it reads this
            return -1.0
        return float("inf") if value is None else value

    return min(lasts.values(), key=amount)


_LEAST: dict[str, Callable[[list[Found]], Found]] = {
    "mem_limit": partial(_least, parse=parse_memory),
    "pids_limit": partial(_least, parse=parse_processes),
    "cpus": partial(_least, parse=parse_cpus),
    "stop_grace_period": partial(_least, parse=parse_duration),
}
