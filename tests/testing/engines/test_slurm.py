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
from lab.processes import mentioning, wait_for, within
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
        wait_for(lambda: any(path.read_text().count("\n") > 1 for path in self.directory.glob("1.?.jsonl")))
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


def test_dry_run(quick: Batch, tmp_path: pathlib.Path) -> None:
    """It needs no Slurm, and leaves nothing behind."""
    done = quick("--dry-run", "--slurm=--partition=short", "-k", "needs and it", env={"PATH": "/nonexistent"})
    parts, program = quick.directory, quick.command.program
    command = f'exec {program} test --shard auto -j "${{SLURM_CPUS_ON_NODE:-1}}" --report jsonl="$part.jsonl"'
    sbatch = f"sbatch --parsable --partition=short --job-name=mydocker --array=1-2 --output={parts}/%a.log"
    expected = f"""\
#!/bin/sh
# a part of 2, by 'mydocker test --on slurm'
set -eu
cd {quick.folder}
part={parts}/$SLURM_ARRAY_TASK_ID.${{SLURM_RESTART_COUNT:-0}}
exec >"$part.log" 2>&1
{command} -k 'needs and it' -- .

{sbatch} --open-mode=append {parts}/job.sh
"""
    assert (done.code, done.stdout.decode(), done.stderr) == (0, expected, b"")
    assert not parts.exists()
    subprocess.run(["sh", "-n"], input=expected.encode(), check=True)


REFUSED = (
    (("--shard", "1/2"), "--shard"),
    (("--project", "x"), "--project"),
    (("--on-failure", "shell"), "--on-failure"),
    (("--slurm=short",), "expected an option of sbatch"),
    (("--slurm=--array=1-9",), "mydocker sets this option"),
    (("--slurm=-o/tmp/x",), "mydocker sets this option"),
    (("-n", "0"), "invalid number"),
    (("-",), "standard input"),
    (("--dir", "/"), "/ is not empty"),
)


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_usage(quick: Batch, words: tuple[str, ...], message: str) -> None:
    done = quick(*words)
    assert done.code == 2 and message in done.stderr.decode(), done
    assert not quick.directory.exists()


def test_options_without_an_engine(quick: Batch) -> None:
    for words in (["-n", "2"], ["--dry-run"], ["--dir", "x"], ["--slurm=-x"]):
        done = quick.command("test", *words, ".", cwd=quick.folder)
        assert done.code == 2 and b"is for --on" in done.stderr, done
    done = quick.command("test", "--on", "slurm", ".", cwd=quick.folder)
    assert done.code == 2 and b"expected -n N" in done.stderr, done


def test_nothing_is_submitted_in_vain(quick: Batch) -> None:
    """A mistake in a file, an image that does not exist, programs that are missing: all are errors here."""
    before = quick.slurm("scontrol", "-o", "show", "job", check=False)
    missing = quick(env={"PATH": "/nonexistent"})
    assert missing.code == 3 and b"sbatch is not installed" in missing.stderr and b"slurm-client" in missing.stderr, (
        missing
    )
    (quick.folder / "quick.smoke.yaml").write_text("image: nosuch/image:1\n---\nimage: nosuch/other:1\n")
    done = quick()
    assert done.code == 3 and {b"nosuch/image", b"nosuch/other"} <= {*re.findall(rb"nosuch/\w+", done.stderr)}, done
    (quick.folder / "quick.smoke.yaml").write_text("image: alpine\nnosuch: key\n")
    assert quick().code == 2
    refused = Batch(quick.command, quick.slurm, quick.folder)
    (quick.folder / "quick.smoke.yaml").write_text("image: alpine\n")
    done = refused("--slurm=--partition=nosuch")
    assert done.code == 3 and b"invalid partition" in done.stderr, done
    assert not quick.directory.exists()
    assert quick.slurm("scontrol", "-o", "show", "job", check=False) == before


def test_time_limit(slow: Batch) -> None:
    """At its time limit a part gets SIGTERM, and writes what it has."""
    process = slow.start("--slurm=--time=1")
    job = slow.job_with_slow_case()
    slow.slurm("scontrol", "update", f"jobid={job}_2", "EndTime=now")
    done = end(process)
    print(done.stdout.decode(), slow.slurm("scontrol", "-o", "show", "job", job))
    assert done.code == 3
    assert "its job was over its time limit" in done.stdout.decode()
    assert printed(slow.report()) == printed(done)


def test_cancelled(slow: Batch) -> None:
    process = slow.start("-j", "1")
    job = slow.job_with_slow_case()
    slow.slurm("scancel", f"{job}_2")
    done = end(process)
    print(done.stdout.decode())
    assert done.code == 3
    assert f"its job was cancelled (Slurm job {job}_2" in done.stdout.decode()
    assert printed(slow.report()) == printed(done)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(slow: Batch, number: int) -> None:
    process = slow.start()
    job = slow.job_with_slow_case()
    process.send_signal(number)
    done = end(process)
    print(done.stdout.decode(), done.stderr)
    assert done.code == 130
    assert "passed  quick" in done.stdout.decode() and "interrupted" in done.stdout.decode()
    assert not slow.slurm.tasks(job)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_lost_terminal(slow: Batch, number: int) -> None:
    process = slow.start()
    job = slow.job_with_slow_case()
    process.send_signal(number)
    end(process)
    early = slow.report()
    print(early.stdout.decode())
    assert early.code == 3 and b"its job is running" in early.stdout, early
    slow.open_gate()
    wait_for(lambda: not slow.slurm.tasks(job))
    done = slow.report()
    assert done.code == 0 and b"4 passed" in done.stdout, done


def test_requeued(slow: Batch) -> None:
    process = slow.start()
    job = slow.job_with_slow_case()
    (slow.folder / "gate" / "begun").unlink()
    slow.slurm("scontrol", "requeue", f"{job}_2")
    print(slow.slurm("scontrol", "-o", "show", "job", job))
    wait_for(lambda: slow.slurm.tasks(job) == {2: "PENDING"})
    print(slow.slurm("scontrol", "-o", "show", "job", job))
    slow.slurm("scontrol", "update", f"jobid={job}_2", "StartTime=now")
    wait_for((slow.directory / "2.1.jsonl").exists)
    slow.open_gate()
    done = end(process)
    print(done.stdout.decode())
    assert done.code == 0 and b"4 passed" in done.stdout, done


def test_daemon_of_a_node_is_killed(slow: Batch) -> None:
    """The job goes on without slurmd, and is found again by the next one."""
    process = slow.start()
    job = slow.job_with_slow_case()
    node = slow.slurm.node_of(f"{job}_2")
    os.kill(slow.slurm.pid(node), signal.SIGKILL)
    slow.slurm.start_node(node)
    slow.open_gate()
    done = end(process)
    assert done.code == 0 and b"4 passed" in done.stdout, done
    assert within(20, slow.slurm.is_up)


def test_step_daemon_is_killed(slow: Batch) -> None:
    process = slow.start("-j", "1")
    job = slow.job_with_slow_case()
    own = slow.slurm("squeue", "-h", "-j", f"{job}_2", "-o", "%A").strip()
    [daemon] = mentioning(f"slurmstepd: [{own}.batch]")
    os.kill(daemon, signal.SIGKILL)
    import time

    for n in range(10):
        print(slow.slurm("squeue"), slow.slurm("scontrol", "-o", "show", "job", own)[:700])
        time.sleep(1)
    slow.open_gate()
    done = end(process)
    print(done.stdout.decode())
    print(slow.slurm("squeue"), slow.slurm("scontrol", "-o", "show", "job", own)[:700])
    assert 0


def test_node_is_lost(slow: Batch) -> None:
    process = slow.start("-j", "1", "--slurm=--no-requeue")
    job = slow.job_with_slow_case()
    node = slow.slurm.node_of(f"{job}_2")
    os.kill(slow.slurm.pid(node), signal.SIGKILL)
    done = end(process)
    print(done.stdout.decode())
    print(slow.slurm("squeue"), slow.slurm("scontrol", "-o", "show", "job", job))
    slow.slurm.start_node(node)
    assert within(20, slow.slurm.is_up)
    assert 0


def test_node_is_lost_again(slow: Batch) -> None:
    process = slow.start("-j", "1")
    job = slow.job_with_slow_case()
    node = slow.slurm.node_of(f"{job}_2")
    os.kill(slow.slurm.pid(node), signal.SIGKILL)
    wait_for(lambda: slow.slurm.tasks(job) == {2: "PENDING"})
    slow.slurm("scontrol", "update", f"jobid={job}_2", "StartTime=now")
    wait_for((slow.directory / "2.1.jsonl").exists)
    slow.open_gate()
    done = end(process)
    print(done.stdout.decode())
    print(slow.slurm("squeue"), slow.slurm("scontrol", "-o", "show", "job", job))
    slow.slurm.start_node(node)
    assert within(20, slow.slurm.is_up)
    assert 0
