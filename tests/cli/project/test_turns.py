"""Several commands on one project at once: each `up` has its turn."""

from __future__ import annotations

import fcntl
import os
import pathlib

import pytest
from lab.command import Command

pytestmark = pytest.mark.root

SLEEPER = "{image: alpine, network_mode: none, init: true, command: sleep 1000}"


@pytest.fixture
def shop(alpine: Command, tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "compose.yaml").write_text(f"name: turns\nservices:\n  web: {SLEEPER}\n  db: {SLEEPER}\n")
    return tmp_path


def test_each_up_begins_when_the_one_before_has_started_all(alpine: Command, shop: pathlib.Path) -> None:
    processes = [alpine.start("up", "-d", cwd=shop) for _ in range(3)]
    ended = [(process.communicate(), process.returncode) for process in processes]
    names = alpine("ps", "-q", "--filter", "name=turns-", cwd=shop).stdout.split()
    assert alpine("down", "-t", "0", cwd=shop).code == 0
    assert [code for _, code in ended] == [0, 0, 0], ended
    assert len(names) == 2


@pytest.mark.parametrize("words", [("up", "-d"), ("compose", "run", "web", "true")])
def test_a_wait_is_said_and_can_be_interrupted(alpine: Command, shop: pathlib.Path, words: tuple[str, ...]) -> None:
    (shop / "compose.yaml").write_text(
        f"name: turns\nservices:\n  web: {SLEEPER[:-1]}, depends_on: [db]}}\n  db: {SLEEPER}\n"
    )
    names = alpine.store / "background" / "names"
    names.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(names / ".project-turns", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    process = alpine.start(*words, cwd=shop)
    assert process.stderr
    assert b"waiting for another 'up'" in process.stderr.readline()
    process.send_signal(2)
    process.communicate()
    os.close(descriptor)
    assert process.returncode == 130
    assert alpine("ps", "-aq", "--filter", "name=turns-").stdout == b""
