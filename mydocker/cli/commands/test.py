"""`mydocker test PATH...`: run spec files as a batch, and report which of their expectations hold."""

from __future__ import annotations

import gc
import os

from mydocker.record import TYPE_CHECKING
from mydocker.testing.batch.spawner import Spawner

if TYPE_CHECKING:
    from mydocker.cli.common.parser import Parser


def test_command(argv: list[str]) -> int:
    """Run the cases that ARGV names; the exit code that follows from the verdicts. What forks workers begins before all
    that this process needs for itself is imported."""
    with Spawner(os.environ) as spawner:
        gc.disable()  # meanwhile, as in cli/__init__.py
        from mydocker.cli.testing.batch import run

        gc.freeze()
        gc.enable()
        return run(argv, spawner)


def parser() -> Parser:
    """What the command line may have."""
    from mydocker.cli.testing import batch

    return batch.parser()
