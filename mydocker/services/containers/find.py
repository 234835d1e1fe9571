"""Which container is meant: by name, by an ID or the beginning of one. Containers in the background, and those that a
`mydocker run` in the foreground runs."""

from __future__ import annotations

import os

from mydocker.errors import LaunchError, UsageError
from mydocker.number import is_whole_number
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.launch.running import read_link, running
from mydocker.services.containers import RUNNING, Container, ContainerConfig, ContainerState, directory
from mydocker.specs.model import ContainerSpec

if TYPE_CHECKING:
    from mydocker.image.store import Store


_SHORT = 12  # digits of an ID


class Foreground(Record):
    """A container that a command runs in the foreground, as its run directory describes it."""

    run_dir: str
    id: str  # its first twelve digits
    name: str
    pid: int
    image_digest: str
    started: float


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


def foreground(store: Store) -> list[Foreground]:
    """The containers that commands run in the foreground now."""
    found = []
    for path in running(store.containers):
        name, pid = os.path.basename(path), read_link(path, "process")
        if os.path.exists(f"{store.background}/{name}"):
            continue
        try:
            started = os.stat(path).st_mtime
        except OSError:
            continue
        if is_whole_number(pid):
            found.append(
                Foreground(
                    run_dir=path,
                    id=name,
                    name=read_link(path, "name"),
                    pid=int(pid),
                    image_digest=read_link(path, "image"),
                    started=started,
                )
            )
    return found


def as_container(found: Foreground) -> Container:
    """What is known of a container in the foreground, in the form of one in the background."""
    config = ContainerConfig(
        id=found.id,
        name=found.name,
        created=found.started,
        spec=ContainerSpec(name=found.name or None),
        image=found.image_digest,
        image_digest=found.image_digest,
    )
    state = ContainerState(status=RUNNING, pid=found.pid, started=found.started)
    return Container(directory=found.run_dir, config=config, state=state)
