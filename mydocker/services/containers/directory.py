"""background/ID/: a container that stays until it is removed.

    config.json   what it is; a new one is renamed over it
    state         what has become of it: STATE_SIZE bytes that its keeper overwrites in place, also on a full disk
    keeper        locked by its keeper for as long as that lives
    change        locked by whoever starts, removes or renames it
    control       the keeper's socket
    scratch/      its writable layer
    logs/         what it has written
    image         a dangling link: the digest of the image's manifest, which is in use

names/NAME is a link to the container's ID, and names/.ID is locked by a command that runs that one in the foreground.
A directory .ID is on its way here or away, and is locked itself meanwhile. Locks are flock(2): none outlives its
holder, so a container that seems to run without a keeper was killed with it.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress

from mydocker import kernel
from mydocker.errors import StoreError, UsageError, hint_for
from mydocker.image.store import flock, remove_tree
from mydocker.kernel import start_time
from mydocker.record import TYPE_CHECKING, Record
from mydocker.services.containers import Container, ContainerConfig, ContainerState, Listed
from mydocker.services.listing import stored
from mydocker.services.listing.stored import CONFIG, STATE_SIZE, boot, has_keeper, names_in
from mydocker.specs import as_json
from mydocker.specs.model import ContainerSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from mydocker.image.store import Store

_TEXT_LIMITS = (1024, 256, 64, 0)  # letters of each text in a state: the first that fits


def create(store: Store, config: ContainerConfig) -> Container:
    """Put a container on disk, and take its name. Raises UsageError if another one has that, StoreError."""
    path, staging = f"{store.background}/{config.short_id}", f"{store.background}/.{config.short_id}"
    try:
        make_private(store)
        with _made(store, staging):
            _fill(staging, config)
            with _changing_names(store):
                if config.name:
                    _link_name(store, config.name, config.id)
                os.rename(staging, path)
    except OSError as error:
        raise StoreError(f"cannot create {path}: {error.strerror}", hint=hint_for(error)) from None
    return read(path)


@contextmanager
def _made(store: Store, path: str) -> Iterator[None]:
    """A new directory, which is gone afterwards unless it has been renamed; with those that were left behind."""
    with _changing_names(store):
        reclaim(store)
        os.mkdir(path, 0o700)
        lock = _lock_directory(path)
    try:
        yield
    finally:
        if os.path.exists(path):
            remove_tree.remove(path)
        if lock is not None:
            os.close(lock)


def reclaim(store: Store) -> None:
    """Remove the directories that killed commands have left behind."""
    for name in os.listdir(store.background):
        lock = _lock_directory(f"{store.background}/{name}") if name.startswith(".") else None
        if lock is not None:
            with suppress(OSError):
                remove_tree.remove(f"{store.background}/{name}")
            os.close(lock)


def _lock_directory(path: str) -> int | None:
    """A descriptor that holds the lock of directory PATH; None if there is no such directory, or it is locked."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        kernel.lock(descriptor, wait=False)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _fill(path: str, config: ContainerConfig) -> None:
    for name in ("scratch", "logs"):
        os.mkdir(f"{path}/{name}", 0o755 if name == "scratch" else 0o700)
    if config.image_digest:
        os.symlink(config.image_digest, f"{path}/image")
    write_state(path, ContainerState())
    write_config(path, config)


def write_config(path: str, config: ContainerConfig) -> None:
    """Write what the container in PATH is. Raises OSError."""
    with open(f"{path}/{CONFIG}.new", "w", encoding="utf-8") as file:
        file.write(as_json.dumps(config))
    os.rename(f"{path}/{CONFIG}.new", f"{path}/{CONFIG}")


def write_state(path: str, state: ContainerState) -> None:
    """Write what has become of the container in PATH, over what was there. Raises OSError, but not for a full disk if
    the file is there already."""
    raw = _written(state)
    descriptor = os.open(f"{path}/state", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.pwrite(descriptor, raw.ljust(STATE_SIZE), 0)
    finally:
        os.close(descriptor)


def _written(state: ContainerState) -> bytes:
    """STATE as JSON that fits: the longest texts that do, and without its addresses and ports if nothing else helps."""
    fields = state.as_dict()
    for limit in _TEXT_LIMITS:
        short = {name: value[:limit] if isinstance(value, str) else value for name, value in fields.items()}
        short |= {"status": state.status, "health": state.health}
        if len(raw := json.dumps(short).encode()) <= STATE_SIZE:
            return raw
    return json.dumps(short | {"addresses": {}, "last_addresses": {}, "ports": []}).encode()


def read(path: str) -> Container:
    """The container in directory PATH. Raises StoreError if there is none."""
    return _read(path, _known())


def _read(path: str, known: Mapping[str, type[Record]]) -> Container:
    config, state = stored.read(path, lambda text: as_json.loads(text, ContainerConfig, known=known))
    return Container(directory=path, config=config, state=state)


def identity(pid: int, *, by_init: bool) -> dict[str, Any]:
    """The fields of a state that say which process is the container's first, PID; BY_INIT: one of mydocker's, which
    ends when its keeper does, after all others."""
    try:
        return {"pid": pid, "process_start": 0 if by_init else start_time(pid), "boot": boot()}
    except OSError:  # it has just ended
        return {"pid": pid, "process_start": 0, "boot": ""}


def _known() -> dict[str, type]:
    from mydocker import errors, reference
    from mydocker.services import containers
    from mydocker.specs import model
    from mydocker.specs.model import parts
    from mydocker.specs.security import seccomp

    return as_json.kinds_in(errors, reference, containers, model, parts, seccomp)


def listed(store: Store) -> list[Container]:
    """All that are there, the oldest first; those that were to be removed at their end, and were killed with their
    keepers, and those whose owner is gone, are removed now. One that cannot be read is dead."""
    known = _known()
    there, left, dead = stored.scan(store, lambda path: _read(path, known))
    remove_left(store, left)
    there += [_without_spec(each) for each in dead]
    return sorted(there, key=lambda container: container.config.created)


def _without_spec(dead: Listed) -> Container:
    config = ContainerConfig(**dead.config.as_dict(), spec=ContainerSpec(name=dead.config.name or None))
    return Container(directory=dead.directory, config=config, state=dead.state)


def remove_left(store: Store, left: Iterable[Listed]) -> None:
    """Remove those of LEFT, of `stored.scan`, that are not being restarted."""
    for container in left:
        _remove_ended(store, container)


def _remove_ended(store: Store, container: Listed) -> None:
    """Unless it is being restarted."""
    with suppress(StoreError, BlockingIOError), changing(container.directory, wait=False):
        if not has_keeper(container.directory):
            remove(store, container)


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
def changing(path: str, *, wait: bool = True) -> Iterator[None]:
    """Nobody else starts, removes or renames the container in PATH meanwhile. Raises StoreError if it is gone, and
    BlockingIOError if somebody does it now, and this is not to WAIT."""
    gone = StoreError(f"container {os.path.basename(path)} has been removed")
    try:
        descriptor = os.open(f"{path}/change", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except (FileNotFoundError, NotADirectoryError):
        raise gone from None
    except OSError as error:
        raise StoreError(f"cannot change {path}: {error.strerror}", hint=hint_for(error)) from None
    try:
        kernel.lock(descriptor, wait=wait)
        if not _is_at(descriptor, f"{path}/change"):
            raise gone
        yield
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except OSError:
        return False


def remove(store: Store, container: Listed) -> None:
    """Remove the container from the disk, and let its name go; it has no keeper. Raises StoreError."""
    config = container.config
    gone = f"{store.background}/.{os.path.basename(container.directory)}"
    try:
        lock = os.open(container.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            kernel.lock(lock)
            os.rename(container.directory, gone)
            if config.name:
                drop_name(store, config.name, config.id)
            remove_tree.remove(gone)
        finally:
            os.close(lock)
    except FileNotFoundError:
        pass  # somebody else was faster
    except OSError as error:
        raise StoreError(f"cannot remove container {config.title}: {error.strerror}", hint=hint_for(error)) from None


def make_private(store: Store) -> None:
    """Make the directories of all containers, and of their names, closed to other users. Raises OSError."""
    store.prepare_containers()
    for path in (store.background, store.names):
        os.makedirs(path, mode=0o700, exist_ok=True)  # the mode is for the last one alone


def take_name(store: Store, name: str, container_id: str) -> None:
    """Let NAME mean the container with CONTAINER_ID. Raises UsageError if it means another one, OSError."""
    with _changing_names(store):
        _link_name(store, name, container_id)


def _link_name(store: Store, name: str, container_id: str) -> None:
    """Take NAME, and remove those that commands have left that were killed. The caller has locked the names."""
    path = f"{store.names}/{name}"
    refuse_held(store, name, but=container_id)
    for each in names_in(store.names):
        if each == name or not holder_of(store, each):
            os.unlink(f"{store.names}/{each}")
    os.symlink(container_id, path)


def refuse_held(store: Store, name: str, *, but: str = "") -> None:
    """Raise UsageError if a container has NAME, other than the one with the ID BUT."""
    holder = holder_of(store, name)
    if holder and holder != but:
        raise UsageError(
            f"the name {name!r} is in use by container {holder[:12]}",
            hint=f"remove that one (mydocker rm {name}), rename it, or choose another name",
        )


@contextmanager
def reserving(store: Store, name: str, container_id: str) -> Iterator[None]:
    """For the length of the `with`, NAME means the container with CONTAINER_ID, which has no directory here. Raises
    UsageError if another one has it, OSError."""
    make_private(store)
    hold = f"{store.names}/.{container_id[:12]}"
    with _changing_names(store):
        descriptor = flock.acquire(hold)
        assert descriptor is not None
        try:
            _link_name(store, name, container_id)
        except BaseException:
            flock.release(descriptor, hold)
            raise
    try:
        yield
    finally:
        drop_name(store, name, container_id)
        with suppress(OSError):
            flock.release(descriptor, hold)


def drop_name(store: Store, name: str, container_id: str) -> None:
    """NAME means nothing any more, if it means the container with CONTAINER_ID."""
    path = f"{store.names}/{name}"
    with suppress(OSError), _changing_names(store):
        if os.readlink(path)[:12] == container_id[:12]:
            os.unlink(path)


def holder_of(store: Store, name: str) -> str:
    """The ID of the container that has NAME: one in the background, or one that runs; empty if none has."""
    try:
        container_id = os.readlink(f"{store.names}/{name}")
    except OSError:
        return ""
    kept = os.path.isdir(f"{store.background}/{container_id[:12]}")
    return container_id if kept or _is_locked(f"{store.names}/.{container_id[:12]}") else ""


def _is_locked(path: str) -> bool:
    """Whether somebody holds the lock file PATH; one whose holder was killed is removed."""
    try:
        descriptor = flock.acquire(path, wait=False) if os.path.lexists(path) else None
    except OSError:
        return False
    if descriptor is None:
        return os.path.lexists(path)
    flock.release(descriptor, path)
    return False


@contextmanager
def _changing_names(store: Store) -> Iterator[None]:
    descriptor = flock.acquire(f"{store.names}/.lock")
    assert descriptor is not None
    try:
        yield
    finally:
        os.close(descriptor)
