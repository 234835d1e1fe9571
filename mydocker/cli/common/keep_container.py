"""`run --keep`: what the container writes is kept when it has ended, for `mydocker diff`."""

from __future__ import annotations

import os

from mydocker.cli.common import say
from mydocker.errors import HostError, MydockerError, hint_for, refused_by_host
from mydocker.image.store import Store
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.inspect import kept_container
from mydocker.runtime.inspect.changes import check_known
from mydocker.runtime.inspect.container_view import ViewReceiver
from mydocker.runtime.launch import run

if TYPE_CHECKING:
    from mydocker.runtime.command.outcome import Outcome
    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.runtime.plan import LaunchPlan


class NotKeptError(HostError):
    """Not all of what a container wrote is kept; `outcome` is how the container itself ended."""

    def __init__(self, error: MydockerError, outcome: Outcome | None) -> None:
        ended = f" (the container itself ended with {outcome.status})" if outcome else ""
        super().__init__(f"not all is kept: {error.message}{ended}", hint=error.hint)
        self.outcome = outcome


def run_and_keep(plan: LaunchPlan, *, title: str) -> Outcome:
    """As `run` does, and print under which id it is kept. Raises MydockerError before the run if nothing could be kept,
    and NotKeptError after it if that fails nevertheless."""
    root = Store.open(os.environ).root
    check_known(plan)
    kept_container.make_room(root)

    def keep(view: ContainerView) -> None:
        try:
            name, lost = kept_container.keep(view, root=root, title=title, origin="command line")
        except (MydockerError, OSError) as error:
            refusal = error if isinstance(error, MydockerError) else refused_by_host(error)
            raise NotKeptError(refusal, view.outcome) from None
        say(f"mydocker: kept: mydocker diff {name}")
        if lost:
            raise NotKeptError(HostError(lost), view.outcome)

    def reserve(plan: LaunchPlan) -> None:
        try:
            kept_container.reserve(plan)
        except OSError as error:
            raise HostError(f"nothing can be kept: {error.strerror}", hint=hint_for(error)) from None

    with ViewReceiver(keep, prepare=reserve) as view_receiver:
        return run(plan, view_receiver=view_receiver)
