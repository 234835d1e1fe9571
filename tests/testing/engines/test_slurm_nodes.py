"""Nodes as sites set them up: Slurm follows processes by control groups and limits memory; users are ordinary ones,
with no ids but their own."""

from __future__ import annotations

import pathlib
import pwd
import shutil
from collections.abc import Callable, Iterator

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
PLAIN = """
name: is root of its own
image: alpine
matrix: {V: [1, 2, 3]}
command: [sh, -c, 'test "$$(id -u)" = 0; echo ${V} > /srv/x; cat /srv/x']
expect: {stdout: "${V}\\n"}
---
name: no such user
image: alpine
user: "1234"
command: "true"
expect: {exit_code: 0}
"""


@pytest.fixture(scope="module")
def grouped() -> Iterator[Cluster]:
    if not pathlib.Path("/sys/fs/cgroup/freezer").is_dir():
        pytest.skip("proctrack/cgroup of this Slurm needs control groups of version 1")
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
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 3 and b"its job was cancelled" in stdout, stdout
    wait_for(lambda: not grouped.tasks(job))


def test_ordinary_user(
    slurm: Cluster, second_user: Command, user_directory: Callable[[], pathlib.Path], user: pwd.struct_passwd
) -> None:
    folder = user_directory()
    batch = Batch.in_folder(second_user, slurm, folder / "folder", PLAIN)
    for path in (batch.folder, *batch.folder.rglob("*")):
        shutil.chown(path, user.pw_uid, user.pw_gid)
    done = batch()
    assert done.code == 3 and b"3 passed, 1 error" in done.stdout, done
    assert b"user 1234:0 does not exist in this container, which an ordinary user has started" in done.stdout, done
    assert batch.directory.stat().st_uid == user.pw_uid
