"""The spawner: it is small, its workers are children of the batch, and it can be done without."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from lab.command import Command

from mydocker.testing.batch.spawner import Spawner

# what only the batch itself needs: it reads files, judges and reports
LARGE = {"argparse", "datetime", "hashlib", "locale", "yaml", "mydocker.specs.fields", "mydocker.verdict"}
MODULES = "import sys; import mydocker.testing.batch.spawner; print(*sys.modules)"


@pytest.fixture
def running() -> Iterator[Spawner]:
    with Spawner({}) as running:
        yield running


def _spawned(running: Spawner) -> tuple[int, int]:
    """A worker, which has ended by now: its parent, and its wait status."""
    pid, pidfd, orders = running.spawn()
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    [parent] = re.findall(r"^PPid:\t(\d+)$", status, re.MULTILINE)
    orders.close()
    os.close(pidfd)
    return int(parent), os.waitpid(pid, 0)[1]


def test_a_worker_is_a_child_of_who_asks_for_it(running: Spawner) -> None:
    assert _spawned(running) == (os.getpid(), 0)
    assert int(pathlib.Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()[1]) == os.getpid()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_is_killed_or_stopped_is_replaced(running: Spawner, number: signal.Signals) -> None:
    first = running.pid
    os.kill(first, number)
    assert running.channel
    running.channel.settimeout(0.05)
    assert _spawned(running) == (os.getpid(), 0)
    assert running.pid != first and not pathlib.Path(f"/proc/{first}").exists()


def test_it_ends_with_who_has_started_it(running: Spawner) -> None:
    last = running.pid
    running.end()
    with pytest.raises(ChildProcessError):
        os.waitpid(last, 0)


def test_it_has_nothing_in_memory_that_workers_do_not_need() -> None:
    done = subprocess.run([sys.executable, "-c", MODULES], check=True, capture_output=True, text=True)
    assert not LARGE & {*done.stdout.split()}


@pytest.mark.root
def test_a_worker_imports_nothing(alpine: Command, tmp_path: pathlib.Path) -> None:
    """All that it needs for such a case, the spawner has imported; the other processes are not looked at."""
    case = "{image: alpine, command: ['true'], network_mode: none, expect: {stdout: ''}}\n"
    (tmp_path / "x.smoke.yaml").write_text(case)
    trace = tmp_path / "trace"
    watched = replace(alpine, prefix=["strace", "-f", "-qq", "-e", "trace=openat,clone", "-o", str(trace)])
    done = watched("test", "-j", "1", "x.smoke.yaml", cwd=tmp_path)
    assert done.code == 0
    lines = trace.read_text().splitlines()
    [worker] = {line.split()[0] for line in lines if "CLONE_NEWPID" in line}
    opened = [line for line in lines if re.match(rf"{worker} +openat\(", line)]
    assert opened and not [line for line in opened if re.search(r"\.(py|pyc|so)\b", line)]
