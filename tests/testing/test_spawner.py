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
@pytest.mark.parametrize("more", [["--list"], ["-j", "1"]])
def test_a_caller_may_have_sigchld_ignored(alpine: Command, tmp_path: pathlib.Path, more: list[str]) -> None:
    """Then the kernel waits for the spawner, and its workers wait for their own processes all the same."""
    (tmp_path / "x.smoke.yaml").write_text("{image: alpine, command: ['true'], network_mode: none}\n")
    ignoring = replace(alpine, prefix=["env", "--ignore-signal=CHLD"])
    done = ignoring("test", *more, "x.smoke.yaml", cwd=tmp_path)
    assert (done.code, done.stderr) == (0, b"")
