"""The engines by name: to look at a batch that one of them has begun, and that this process may not know."""

from __future__ import annotations

from contextlib import suppress

from mydocker.errors import HostError
from mydocker.record import TYPE_CHECKING
from mydocker.testing.engines.directory import Directory
from mydocker.testing.engines.kubernetes.jobs import KubernetesJobs
from mydocker.testing.engines.slurm import SlurmJob

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mydocker.testing.engines.engine import Engine

ENGINES: dict[str, Callable[..., Engine]] = {"kubernetes": KubernetesJobs, "slurm": SlurmJob}


def reasons_in(path: str, environ: Mapping[str, str]) -> dict[int, str]:
    """Why parts have not reported all of their cases, by their numbers, if PATH is the directory of a batch that an
    engine runs or has run: as was found out in the end, or as the engine says now, if it does."""
    directory = Directory(path)
    state = directory.state()
    if state is None or state.engine not in ENGINES:
        return {}
    if state.reasons is not None:
        return {**state.reasons}
    with suppress(HostError):  # no answer, or words that only the process that has begun it may use
        return ENGINES[state.engine](state.id, directory, count=state.parts, environ=environ).reasons()
    return {}
