"""A batch on two nodes of a real Slurm: verdicts come from its files, whatever Slurm calls the end of a job."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
from collections.abc import Iterator

import pytest
from lab.command import Command, Result
from lab.processes import wait_for, within
from lab.slurm import Cluster, cluster

pytestmark = [pytest.mark.root, pytest.mark.slurm]

QUICK = """
name: of a matrix
image: alpine
matrix: {V: [1, 2, 3, 4]}
command: [sh, -c, 'exit ${V}']
expect: {exit_code: {lt: 3}}
---
name: db
image: alpine
command: [sh, -c, 'touch /srv/ready; exec sleep 1000']
healthcheck: {test: test -e /srv/ready, interval: 100ms}
---
name: needs it
image: alpine
command: "true"
depends_on: {db: {condition: service_healthy}}
"""
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
TIMES = re.compile(r"in \d+\.\d\d s$|  +\d+\.\d\d s", re.MULTILINE)


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


class Batch:
    """`mydocker test --on slurm` in a folder with spec files."""

    def __init__(self, command: Command, slurm: Cluster, folder: pathlib.Path) -> None:
        self.command, self.slurm, self.folder, self.directory = command, slurm, folder, folder / "parts"
        self.environment = slurm.environment

    def __call__(self, *words: str, env: dict[str, str] | None = None) -> Result:
        environment = {**self.environment, **(env or {})}
        return self.command("test", *self._words(*words), cwd=self.folder, env=environment)

    def _words(self, *words: str) -> list[str]:
        return ["--on", "slurm", "-n", "2", "--dir", str(self.directory), *words, "."]

    def start(self, *words: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        environment = {**self.environment, **(env or {})}
        return self.command.start("test", *self._words(*words), cwd=self.folder, env=environment)

    def report(self) -> Result:
        return self.command("report", str(self.directory), cwd=self.folder, env=self.environment)

    def job(self) -> str:
        """The number of the job, once there is one."""
        wait_for((self.directory / "batch.json").exists)
        number: str = json.loads((self.directory / "batch.json").read_text())["id"]
        return number

    def job_with_slow_case(self) -> str:
        """The same once its second case runs, and its first one has ended."""
        wait_for(lambda: b"quick" in b"".join(path.read_bytes() for path in self.directory.glob("1.?.jsonl")))
        wait_for((self.folder / "gate" / "begun").exists)
        return self.job()

    def open_gate(self) -> None:
        (self.folder / "gate" / "open").touch()


@pytest.fixture
def quick(alpine: Command, slurm: Cluster, tmp_path: pathlib.Path) -> Batch:
    (tmp_path / "quick.smoke.yaml").write_text(QUICK)
    return Batch(alpine, slurm, tmp_path)


@pytest.fixture
def slow(alpine: Command, slurm: Cluster, tmp_path: pathlib.Path) -> Iterator[Batch]:
    (tmp_path / "slow.smoke.yaml").write_text(SLOW)
    (tmp_path / "gate").mkdir()
    batch = Batch(alpine, slurm, tmp_path)
    yield batch
    batch.open_gate()
    if (batch.directory / "batch.json").exists():
        slurm("scancel", batch.job(), check=False)
        wait_for(lambda: not slurm.tasks(batch.job()))


def end(process: subprocess.Popen[bytes]) -> Result:
    stdout, stderr = process.communicate(timeout=60)
    return Result(stdout, stderr, process.returncode)


def printed(done: Result) -> str:
    """What it has printed, but for times."""
    return TIMES.sub("", done.stdout.decode())


def test_the_parts_are_the_whole(quick: Batch) -> None:
    whole = quick.command("test", "--report", "junit=whole.xml", ".", cwd=quick.folder)
    done = quick("--report", "junit=all.xml")
    assert done.code == whole.code == 1
    assert printed(done) == printed(whole) == printed(quick.report())
    names = [
        re.findall(r'testcase .*name="([^"]*)"', (quick.folder / each).read_text()) for each in ("whole.xml", "all.xml")
    ]
    assert names[0] == names[1] and len(names[0]) == 6
    assert quick.directory.stat().st_mode & 0o777 == 0o700
    assert {"job.sh", "1.0.jsonl", "2.0.jsonl", "1.0.log", "2.0.log"} <= {
        path.name for path in quick.directory.iterdir()
    }
    listed = quick.command("test", "--last-failed", "--list", ".", cwd=quick.folder)
    assert b"V=3" in listed.stdout and b"V=1" not in listed.stdout, listed


def test_options_reach_the_parts(quick: Batch) -> None:
    again = quick("--last-failed", "-k", "not 4", "--tags", "!x", "-j", "3", "--shuffle=7")
    script = (quick.directory / "job.sh").read_text()
    assert "-k 'not 4' '--tags=!x' --jobs=3 --shuffle=7 --" in script, script
    assert "SLURM_CPUS_ON_NODE" not in script
    assert script.splitlines()[-1].startswith(f"exec {quick.command.program} test --shard auto")
    assert again.code == 1 and b"4 passed, 1 failed" in again.stdout, again
