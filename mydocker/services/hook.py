"""A command of `post_start` or `pre_stop`, executed in a container that runs (Compose, "Services")."""

from __future__ import annotations

import select
import shlex

from mydocker.record import TYPE_CHECKING
from mydocker.runtime.enter.session import check_command
from mydocker.runtime.inspect.exec import Exec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.specs.model import Hook

_LONGEST = 86400.0  # seconds
_OUTPUT_LIMIT = 1 << 20  # bytes of each command that are shown


def run_hook(hook: Hook, view: ContainerView, *, interrupts: int = -1) -> dict[str, Any] | None:
    """The facts of the command, see `Exec`; None if the descriptor INTERRUPTS was readable before it had ended."""
    check_command(view.plan.exec_label.kind if view.plan.exec_label else "", hook.working_dir)
    plan = view.plan.replace(
        environment={**view.plan.environment, **hook.environment},
        user=hook.user or view.plan.user,
        working_dir=hook.working_dir or view.plan.working_dir,
    )
    command = Exec(view.replace(plan=plan), hook.command, timeout=_LONGEST, limit=_OUTPUT_LIMIT)
    poll = select.poll()
    for descriptor in (command.descriptor, interrupts):
        if descriptor >= 0:
            poll.register(descriptor, select.POLLIN)
    try:
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if command.descriptor in ready and (facts := command.take()) is not None:
                return facts
            if interrupts in ready:
                return None
    finally:
        command.close()


def run_hooks_of(hooks: Sequence[Hook], kind: str, view: ContainerView) -> str:
    """Execute HOOKS of KIND, one after the other: why one has failed, after which the rest is left out; empty if none
    has."""
    for hook in hooks:
        if failure := failure_of(hook, kind, run_hook(hook, view) or {}):
            return failure
    return ""


def failure_of(hook: Hook, kind: str, facts: dict[str, Any]) -> str:
    """What FACTS say of the command that has failed, of KIND `post_start` or `pre_stop`; empty if it has not."""
    if facts.get("exit_code") == 0:
        return ""
    why = facts.get("problem") or f"exited with code {facts.get('exit_code')}"
    return f"{kind}: {shlex.join(hook.command)}: {why}"
