"""The commands of `post_start` and `pre_stop` of a service: executed in its container when that has started, and before
it is stopped. Compose, "Services top-level elements", post_start and pre_stop.

They are those of a container's own start by `up`, and of its stop by `up` and `down`: not of a restart by its policy.
"""

from __future__ import annotations

import select
import shlex

from mydocker.errors import LaunchError, MydockerError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.enter.session import plan_command
from mydocker.runtime.inspect.exec import Exec
from mydocker.services.containers import look

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.image.store import Store
    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.services.containers import Container
    from mydocker.specs.model import Hook

_LONGEST = 86400.0  # seconds
_OUTPUT_LIMIT = 1 << 20  # bytes of each command that are shown


def run_hooks(
    container: Container,
    kind: str,
    *,
    store: Store,
    show: Callable[[bytes], None] = lambda line: None,
    interrupts: int = -1,
) -> None:
    """Execute those of KIND, one after the other, each to its end. SHOW gets the lines that they write. INTERRUPTS is a
    descriptor: when it is readable, the rest is left out.

    Raises LaunchError for one that fails, or that cannot be executed.
    """
    for hook in getattr(container.config.spec, kind):
        with look.running(store, container.config.id, paused=False) as view:
            facts = _run(hook, view, interrupts)
        if facts is None:
            return
        for line in facts.get("output", "").splitlines():
            show(line.encode(errors="surrogateescape") + b"\n")
        if facts.get("exit_code") != 0:
            why = facts.get("problem") or f"exited with code {facts.get('exit_code')}"
            raise LaunchError(f"{container.config.title}: {kind}: {shlex.join(hook.command)}: {why}")


def before_stop(container: Container, *, store: Store, say: Callable[[str], None], interrupts: int = -1) -> None:
    """Execute `pre_stop` in CONTAINER, if it runs; INTERRUPTS as in `run_hooks`. What fails is a warning: it is stopped
    all the same."""
    if not container.config.spec.pre_stop:
        return
    try:
        run_hooks(container, "pre_stop", store=store, interrupts=interrupts)
    except MydockerError as error:
        say(f"warning: {error.message}")


def _run(hook: Hook, view: ContainerView, interrupts: int) -> dict[str, Any] | None:
    """The facts of the command, see `Exec`; None if it was interrupted."""
    plan = plan_command(
        view.plan, hook.command, environment=dict(hook.environment), user=hook.user, working_dir=hook.working_dir
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
