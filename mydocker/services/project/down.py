"""`mydocker down`: the containers of a project are stopped, in the opposite order of their start, and removed."""

from __future__ import annotations

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import PROJECT, SERVICE, control, directory, stop

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Sequence

    from mydocker.image.store import Store
    from mydocker.services.containers import Container


def containers_of(store: Store, project: str) -> list[Container]:
    """The containers of the project in the background, the oldest first."""
    return [each for each in directory.listed(store) if each.config.labels.get(PROJECT) == project]


def in_order(containers: Iterable[Container], services: Sequence[str]) -> list[list[Container]]:
    """CONTAINERS as they are to be stopped: those of no service of SERVICES first, then those of each service, the last
    one, which may need the others, first."""
    groups: dict[str, list[Container]] = {name: [] for name in reversed(services)}
    others: list[Container] = []
    for each in containers:
        groups.get(each.config.labels.get(SERVICE, ""), others).append(each)
    return [group for group in (others, *groups.values()) if group]


def take_down(
    store: Store, groups: Iterable[Sequence[Container]], *, say: Callable[[str], None], timeout: float | None = None
) -> None:
    """Stop and remove the containers of GROUPS, a group after the other, those of one at the same time, with their
    `pre_stop` before that. TIMEOUT: seconds until one is killed, in place of its own. SAY gets warnings."""
    for group in groups:
        for each in group:
            if each.config.spec.pre_stop and each.is_alive:
                from mydocker.services.project.hooks import before_stop

                before_stop(each, store=store, say=say)
        waiting = [_ask(each, timeout) for each in group]
        for connection in waiting:
            if connection:
                control.receive(connection)  # which comes at its end
                connection.close()
        for each in group:
            stop.remove(store, each, force=True)


def _ask(container: Container, timeout: float | None) -> socket.socket | None:
    """The connection over which the answer comes when CONTAINER has ended; None if it has."""
    try:
        connection = control.connect(container.directory)
    except LaunchError:
        return None
    try:
        control.request(connection, "stop", timeout=timeout)
    except LaunchError:
        connection.close()
        return None
    return connection
