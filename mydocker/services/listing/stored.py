"""The containers in the store, read to be listed: what directory.py has written, without the classes of a spec.

It writes nothing; what a keeper that was killed has left running is killed.
"""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.errors import StoreError
from mydocker.image.store_root import is_held
from mydocker.kernel import start_time
from mydocker.kernel.signals import send, signal
from mydocker.number import is_whole_number
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.inspect.running import read_link
from mydocker.services.containers import ALIVE, CREATED, DEAD, EXITED, RUNNING, ContainerState, Listed, Summary
from mydocker.specs import as_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from mydocker.image.store_root import StoreRoot

    Kind = TypeVar("Kind", bound=Listed)
    Config = TypeVar("Config", bound=Summary)

STATE_SIZE = 1 << 14
_USUAL_SIZE = 1 << 11  # bytes that most states fit into; the rest of the file is blanks
KILLED = 137
CONFIG = "config.json"
_DAMAGED = "remove it with 'mydocker rm -f'"
_DEFAULTS = tuple((name, getattr(ContainerState, name)) for name in ContainerState.fields)
_TORN = 5  # times that a state is read which is being written meanwhile


class Foreground(Record):
    """A container that a command runs in the foreground, as its run directory describes it."""

    run_dir: str
    id: str  # its first twelve digits
    name: str
    pid: int
    image_digest: str
    started: float


def summary(path: str) -> Listed:
    """The container in directory PATH. Raises StoreError if there is none."""
    config, state = read(path, lambda text: as_json.some_of(text, Summary))
    return Listed(directory=path, config=config, state=state)


def read(path: str, parse: Callable[[str], Config]) -> tuple[Config, ContainerState]:
    """What PARSE makes of the configuration of the container in PATH, and its state. Raises StoreError."""
    try:
        config = parse(_content(f"{path}/{CONFIG}").decode())
        state = _read_state(path)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}", hint=_DAMAGED) from None
    except ValueError as error:
        raise StoreError(f"cannot read {path}: {error}", hint=_DAMAGED) from None
    if state.status in ALIVE and not has_keeper(path):
        state = _read_state(path)  # it may have ended in an orderly way meanwhile
        if state.status in ALIVE and not has_keeper(path):
            _end_orphan(state)
            state = state.replace(status=EXITED, exit_code=KILLED, error="its keeper was killed", **_NOTHING)
    return config, state


def boot() -> str:
    """The kernel's name for this boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _end_orphan(state: ContainerState) -> None:
    """Kill the container whose keeper was killed: the cleanup process does that, unless it was killed as well."""
    try:
        if not state.process_start or state.boot != boot():
            return
        pidfd = os.pidfd_open(state.pid)
        try:
            if start_time(state.pid) == state.process_start:
                send(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)
    except OSError:  # it has ended
        pass


_NOTHING: dict[str, Any] = {
    "pid": 0,
    "process_start": 0,
    "keeper": 0,
    "addresses": {},
    "ports": (),
    "health": "",
    "failing": 0,
}


def _read_state(path: str) -> ContainerState:
    for size in (_USUAL_SIZE, *[STATE_SIZE] * _TORN):
        raw = _content(f"{path}/state", size)
        try:
            return _state_in(as_json.parse(raw[: raw.rfind(b"}") + 1].decode()))  # blanks follow
        except (ValueError, RecursionError):  # it is longer, or is being written
            pass
    raise ValueError("its state is damaged")


def _content(path: str, most: int | None = None) -> bytes:
    """What is in the file PATH, up to MOST bytes. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, os.fstat(descriptor).st_size if most is None else most)
    finally:
        os.close(descriptor)


def _state_in(fields: object) -> ContainerState:
    """The state that another version of mydocker may have written: what is unknown, or of another type, is left out."""
    if not isinstance(fields, dict):
        raise ValueError("the state is damaged")
    known = {}
    for name, default in _DEFAULTS:
        value = fields.get(name, default)
        known[name] = value if type(value) is type(default) else _converted(value, default)
    return ContainerState(**known)


def _converted(value: Any, default: Any) -> Any:
    """VALUE, as JSON has it, as one of DEFAULT's type; DEFAULT if it is another one."""
    if type(default) is tuple and isinstance(value, list):
        return tuple(value)
    if type(default) in (int, float) and type(value) in (int, float):
        return type(default)(value)
    return default


def scan(store: StoreRoot, read: Callable[[str], Kind]) -> tuple[list[Kind], list[Kind], list[Listed]]:
    """The containers that are there, as READ reads each from its directory; those that were to be removed at their end,
    and were killed with their keepers, and those whose owner is gone; and those that cannot be read."""
    there: list[Kind] = []
    left: list[Kind] = []
    dead: list[Listed] = []
    for name in names_in(store.background):
        path = f"{store.background}/{name}"
        try:
            container = read(path)
        except StoreError as error:
            if os.path.isdir(path) and (found := _dead(store, path, error)):
                dead.append(found)
            continue
        (left if _is_left(container) else there).append(container)
    return there, left, dead


def _dead(store: StoreRoot, path: str, error: StoreError) -> Listed | None:
    """The container in PATH, of which only its directory is known, and its name; None if it has just been removed."""
    id_ = os.path.basename(path)
    name = next((each for each in names_in(store.names) if read_link(store.names, each)[:12] == id_), "")
    try:
        config = Summary(id=id_, name=name, created=os.stat(path).st_mtime, image="")
    except OSError:
        return None
    return Listed(directory=path, config=config, state=ContainerState(status=DEAD, error=error.message))


def _is_left(container: Listed) -> bool:
    """Whether it is over, and nobody is to find it any more."""
    config, status = container.config, container.state.status
    if config.owner and status in (CREATED, EXITED):
        from mydocker.services.owned.owner import is_gone

        return is_gone(config.owner)
    return config.auto_remove and status == EXITED


def names_in(path: str) -> list[str]:
    """The names in directory PATH of containers, or of their names; none if it is not there."""
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


def foreground(store: StoreRoot) -> list[Foreground]:
    """The containers that commands run in the foreground now."""
    found = []
    kept = {*names_in(store.background)}
    for name in names_in(store.containers):
        if name in kept:
            continue
        path = f"{store.containers}/{name}"
        pid = read_link(path, "process")
        if not is_whole_number(pid) or not is_held(path):
            continue
        try:
            started = os.stat(path).st_mtime
        except OSError:
            continue
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


def as_listed(found: Foreground) -> Listed:
    """What is known of a container in the foreground, in the form of one in the background."""
    config = Summary(
        id=found.id,
        name=found.name,
        created=found.started,
        image=found.image_digest,
        image_digest=found.image_digest,
    )
    state = ContainerState(status=RUNNING, pid=found.pid, started=found.started)
    return Listed(directory=found.run_dir, config=config, state=state)
