"""What a container is bound to: others of its project, with whose end it is stopped (systemd.unit(5), BindsTo).

Its keeper holds a connection to each of theirs, over which nothing is said: it ends with that keeper, whatever ends it.
"""

from __future__ import annotations

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import PROJECT, SERVICE, control, directory

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    from mydocker.image.store import Store
    from mydocker.services.containers import Container, ContainerConfig
    from mydocker.services.containers.connections import Connections


def bind(
    config: ContainerConfig, connections: Connections, *, store: Store, ended: Callable[[str], None]
) -> list[socket.socket]:
    """Watch those that the container with CONFIG is bound to, in the loop of CONNECTIONS: what is to be closed at the
    end. ENDED is called with the name of each that has ended, or does not run."""
    project = config.labels.get(PROJECT)
    watched: list[socket.socket] = []
    for other in directory.listed(store):
        labels = other.config.labels
        if labels.get(PROJECT) != project or labels.get(SERVICE) not in config.bound_to:
            continue
        try:
            connection = control.connect(other.directory)
        except LaunchError:
            ended(other.config.title)
            continue
        watched.append(connection)
        connections.on(connection.fileno(), _once(connections, connection, ended, other.config.title))
    return watched


def bound_to(containers: Iterable[Container], store: Store) -> list[Container]:
    """Those that run and are stopped with one of CONTAINERS, directly or by another one, without CONTAINERS."""
    found = [*containers]
    named = len(found)
    known = {each.config.short_id for each in found}
    alive = [each for each in directory.listed(store) if each.config.bound_to and each.is_alive]
    for container in found:  # which grows
        labels = container.config.labels
        for other in alive:
            is_bound = labels.get(PROJECT) == other.config.labels.get(PROJECT)
            if is_bound and labels.get(SERVICE) in other.config.bound_to and other.config.short_id not in known:
                known.add(other.config.short_id)
                found.append(other)
    return found[named:]


def _once(
    connections: Connections, connection: socket.socket, ended: Callable[[str], None], name: str
) -> Callable[[], None]:
    def act() -> None:
        connections.forget(connection.fileno())
        ended(name)

    return act
