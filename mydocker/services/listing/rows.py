"""A row of `ps`, as far as what every listing reads has it: see `described.row` for the rest."""

from __future__ import annotations

import time

from mydocker.errors import printable
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import CREATED, DEAD, EXITED, PAUSED, RESTARTING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mydocker.services.containers import ContainerState, Listed

_UNITS = ((8760, "year"), (720, "month"), (168, "week"), (24, "day"))  # in hours
_COMMAND = 20  # letters
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@%+=:,./-_")  # what no shell changes


def brief(container: Listed, names: Iterable[str] = (), *, trunc: bool = True) -> dict[str, str]:
    """The fields NAMES of CONTAINER, by default all of FIELDS."""
    return {name: FIELDS[name](container, trunc) for name in names or FIELDS}


def _command(container: Listed, trunc: bool) -> str:
    command = printable(_joined(container.config.command))
    return f'"{command[: _COMMAND - 1]}…"' if trunc and len(command) > _COMMAND else f'"{command}"'


def _created(container: Listed, _: bool) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(container.config.created))


def _labels(container: Listed, _: bool) -> str:
    return printable(",".join(f"{key}={value}" for key, value in sorted(container.config.labels.items())))


# those of `docker ps --format` that take no look at the spec, or at networks; each is made of a container, and of
# whether to shorten it
FIELDS: dict[str, Callable[[Listed, bool], str]] = {
    "ID": lambda container, trunc: container.config.short_id if trunc else container.config.id,
    "Image": lambda container, _: printable(container.config.image),
    "Command": _command,
    "CreatedAt": _created,
    "RunningFor": lambda container, _: f"{ago(time.time() - container.config.created)} ago",
    "Status": lambda container, _: status(container.state),
    "State": lambda container, _: container.state.status,
    "Ports": lambda container, _: ports(container),
    "Names": lambda container, _: container.config.title,
    "Labels": _labels,
}


def _joined(words: Sequence[str]) -> str:
    """As shlex.join, whose import is left out where no word needs quotes."""
    if all(word and _PLAIN.issuperset(word) for word in words):
        return " ".join(words)
    import shlex

    return shlex.join(words)


def ago(seconds: float) -> str:
    """How long that is, as Docker's commands write it (go-units, HumanDuration)."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if seconds < 60:
        count = int(seconds)
        return "Less than a second" if count < 1 else f"{count} second{'s' * (count > 1)}"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    unit, name = next(each for each in _UNITS if hours >= 2 * each[0])
    return f"{hours // unit} {name}s"


def decimal(count: float) -> str:
    """COUNT bytes as Docker's commands write them, 1.99MB."""
    return scaled(count, 1000, ("B", "kB", "MB", "GB", "TB", "PB"), 3)


def scaled(count: float, base: int, units: Sequence[str], digits: int) -> str:
    """COUNT in the largest of UNITS, each of BASE times the one before, that it has one of (go-units)."""
    for unit in units[:-1]:
        if count < base:
            return f"{count:.{digits}g}{unit}"
        count /= base
    return f"{count:.{digits}g}{units[-1]}"


def status(state: ContainerState) -> str:
    """The state in words."""
    if state.status == CREATED:
        return "Created"
    if state.status == DEAD:
        return "Dead"
    if state.status == EXITED:
        since = f" {ago(time.time() - state.finished)} ago" if state.finished else ""
        return f"Exited ({state.exit_code}){since}"
    if state.status == RESTARTING:
        return f"Restarting ({state.exit_code}) {ago(time.time() - state.finished)} ago"
    health = {"": "", "starting": " (health: starting)"}.get(state.health, f" ({state.health})")
    paused = " (Paused)" if state.status == PAUSED else ""
    return f"Up {ago(time.time() - state.started)}{health}{paused}"


def ports(container: Listed) -> str:
    """The published ports, and those that are only exposed."""
    return ", ".join(f"{host}:{number}->{target}" if host else target for host, number, target in places(container))


def places(container: Listed) -> list[tuple[str, str, str]]:
    """(address, number, port) of each place on the host where a port is published; without the first two, of a port
    that is only exposed."""
    found, published = [], set()
    for text in container.state.ports:
        place, _, target = text.rpartition(":")
        published.add(target)
        host, _, number = place.rpartition(":")
        found += [(each, number, target) for each in ((host,) if host else ("0.0.0.0", "[::]"))]
    return found + [("", "", port) for port in container.config.ports if port not in published]
