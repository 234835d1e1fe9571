"""`run --keep`: what the container writes is kept when it has ended, for `mydocker diff`."""

from __future__ import annotations

import os

from mydocker.cli.output import complain, say
from mydocker.errors import MydockerError, refused_by_host
from mydocker.image.store import Store
from mydocker.record import TYPE_CHECKING
from mydocker.runtime import kept
from mydocker.runtime.run import run
from mydocker.runtime.window import Window

if TYPE_CHECKING:
    from mydocker.runtime.outcome import Outcome
    from mydocker.runtime.plan import LaunchPlan
    from mydocker.runtime.window import View


def run_and_keep(plan: LaunchPlan, *, title: str) -> Outcome:
    """As `run` does, and say under which id it is kept, or why it is not."""

    def keep(view: View) -> None:
        try:
            name = kept.keep(view, root=Store.open(os.environ).root, title=title, origin="command line")
            say(f"mydocker: kept: mydocker diff {name}")
        except MydockerError as error:
            complain(error)
        except OSError as error:
            complain(refused_by_host(error))

    with Window(keep) as window:
        return run(plan, window=window)
