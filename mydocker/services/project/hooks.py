"""The commands of `post_start` and `pre_stop` of a service: executed in its container when that has started, and before
it is stopped. Compose, "Services top-level elements", post_start and pre_stop.

They are those of a container's own start by `up`, and of its stop by `up` and `down`: not of a restart by its policy.
"""

from __future__ import annotations

from mydocker.errors import LaunchError, MydockerError
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import look
from mydocker.services.hook import failure_of, run_hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.image.store import Store
    from mydocker.services.containers import Container


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
            facts = run_hook(hook, view, interrupts=interrupts)
        if facts is None:
            return
        for line in facts.get("output", "").splitlines():
            show(line.encode(errors="surrogateescape") + b"\n")
        if failure := failure_of(hook, kind, facts):
            raise LaunchError(f"{container.config.title}: {failure}")


def before_stop(container: Container, *, store: Store, say: Callable[[str], None], interrupts: int = -1) -> None:
    """Execute `pre_stop` in CONTAINER, if it runs; INTERRUPTS as in `run_hooks`. What fails is a warning: it is stopped
    all the same."""
    if not container.config.spec.pre_stop:
        return
    try:
        run_hooks(container, "pre_stop", store=store, interrupts=interrupts)
    except MydockerError as error:
        say(f"warning: {error.message}")
