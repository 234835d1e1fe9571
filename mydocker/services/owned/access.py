"""Commands in a container of a Python program, and copies: functions for services/workers/call.py."""

from __future__ import annotations

import os

from mydocker.image.store import Store
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.command import Stack
from mydocker.runtime.copy import session as copy
from mydocker.runtime.enter import session
from mydocker.runtime.enter.container import open_container
from mydocker.services.containers import look, trees

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.runtime.command.outcome import Outcome
    from mydocker.specs.model import User

_GRACE = 2.0  # seconds between the end of its time, or the end of interest in it, and being killed


def execute(
    container_id: str,
    argv: tuple[str, ...],
    *,
    environment: Mapping[str, str],
    user: User | None,
    working_dir: str | None,
    timeout: float | None,
    input: bytes | None,
) -> Outcome:
    """Execute ARGV in the running container, joined with this process's standard streams; it reads INPUT, and is
    stopped after TIMEOUT seconds. Raises LaunchError and its children."""
    if input is not None:
        _read_from(input)
    with Stack() as opened:
        container = open_container(look.unpaused(Store.open(os.environ), container_id), opened)
        plan = session.plan_command(
            container.plan,
            argv,
            environment=dict(environment),
            user=user,
            working_dir=working_dir,
            stdin_open=input is not None,
        )
        return session.execute(container, plan.replace(timeout=timeout, grace=_GRACE))


def _read_from(text: bytes) -> None:
    """Let the standard input be TEXT: a file in memory, which takes any size."""
    descriptor = os.memfd_create("input")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(text)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.dup2(descriptor, 0)
    os.close(descriptor)


def copy_in(container_id: str, source: str, path: str) -> None:
    """Copy SOURCE of the host to PATH of the container. Raises LaunchError, HostError."""
    with trees.tree(Store.open(os.environ), container_id, environ=os.environ) as tree:
        copy.copy_in(tree, source, path, follow=False, keep_owner=False)


def copy_out(container_id: str, path: str, target: str) -> None:
    """Copy PATH of the container to TARGET of the host. Raises LaunchError, HostError."""
    with trees.tree(Store.open(os.environ), container_id, environ=os.environ) as tree:
        copy.copy_out(tree, path, target, follow=False, keep_owner=False)
