"""Nodes as most sites set them up: Slurm follows the processes of a job by control groups, and limits its memory."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from lab.command import Command
from lab.processes import wait_for
from lab.slurm import Batch, Cluster, cluster

pytestmark = [pytest.mark.root, pytest.mark.slurm]

HUNGRY = """
name: takes all that the job has
image: alpine
command: [sh, -c, 'tail /dev/zero; test $$? = 137']
---
name: takes all that it has itself
image: alpine
mem_limit: 16m
command: [sh, -c, 'tail /dev/zero']
expect: {oom_killed: true, exit_code: 137}
"""


@pytest.fixture(scope="module")
def grouped() -> Iterator[Cluster]:
    with cluster(track="cgroup") as made:
        yield made


def test_expected_lack_of_memory(alpine: Command, grouped: Cluster, tmp_path: pathlib.Path) -> None:
    """The container's control group is below that of its job. Slurm's word for the job is no verdict."""
    batch = Batch.in_folder(alpine, grouped, tmp_path / "folder", HUNGRY)
    done = batch("--slurm=--mem=200")
    assert done.code == 0 and b"2 passed" in done.stdout, done
    job = batch.job()
    wait_for(lambda: not grouped.tasks(job))
    states = grouped("scontrol", "-o", "show", "job", job)
    assert "JobState=OUT_OF_MEMORY" in states, states


def test_cancelled_job_leaves_nothing(
    alpine: Command, grouped: Cluster, tmp_path: pathlib.Path, slow_specs: str
) -> None:
    batch = Batch.in_folder(alpine, grouped, tmp_path / "folder", slow_specs)
    process = batch.start()
    job = batch.job_with_slow_case()
    grouped("scancel", job)
    stdout, _ = process.communicate(timeout=240)
    assert process.returncode == 3 and b"its job was cancelled" in stdout, stdout
    wait_for(lambda: not grouped.tasks(job))
