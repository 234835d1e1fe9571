"""`run --keep`: what the container writes is kept when it has ended, for `mydocker diff`."""

from __future__ import annotations

import os

from mydocker.cli.output import say
from mydocker.errors import HostError, hint_for
from mydocker.image.store import Store
from mydocker.record import TYPE_CHECKING
from mydocker.runtime import kept
from mydocker.runtime.changes import check_known
from mydocker.runtime.run import run
from mydocker.runtime.window import Window

if TYPE_CHECKING:
    from mydocker.runtime.outcome import Outcome
    from mydocker.runtime.plan import LaunchPlan
    from mydocker.runtime.window import View


def run_and_keep(plan: LaunchPlan, *, title: str) -> Outcome:
    """As `run` does, and print under which id it is kept. Raises MydockerError before the run if nothing could be kept,
    and after it if that fails all the same."""
    root = Store.open(os.environ).root
    check_known(plan)
    kept.make_room(root)

    def keep(view: View) -> None:
        name, lost = kept.keep(view, root=root, title=title, origin="command line")
        say(f"mydocker: kept: mydocker diff {name}")
        if lost:
            raise HostError(f"not all is kept: {lost}")

    def reserve(plan: LaunchPlan) -> None:
        try:
            kept.reserve(plan)
        except OSError as error:
            raise HostError(f"nothing can be kept: {error.strerror}", hint=hint_for(error)) from None

    with Window(keep, prepare=reserve) as window:
        return run(plan, window=window)
