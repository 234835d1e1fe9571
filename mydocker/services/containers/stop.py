"""Ending containers, and removing them: those in the background through their keepers, those in the foreground by
signals to their first process."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from mydocker.errors import LaunchError, MydockerError, StoreError, UsageError
from mydocker.image.store_root import is_held
from mydocker.kernel.processes import has_ended
from mydocker.kernel.signals import send, signal
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import Container, control, directory
from mydocker.services.containers.find import name_of
from mydocker.services.listing import stored
from mydocker.services.listing.stored import KILLED, Foreground

if TYPE_CHECKING:
    from typing import Any

    from mydocker.image.store import Store

_GRACE = 10.0  # seconds
_TRIES = 5  # to remove what others start again


def stop(
    container: Container | Foreground,
    *,
    number: int | None = None,
    timeout: float | None = None,
    keep: bool = False,
) -> None:
    """Send signal NUMBER, by default the container's stop signal, and kill it after TIMEOUT seconds, by default its
    own; less than 0: never. It is not started again, and with KEEP not removed at its end. Nothing happens to one that
    has ended. Returns at its end."""
    if isinstance(container, Foreground):
        _stop_foreground(container, number or signal.SIGTERM, _GRACE if timeout is None else timeout)
        return
    if not stored.has_keeper(container.directory):
        return
    grace = timeout if timeout is None or timeout >= 0 else float("inf")
    try:
        control.ask_for_end(container.directory, "stop", signal=number, timeout=grace, keep=keep)
    except LaunchError:
        _await_end(container)


def _await_end(container: Container) -> None:
    """A keeper that has ended lets go of its lock a moment before, or after, its socket. Raises LaunchError if it is
    still there."""
    until = time.monotonic() + control.PATIENCE
    while stored.has_keeper(container.directory):
        if time.monotonic() > until:
            raise LaunchError(f"container {container.config.title} is still running")
        time.sleep(0.01)


def _stop_foreground(container: Foreground, number: int, timeout: float) -> None:
    pidfd = _pidfd(container)
    try:
        send(pidfd, number)
        if timeout >= 0 and not has_ended(pidfd, timeout):
            send(pidfd, signal.SIGKILL)
        has_ended(pidfd, None)
    finally:
        os.close(pidfd)


def kill(container: Container | Foreground, number: int) -> None:
    """Send signal NUMBER to the container. SIGKILL returns at its end, as Docker's does, so that it can be removed.
    Raises LaunchError if it does not run, or has not ended ten seconds after SIGKILL."""
    if isinstance(container, Foreground):
        _kill_foreground(container, number)
        return
    if not stored.has_keeper(container.directory):
        raise LaunchError(f"container {container.config.title} is not running")
    control.ask(container.directory, "kill", signal=number)
    if number == signal.SIGKILL:
        try:
            control.ask_for_end(container.directory, "wait", within=_GRACE)
        except TimeoutError:
            raise _survivor(container.config.title) from None
        except LaunchError:
            _await_end(container)


def _kill_foreground(container: Foreground, number: int) -> None:
    pidfd = _pidfd(container)
    try:
        send(pidfd, number)
        if number == signal.SIGKILL and not has_ended(pidfd, _GRACE):
            raise _survivor(container.name or container.id)
    finally:
        os.close(pidfd)


def _survivor(title: str) -> LaunchError:
    return LaunchError(f"container {title} has not ended {_GRACE:g} seconds after SIGKILL")


def wait(container: Container) -> int:
    """Wait until the container has ended, and is not to be started again; its exit code."""
    try:
        answer: dict[str, Any] = control.ask_for_end(container.directory, "wait")
        return int(answer["exit_code"])
    except LaunchError:
        _await_end(container)
    try:
        return directory.read(container.directory).state.exit_code
    except StoreError:
        if os.path.exists(container.directory):
            raise
        return container.state.exit_code if not container.is_alive else KILLED


def remove(store: Store, container: Container | Foreground, *, force: bool = False) -> None:
    """Remove the container with all that it has written; one that runs is killed first with FORCE, and refused
    without."""
    if isinstance(container, Foreground):
        if not force:
            raise UsageError(_running(name_of(container) or container.id), hint="stop it first, or add --force")
        _stop_foreground(container, signal.SIGKILL, -1)
        return
    for _ in range(_TRIES):
        if stored.has_keeper(container.directory):
            if not force:
                raise UsageError(_running(container.config.title), hint="stop it first, or add --force")
            _end(container)
        try:
            with directory.changing(container.directory):
                if not stored.has_keeper(container.directory):
                    directory.remove(store, container)
                    return
        except MydockerError:
            if os.path.exists(container.directory):
                raise
            return
    raise LaunchError(f"container {container.config.title} is started again and again")


def _end(container: Container) -> None:
    """Kill it, with its keeper if that does not answer: the cleanup process does the rest."""
    try:
        stop(container, number=signal.SIGKILL, timeout=0)
    except control.SilentKeeperError:
        with suppress(ProcessLookupError):
            pidfd = os.pidfd_open(container.state.keeper)
            if stored.has_keeper(container.directory) and is_keeper(container.state.keeper):
                send(pidfd, signal.SIGKILL)
                has_ended(pidfd, control.PATIENCE)
            os.close(pidfd)
        _await_end(container)


def is_keeper(pid: int) -> bool:
    """Whether process PID calls itself a keeper."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().startswith(b"mydocker-keeper")
    except OSError:
        return False


def _running(title: str) -> str:
    return f"container {title} is running"


def _pidfd(container: Foreground) -> int:
    try:
        pidfd = os.pidfd_open(container.pid)
    except ProcessLookupError:
        raise LaunchError(f"container {container.name or container.id} is not running") from None
    if not is_held(container.run_dir):  # the number may be another process's by now
        os.close(pidfd)
        raise LaunchError(f"container {container.name or container.id} is not running")
    return pidfd
