"""Paused containers: nothing of them runs, and nothing is left of that."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lab.command import Command
from lab.processes import sleeping, within

pytestmark = pytest.mark.root

COUNT = "while :; do echo x >> /count; sleep 0.01; done"


@contextmanager
def counting(alpine: Command, name: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    process = alpine.start("run", "--name", name, *options, "alpine", "sh", "-c", f"{COUNT} & {COUNT}")
    try:
        assert within(100, lambda: alpine("exec", name, "test", "-s", "/count").code == 0)
        yield process
    finally:
        process.kill()
        process.communicate()


def _count(alpine: Command) -> int:
    """The lines that the container has written: its file, as the store has it."""
    [file] = (alpine.store / "containers").glob("*/scratch/upper/count")
    return file.stat().st_size


def _cgroups(run_dir: str) -> list[str]:
    found = os.walk("/sys/fs/cgroup")  # which passes over what others remove meanwhile
    return [f"{top}/{name}" for top, names, _ in found for name in names if name.startswith(f"mydocker-{run_dir}")]


@pytest.mark.parametrize("options", [(), ("--memory", "100m"), ("--pid", "host")])
def test_nothing_runs_until_it_is_unpaused(alpine: Command, options: tuple[str, ...], tmp_path: pathlib.Path) -> None:
    mydocker = _alone(alpine, tmp_path)
    with counting(mydocker, "paused", *options):
        assert mydocker("pause", "paused").stdout == b"paused\n"
        before = _count(mydocker)
        time.sleep(0.3)
        assert _count(mydocker) == before
        again = mydocker("pause", "paused")
        assert again.code == 1 and b"already paused" in again.stderr
        entered = mydocker("exec", "paused", "true")
        assert entered.code == 1 and b"is paused" in entered.stderr
        assert mydocker("unpause", "paused").stdout == b"paused\n"
        assert within(100, lambda: _count(mydocker) > before)
        again = mydocker("unpause", "paused")
        assert again.code == 1 and b"is not paused" in again.stderr


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_paused_container_can_be_ended(alpine: Command, tmp_path: pathlib.Path, how: signal.Signals) -> None:
    mydocker = _alone(alpine, tmp_path)
    mark = f"39{os.getpid()}{int(how)}"
    process = mydocker.start("run", "--name", "frozen", "alpine", "sleep", mark)
    try:
        assert within(100, lambda: mydocker("exec", "frozen", "true").code == 0)
        [run_dir] = os.listdir(mydocker.store / "containers")
        assert mydocker("pause", "frozen").code == 0
        process.send_signal(how)
        assert within(100, lambda: process.send_signal(how) is None and process.poll() is not None)  # Ctrl-C, twice
        process.communicate(timeout=240)
        assert within(100, lambda: sleeping(mark) == [] and os.listdir(mydocker.store / "containers") == [])
        assert within(100, lambda: _cgroups(run_dir) == [])
    finally:
        process.kill()
        process.communicate()


def _alone(alpine: Command, tmp_path: pathlib.Path) -> Command:
    """The command with a store of its own, which has the image."""
    archive = tmp_path / "alpine.tar"
    assert alpine("save", "-o", str(archive), "alpine").code == 0
    store = tmp_path / "store"
    mydocker = Command(
        alpine.program, {**alpine.environment, "MYDOCKER_ROOT": str(store)}, alpine.directory, store=store
    )
    assert mydocker("load", "-i", str(archive)).code == 0
    return mydocker
