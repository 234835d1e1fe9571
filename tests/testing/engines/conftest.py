"""Two nodes of Slurm, and batches on them."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from lab.command import Command
from lab.processes import wait_for
from lab.slurm import Batch, Cluster, cluster

if not pathlib.Path("/sys/fs/cgroup/freezer").is_dir():
    collect_ignore = ["test_slurm_cgroups.py"]  # Slurm needs systemd for control groups of version 2

# the first one ends at once; the second one, of the other part, when it is let go, or never
SLOW = """
name: quick
image: alpine
command: "true"
---
name: slow
image: alpine
volumes: [./gate:/gate]
command: [sh, -c, 'touch /gate/begun; until test -e /gate/open; do sleep 0.05; done']
---
name: quick too
image: alpine
command: "true"
---
name: never begins
image: alpine
command: "true"
"""


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.fixture(scope="session")
def slow_specs() -> str:
    return SLOW


@pytest.fixture
def slow(alpine: Command, slurm: Cluster, tmp_path: pathlib.Path) -> Iterator[Batch]:
    batch = Batch.in_folder(alpine, slurm, tmp_path / "folder", SLOW)
    yield batch
    batch.open_gate()
    if (batch.directory / "batch.json").exists():
        slurm("scancel", batch.job(), check=False)
        wait_for(lambda: not slurm.tasks(batch.job()))
