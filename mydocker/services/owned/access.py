"""Commands in a container of a Python program, and copies: functions for services/workers/call.py."""

from __future__ import annotations

import os

from mydocker.record import TYPE_CHECKING
from mydocker.runtime.cgroup.freezer import is_frozen
from mydocker.runtime.copy import session as copy
from mydocker.runtime.enter import session
from mydocker.runtime.inspect.running_container import NotRunningError, open_running

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.runtime.launch.outcome import Outcome
    from mydocker.specs.model import User

_GRACE = 2.0  # seconds between the end of its time, or the end of interest in it, and being killed


def execute(
    run_dir: str,
    argv: tuple[str, ...],
    *,
    environment: Mapping[str, str],
    user: User | None,
    working_dir: str | None,
    timeout: float | None,
    input: bytes | None,
) -> Outcome:
    """Execute ARGV in the container that runs with RUN_DIR, joined with this process's standard streams; it reads
    INPUT, and is stopped after TIMEOUT seconds. Raises LaunchError and its children."""
    if is_frozen(run_dir):
        raise NotRunningError(f"container {os.path.basename(run_dir)} is paused")
    if input is not None:
        _read_from(input)
    with open_running(run_dir) as view:
        plan = session.plan_command(
            view.plan,
            argv,
            environment=dict(environment),
            user=user,
            working_dir=working_dir,
            stdin_open=input is not None,
        )
        return session.execute(view, plan.replace(timeout=timeout, grace=_GRACE))


def _read_from(text: bytes) -> None:
    """Let the standard input be TEXT: a file in memory, which takes any size."""
    descriptor = os.memfd_create("input")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(text)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.dup2(descriptor, 0)
    os.close(descriptor)


def copy_in(run_dir: str, source: str, path: str) -> None:
    """Copy SOURCE of the host to PATH of the container. Raises LaunchError, HostError."""
    with open_running(run_dir) as view:
        copy.copy_in(copy.tree_of(view), source, path, follow=False, keep_owner=False)


def copy_out(run_dir: str, path: str, target: str) -> None:
    """Copy PATH of the container to TARGET of the host. Raises LaunchError, HostError."""
    with open_running(run_dir) as view:
        copy.copy_out(copy.tree_of(view), path, target, follow=False, keep_owner=False)
