"""Which container is meant: by name, by an ID or the beginning of one. Containers in the background, and those that a
`mydocker run` in the foreground runs."""

from __future__ import annotations

from mydocker.errors import LaunchError, UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import Container, ContainerConfig, directory
from mydocker.services.listing.stored import Foreground, as_listed, foreground
from mydocker.specs.model import ContainerSpec

if TYPE_CHECKING:
    from mydocker.image.store import Store


_SHORT = 12  # digits of an ID


def find(store: Store, text: str) -> Container | Foreground:
    """The container that TEXT means. Raises LaunchError if there is none, UsageError if there are several."""
    if not text:
        raise UsageError("a container's name is empty")
    everything: list[Container | Foreground] = [*directory.listed(store), *foreground(store)]
    return _chosen(text, everything)


def find_kept(store: Store, text: str) -> Container:
    """The same, for what only a container in the background can do."""
    found = find(store, text)
    if isinstance(found, Foreground):
        raise LaunchError(
            f"container {text} runs in the foreground of another command",
            hint="start it with 'mydocker run -d' for this",
        )
    return found


def _chosen(text: str, everything: list[Container | Foreground]) -> Container | Foreground:
    name = text.removeprefix("/")  # as docker inspect writes names
    found = [each for each in everything if name_of(each) == name or id_of(each) == text]
    found = found or [each for each in everything if _begins(id_of(each), text)]
    if not found:
        raise LaunchError(f"no such container: {text}", hint="see 'mydocker ps -a'")
    if len(found) > 1:
        ids = ", ".join(sorted(id_of(each)[:12] for each in found))
        raise UsageError(f"several containers are called {text}", hint=f"use an ID: {ids}")
    return found[0]


def _begins(container_id: str, text: str) -> bool:
    """Whether TEXT is the beginning of CONTAINER_ID, of which maybe only that is known."""
    return container_id.startswith(text) or (len(container_id) == _SHORT and text.startswith(container_id))


def name_of(container: Container | Foreground) -> str:
    return container.name if isinstance(container, Foreground) else container.config.name


def id_of(container: Container | Foreground) -> str:
    return container.id if isinstance(container, Foreground) else container.config.id


def as_container(found: Foreground) -> Container:
    """What is known of a container in the foreground, in the form of one in the background."""
    listed = as_listed(found)
    config = ContainerConfig(**listed.config.as_dict(), spec=ContainerSpec(name=found.name or None))
    return Container(directory=listed.directory, config=config, state=listed.state)
