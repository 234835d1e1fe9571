"""background/ID/ in the store: a container that stays until it is removed.

    config.json   what it is; a new one is renamed over it
    state         what has become of it: STATE_SIZE bytes that its keeper overwrites in place, also on a full disk
    keeper        locked by its keeper for as long as that lives
    change        locked by whoever starts, removes or renames it
    control       the keeper's socket
    scratch/      its writable layer
    logs/         what it has written
    image         a dangling link: the digest of the image's manifest, which is in use

names/NAME is a link to the container's ID. Locks are flock(2): none outlives its holder, so a container that seems to
run without a keeper was killed with it.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress

from mydocker import kernel
from mydocker.errors import StoreError, UsageError, hint_for
from mydocker.image.store import flock, remove_tree
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import ALIVE, CREATED, EXITED, Container, ContainerConfig, ContainerState
from mydocker.services.owned.owner import has_ended
from mydocker.specs.model import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.image.store import Store

STATE_SIZE = 4096
KILLED = 137
_TEXT_LIMIT = 1024  # letters of each text in a state
_CONFIG = "config.json"


def base(store: Store) -> str:
    """The directory of all of them."""
    return store.background


def create(store: Store, config: ContainerConfig) -> Container:
    """Put a container on disk, and take its name. Raises UsageError if another one has that, StoreError."""
    path = f"{base(store)}/{config.short_id}"
    try:
        os.makedirs(f"{base(store)}/names", mode=0o700, exist_ok=True)
        os.mkdir(path, 0o700)
        try:
            _fill(path, config)
            if config.name:
                take_name(store, config.name, config.id)
        except BaseException:
            remove_tree.remove(path)
            raise
    except OSError as error:
        raise StoreError(f"cannot create {path}: {error.strerror}", hint=hint_for(error)) from None
    return read(path)


def _fill(path: str, config: ContainerConfig) -> None:
    for name in ("scratch", "logs"):
        os.mkdir(f"{path}/{name}", 0o755 if name == "scratch" else 0o700)
    if config.image_digest:
        os.symlink(config.image_digest, f"{path}/image")
    write_state(path, ContainerState())
    write_config(path, config)


def write_config(path: str, config: ContainerConfig) -> None:
    """Write what the container in PATH is. Raises OSError."""
    with open(f"{path}/{_CONFIG}.new", "w", encoding="utf-8") as file:
        file.write(as_json.dumps(config))
    os.rename(f"{path}/{_CONFIG}.new", f"{path}/{_CONFIG}")


def write_state(path: str, state: ContainerState) -> None:
    """Write what has become of the container in PATH, over what was there. Raises OSError, but not for a full disk if
    the file is there already."""
    fields = {name: value[:_TEXT_LIMIT] if isinstance(value, str) else value for name, value in state.as_dict().items()}
    raw = json.dumps(fields).encode()
    if len(raw) > STATE_SIZE:
        raw = json.dumps(fields | {"health_output": "", "addresses": {}, "ports": []}).encode()
    descriptor = os.open(f"{path}/state", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.pwrite(descriptor, raw.ljust(STATE_SIZE), 0)
    finally:
        os.close(descriptor)


def read(path: str) -> Container:
    """The container in directory PATH. Raises StoreError if there is none."""
    try:
        with open(f"{path}/{_CONFIG}", encoding="utf-8") as file:
            config = as_json.loads(file.read(), ContainerConfig, known=_known())
        state = _read_state(path)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise StoreError(f"cannot read {path}: {error}", hint="remove it with 'mydocker rm -f'") from None
    if state.status in ALIVE and not has_keeper(path):
        state = _read_state(path)  # it may have ended in an orderly way meanwhile
    if state.status in ALIVE and not has_keeper(path):
        state = state.replace(status=EXITED, exit_code=KILLED, pid=0, keeper=0, error="its keeper was killed")
    return Container(directory=path, config=config, state=state)


def _read_state(path: str) -> ContainerState:
    with open(f"{path}/state", "rb") as file:
        fields = json.loads(file.read(STATE_SIZE))
    if not isinstance(fields, dict):
        raise ValueError("the state is damaged")
    known = {name: value for name, value in fields.items() if name in ContainerState.fields}
    return ContainerState(**known | {"ports": tuple(known.get("ports", ()))})


def _known() -> dict[str, type]:
    from mydocker import errors, reference
    from mydocker.services import containers
    from mydocker.specs import model
    from mydocker.specs.model import parts
    from mydocker.specs.security import seccomp

    return as_json.kinds_in(errors, reference, containers, model, parts, seccomp)


def listed(store: Store) -> list[Container]:
    """All that are there, the oldest first; those that were to be removed at their end, and were killed with their
    keepers, and those whose owner is gone, are removed now."""
    found = []
    for name in _names(base(store)):
        with suppress(StoreError):
            container = read(f"{base(store)}/{name}")
            if _is_left(container):
                remove(store, container)
            else:
                found.append(container)
    return sorted(found, key=lambda container: container.config.created)


def _is_left(container: Container) -> bool:
    """Whether it is over, and nobody is to find it any more."""
    config, status = container.config, container.state.status
    if config.owner and status in (CREATED, EXITED):
        return has_ended(config.owner)
    return config.auto_remove and status == EXITED


def _names(path: str) -> list[str]:
    try:
        return [name for name in os.listdir(path) if name != "names" and not name.startswith(".")]
    except FileNotFoundError:
        return []


def has_keeper(path: str) -> bool:
    """Whether the container in PATH has a keeper."""
    try:
        descriptor = os.open(f"{path}/keeper", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        kernel.lock(descriptor, shared=True, wait=False)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def lock_keeper(path: str) -> int | None:
    """Be the keeper of the container in PATH, until the descriptor is closed; None if it has one."""
    descriptor = os.open(f"{path}/keeper", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    for _ in range(50):  # a reader holds it for a moment, to see whether it is held
        try:
            kernel.lock(descriptor, wait=False)
            return descriptor
        except BlockingIOError:
            import time

            time.sleep(0.01)
    os.close(descriptor)
    return None


@contextmanager
def changing(path: str) -> Iterator[None]:
    """Nobody else starts, removes or renames the container in PATH meanwhile. Raises StoreError if it is gone."""
    try:
        descriptor = os.open(f"{path}/change", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            kernel.lock(descriptor)
            if not os.path.exists(f"{path}/{_CONFIG}"):
                raise StoreError(f"container {os.path.basename(path)} has been removed")
            yield
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise StoreError(f"container {os.path.basename(path)} has been removed") from None


def remove(store: Store, container: Container) -> None:
    """Remove the container from the disk, and let its name go; it has no keeper. Raises StoreError."""
    config = container.config
    try:
        if config.name:
            drop_name(store, config.name, config.id)
        gone = f"{base(store)}/.{config.short_id}"
        os.rename(container.directory, gone)
        remove_tree.remove(gone)
    except FileNotFoundError:
        pass  # somebody else was faster
    except OSError as error:
        raise StoreError(f"cannot remove container {config.title}: {error.strerror}", hint=hint_for(error)) from None


def take_name(store: Store, name: str, container_id: str) -> None:
    """Let NAME mean the container with CONTAINER_ID. Raises UsageError if it means another one."""
    path = f"{base(store)}/names/{name}"
    with _changing_names(store):
        holder = holder_of(store, name)
        if holder and holder != container_id:
            raise UsageError(
                f"the name {name!r} is in use by container {holder[:12]}",
                hint=f"remove that one (mydocker rm {name}), rename it, or choose another name",
            )
        with suppress(FileNotFoundError):
            os.unlink(path)
        os.symlink(container_id, path)


def drop_name(store: Store, name: str, container_id: str) -> None:
    """NAME means nothing any more, if it means the container with CONTAINER_ID."""
    path = f"{base(store)}/names/{name}"
    with _changing_names(store), suppress(OSError):
        if os.readlink(path) == container_id:
            os.unlink(path)


def holder_of(store: Store, name: str) -> str:
    """The ID of the container that has NAME: one in the background, or one that runs; empty if none has."""
    from mydocker.image.store import is_held

    try:
        container_id = os.readlink(f"{base(store)}/names/{name}")
    except OSError:
        return ""
    kept = os.path.exists(f"{base(store)}/{container_id[:12]}/{_CONFIG}")
    return container_id if kept or is_held(f"{store.containers}/{container_id[:12]}") else ""


@contextmanager
def _changing_names(store: Store) -> Iterator[None]:
    descriptor = flock.acquire(f"{base(store)}/names/.lock")
    assert descriptor is not None
    try:
        yield
    finally:
        os.close(descriptor)
