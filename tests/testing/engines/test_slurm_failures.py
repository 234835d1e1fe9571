"""What becomes of a batch when Slurm ends, moves or loses its jobs: verdicts come from its files, and the reason for
what is missing comes from Slurm."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
from collections.abc import Iterator

import pytest
from lab.command import Command
from lab.processes import mentioning, wait_for, within
from lab.slurm import Batch, Cluster, end, printed

pytestmark = [pytest.mark.root, pytest.mark.slurm]

SQUEUE = """\
#!/bin/sh
# squeue as it is on a bad day: an error, then nothing, then jobs that wait for somebody, and then well again
count=$(($(cat "$0.count" 2>/dev/null || echo 0) + 1))
echo $count > "$0.count"
case $count in
    1) echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1 ;;
    2) exit 0 ;;
    3) echo '2|PENDING|JobHeldAdmin' ;;
    *) exec /usr/bin/squeue "$@" ;;
esac
"""


@pytest.fixture(scope="module", autouse=True)
def expiring(
    alpine: Command, slurm: Cluster, tmp_path_factory: pytest.TempPathFactory, slow_specs: str
) -> Iterator[tuple[Batch, subprocess.Popen[bytes]]]:
    """A batch whose second part is over its time limit, which Slurm looks at every half a minute: the other tests run
    meanwhile."""
    batch = Batch.in_folder(alpine, slurm, tmp_path_factory.mktemp("expiring") / "folder", slow_specs)
    process = batch.start("--slurm=--time=1")
    slurm("scontrol", "update", f"jobid={batch.job_with_slow_case()}_2", "EndTime=now")
    yield batch, process
    process.kill()
    process.communicate()
    slurm("scancel", batch.job(), check=False)
    wait_for(lambda: not slurm.tasks(batch.job()))  # whatever kills the cluster leaves the containers of a job


def _cancel_running(batch: Batch) -> None:
    job = batch.job_with_slow_case()
    batch.slurm("scancel", f"{job}_2")


def _cancel_waiting(batch: Batch) -> None:
    job = batch.job()
    assert batch.slurm.tasks(job) == {1: "PENDING", 2: "PENDING"}
    early = batch.report()
    assert early.code == 3 and f"its job waits: BeginTime (Slurm job {job}_1)" in early.stdout.decode(), early
    batch.slurm("scancel", job)


def _write_mistake(batch: Batch) -> None:
    batch.job()
    (batch.folder / "slow.smoke.yaml").write_text("image: alpine\nnosuch: key\n")
    batch.begin()


def _write_other(batch: Batch) -> None:
    batch.job()
    (batch.folder / "slow.smoke.yaml").write_text("image: alpine\n")
    batch.begin()


def _hide_directory(batch: Batch) -> None:
    """As if the disk were not shared."""
    job = batch.job()
    batch.directory.rename(batch.folder / "hidden")
    batch.begin()
    wait_for(lambda: not batch.slurm.tasks(job))
    (batch.folder / "hidden").rename(batch.directory)


LATER = "--slurm=--begin=now+1hour"
# what happens to a batch with these options, and the summary, and why results are missing
REASONS = {
    "cancelled": (
        _cancel_running,
        ["-j", "1"],
        "2 passed, 1 error, 1 skipped",
        "    interrupted: its job was cancelled",
    ),
    "waits": (_cancel_waiting, [LATER], "4 errors", "    not run to its end: its job was cancelled"),
    "mistake": (_write_mistake, [LATER], "4 errors", "slow.smoke.yaml:2:1: unknown key"),
    "other": (_write_other, [LATER], "4 errors", "has run another batch: the spec files, or what they use, differ"),
    "directory": (_hide_directory, [LATER], "4 errors", "which has to be on all nodes"),
}


def test_reasons(alpine: Command, slurm: Cluster, tmp_path: pathlib.Path, slow_specs: str) -> None:
    """All at once: most of each is waiting for the next question to squeue."""
    running = {}
    for name, (_, words, _, _) in REASONS.items():
        batch = Batch.in_folder(alpine, slurm, tmp_path / name, slow_specs)
        running[name] = batch, batch.start(*words)
    for name, (act, *_) in REASONS.items():
        act(running[name][0])
    ends = {name: end(process) for name, (_, process) in running.items()}
    for name, (_, _, summary, reason) in REASONS.items():
        batch, text = running[name][0], ends[name].stdout.decode()
        assert ends[name].code == 3 and summary in text and reason in text, (name, ends[name])
        if name != "other":
            assert printed(batch.report()) == printed(ends[name]), name
    assert "1 not run: interrupted: its job was cancelled" in ends["cancelled"].stdout.decode(), ends["cancelled"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(slow: Batch, number: int) -> None:
    process = slow.start("--report", "junit=all.xml")
    job = slow.job_with_slow_case()
    process.send_signal(number)
    done = end(process)
    text = done.stdout.decode()
    assert done.code == 130 and "passed  quick " in text and "    interrupted: its job was cancelled" in text, done
    assert not slow.slurm.tasks(job)
    assert "its job was cancelled" in (slow.folder / "all.xml").read_text()
    assert printed(slow.report()) == printed(done)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_lost_terminal(slow: Batch, number: int) -> None:
    """The parts go on, and are put together later."""
    process = slow.start()
    job = slow.job_with_slow_case()
    process.send_signal(number)
    end(process)
    early = slow.report()
    assert early.code == 3, early
    assert f"not run to its end: its job is running (Slurm job {job}_2 on n" in early.stdout.decode(), early
    slow.open_gate()
    wait_for(lambda: not slow.slurm.tasks(job))
    done = slow.report()
    assert done.code == 0 and b"4 passed" in done.stdout, done


def test_requeued(slow: Batch) -> None:
    """The results of the first attempt that have no verdict do not count."""
    process = slow.start()
    job = slow.job_with_slow_case()
    node = slow.slurm.node_of(f"{job}_2")
    number = slow.slurm("squeue", "-h", "-j", f"{job}_2", "-o", "%A").strip()
    slow.slurm("scontrol", "requeue", f"{job}_2")
    wait_for(lambda: not mentioning(f"slurmstepd: [{number}.batch]"))
    # on the other node: the same one may end the next attempt at once that begins this early
    slow.slurm("scontrol", "update", f"jobid={job}_2", f"excnodelist={node}", check=False)
    _run_again(slow)
    assert b'"cut_short": true' in (slow.directory / "2.0.jsonl").read_bytes()
    done = end(process)
    assert done.code == 0 and b"4 passed" in done.stdout, done
    assert printed(slow.report()) == printed(done)


def _run_again(batch: Batch) -> None:
    """Let the second part, which waits for two minutes once it is back in the queue, begin at once, and end. Slurm may
    forget that it was requested while the first attempt still ends, and has to be left alone between two requests."""
    again = (batch.directory / "2.1.jsonl").exists
    wait_for(lambda: batch.slurm.tasks(batch.job()).get(2) == "PENDING")
    while not again():
        batch.slurm("scontrol", "release", f"{batch.job()}_2", check=False)  # held if a node has refused it
        batch.begin(2, check=False)
        within(3, again)
    batch.open_gate()


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


def test_daemon_of_a_step_is_killed(slow: Batch) -> None:
    """mydocker goes on without slurmstepd; Slurm does not notice either."""
    process = slow.start()
    job = slow.job_with_slow_case()
    number = slow.slurm("squeue", "-h", "-j", f"{job}_2", "-o", "%A").strip()
    [daemon] = mentioning(f"slurmstepd: [{number}.batch]")
    os.kill(daemon, signal.SIGKILL)
    slow.open_gate()
    done = end(process)
    assert done.code == 0 and b"4 passed" in done.stdout, done


def _lose_node(slurm: Cluster, task: str) -> str:
    """Cut off the node on which TASK runs: what runs there goes on, and Slurm believes that it has ended."""
    node = slurm.node_of(task)
    os.kill(slurm.pid(node), signal.SIGKILL)
    wait_for(lambda: not os.path.exists(f"/proc/{slurm.pid(node)}"))
    slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    return node


def test_node_is_lost(slow: Batch) -> None:
    process = slow.start("-j", "1", "--slurm=--no-requeue")
    job = slow.job_with_slow_case()
    node = _lose_node(slow.slurm, f"{job}_2")
    done = end(process)
    lost = f"not run to its end: its node was lost (Slurm job {job}_2 on {node})"
    assert done.code == 3 and done.stdout.decode().count(f"    {lost}") == 2, done
    assert printed(slow.report()) == printed(done)
    slow.slurm.start_node(node)  # which ends what it finds there
    assert within(200, lambda: slow.slurm.is_up(node))


def test_node_is_lost_and_keeps_writing(slow: Batch) -> None:
    """The part begins again on the other node; both write, each into its own file."""
    process = slow.start("-j", "1")
    job = slow.job_with_slow_case()
    node = _lose_node(slow.slurm, f"{job}_2")
    _run_again(slow)
    done = end(process)
    slow.slurm.start_node(node)
    assert done.code == 0 and b"4 passed" in done.stdout, done
    wait_for(lambda: (slow.directory / "2.0.jsonl").read_bytes().count(b"\n") == 3)
    assert printed(slow.report()) == printed(done)
    assert within(200, lambda: slow.slurm.is_up(node))


def test_queue_does_not_answer(slow: Batch, tmp_path: pathlib.Path) -> None:
    """An error, or no job, is no answer: it is asked again. And what waits in vain is named."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "squeue").write_text(SQUEUE)
    (tmp_path / "bin" / "squeue").chmod(0o755)
    process = slow.start(env={"PATH": f"{tmp_path}/bin:{slow.command.environment['PATH']}"})
    slow.job_with_slow_case()
    wait_for(lambda: (tmp_path / "bin" / "squeue.count").exists())
    wait_for(lambda: (tmp_path / "bin" / "squeue.count").read_text() == "3\n")
    slow.open_gate()
    done = end(process)
    assert done.code == 0 and b"Unable to contact slurm controller" in done.stderr, done
    assert b" waits: JobHeldAdmin; see 'scontrol show job " in done.stderr, done


def test_time_limit(expiring: tuple[Batch, subprocess.Popen[bytes]]) -> None:
    """At its time limit a part gets SIGTERM, and writes what it has."""
    batch, process = expiring
    done = end(process)
    text = done.stdout.decode()
    assert done.code == 3 and "2 passed, 1 error, 1 skipped" in text, done
    assert "    interrupted: its job was over its time limit, 00:01:00 (Slurm job" in text, text
    assert printed(batch.report()) == printed(done)
