"""`run --keep`: what the container writes is kept when it has ended, for `mydocker diff`."""

from __future__ import annotations

import os

from mydocker.cli.common.messages import say
from mydocker.errors import HostError
from mydocker.image.store.store import Store
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.inspect import kept_container
from mydocker.runtime.inspect.changes import check_known
from mydocker.runtime.inspect.container_view import Window
from mydocker.runtime.launch.run import run

if TYPE_CHECKING:
    from mydocker.runtime.inspect.container_view import View
    from mydocker.runtime.launch.outcome import Outcome
    from mydocker.runtime.plan.plan import LaunchPlan


def run_and_keep(plan: LaunchPlan, *, title: str) -> Outcome:
    """As `run` does, and print under which id it is kept. Raises MydockerError before the run if nothing could be kept,
    and after it if that fails all the same."""
    root = Store.open(os.environ).root
    check_known(plan)
    kept_container.make_room(root)

    def keep(view: View) -> None:
        name, lost = kept_container.keep(view, root=root, title=title, origin="command line")
        say(f"mydocker: kept: mydocker diff {name}")
        if lost:
            raise HostError(f"not all is kept: {lost}")

    with Window(keep) as window:
        return run(plan, window=window)
