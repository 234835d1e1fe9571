"""Ending containers, and removing them: those in the background through their keepers, those in the foreground by
signals to their first process."""

from __future__ import annotations

import os
import select
import time

from mydocker.errors import LaunchError, MydockerError, UsageError
from mydocker.image.store import is_held
from mydocker.kernel.signals import send, signal
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import Container, control, directory
from mydocker.services.containers.find import Foreground, name_of

if TYPE_CHECKING:
    from typing import Any

    from mydocker.image.store import Store

_GRACE = 10.0  # seconds
_LETTING_GO = 5.0  # seconds between the last answer of a keeper and its end


def stop(container: Container | Foreground, *, number: int | None = None, timeout: float | None = None) -> None:
    """Send signal NUMBER, by default the container's stop signal, and kill it after TIMEOUT seconds, by default its
    own; -1: never. It is not started again. Nothing happens to one that has ended. Returns at its end."""
    if isinstance(container, Foreground):
        _stop_foreground(container, number or signal.SIGTERM, _GRACE if timeout is None else timeout)
        return
    if not directory.has_keeper(container.directory):
        return
    grace = timeout if timeout is None or timeout >= 0 else 1e9
    try:
        control.ask(container.directory, "stop", signal=number, timeout=grace)
    except LaunchError:
        if not _has_let_go(container.directory):
            raise
    _has_let_go(container.directory)


def _has_let_go(path: str) -> bool:
    """Whether the container in PATH has no keeper any more: one that has answered, or closed its socket, is about to
    end, but the kernel closes what it has open in an order of its own."""
    until = time.monotonic() + _LETTING_GO
    while directory.has_keeper(path):
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def _stop_foreground(container: Foreground, number: int, timeout: float) -> None:
    pidfd = _pidfd(container)
    try:
        send(pidfd, number)
        if timeout >= 0 and not _has_ended(pidfd, timeout):
            send(pidfd, signal.SIGKILL)
        _has_ended(pidfd, None)
    finally:
        os.close(pidfd)


def kill(container: Container | Foreground, number: int) -> None:
    """Send signal NUMBER to the container. Raises LaunchError if it does not run."""
    if isinstance(container, Foreground):
        pidfd = _pidfd(container)
        send(pidfd, number)
        os.close(pidfd)
    elif not directory.has_keeper(container.directory):
        raise LaunchError(f"container {container.config.title} is not running")
    else:
        control.ask(container.directory, "kill", signal=number)


def wait(container: Container) -> int:
    """Wait until the container has ended, and is not to be started again; its exit code."""
    try:
        answer: dict[str, Any] = control.ask(container.directory, "wait")
        return int(answer["exit_code"])
    except LaunchError:
        return directory.read(container.directory).state.exit_code


def remove(store: Store, container: Container | Foreground, *, force: bool = False) -> None:
    """Remove the container with all that it has written; one that runs is killed first with FORCE, and refused
    without."""
    if isinstance(container, Foreground):
        if not force:
            raise UsageError(_running(name_of(container) or container.id), hint="stop it first, or add --force")
        _stop_foreground(container, signal.SIGKILL, -1)
        return
    if directory.has_keeper(container.directory):
        if not force:
            raise UsageError(_running(container.config.title), hint="stop it first, or add --force")
        stop(container, number=signal.SIGKILL, timeout=0)
    try:
        with directory.changing(container.directory):
            if directory.has_keeper(container.directory):
                raise LaunchError(f"container {container.config.title} has been started meanwhile")
            directory.remove(store, container)
    except MydockerError:
        if os.path.exists(container.directory):
            raise


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


def _has_ended(pidfd: int, timeout: float | None) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(None if timeout is None else timeout * 1000))
