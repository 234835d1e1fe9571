"""Limits on a host with cgroup v2 alone: which cgroup becomes the container's parent, delegation, what is refused.

Run in the virtual machine of test_qemu_cgroup2.py, as its only tenant.
"""

from __future__ import annotations

import json
import os
import pathlib
import pwd
from collections.abc import Iterator

import pytest
from lab.command import Command, Result

pytestmark = [pytest.mark.root, pytest.mark.guest]

TOP = pathlib.Path("/sys/fs/cgroup")
MEMORY = ("alpine", "cat", "/sys/fs/cgroup/memory.max")


def _in_cgroup(command: Command, cgroup: pathlib.Path) -> Command:
    """COMMAND, started in CGROUP."""
    prefix = ["sh", "-c", f'echo $$ > {cgroup}/cgroup.procs && exec "$@"', "sh", *command.prefix]
    return Command(command.program, command.environment, command.directory, prefix, command.store)


def _remove(cgroup: pathlib.Path) -> None:
    for path in sorted(cgroup.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
    cgroup.rmdir()


@pytest.fixture
def session() -> Iterator[pathlib.Path]:
    """A cgroup as a login session has it, with processes in it and nothing handed down."""
    path = TOP / "session"
    path.mkdir()
    yield path
    _remove(path)


@pytest.fixture
def delegated(user: pwd.struct_passwd) -> Iterator[pathlib.Path]:
    """A cgroup that belongs to `user`, as systemd delegates one ("Delegation"), with one below for the session."""
    (TOP / "cgroup.subtree_control").write_text("+memory +pids -cpu -cpuset")
    path = TOP / "delegated"
    path.mkdir()
    (path / "cgroup.subtree_control").write_text("+memory +pids")
    (path / "session").mkdir()
    for name in ("", "cgroup.procs", "cgroup.subtree_control", "session", "session/cgroup.procs"):
        os.chown(path / name, user.pw_uid, user.pw_gid)
    yield path
    _remove(path)


def test_this_is_cgroup_v2() -> None:
    assert (TOP / "cgroup.controllers").exists()


def test_a_session_that_hands_nothing_down(alpine: Command, session: pathlib.Path) -> None:
    """Its own cgroup has processes, so cannot have children with controllers: the one above can."""
    inside = _in_cgroup(alpine, session)
    assert inside("run", "-m", "64m", *MEMORY) == Result(b"67108864\n", b"", 0)
    assert inside("run", "-m", "16m", "alpine", "tail", "/dev/zero").code == 137
    assert [path.name for path in session.iterdir() if path.is_dir()] == []


def test_no_limit_stays_in_the_callers_cgroup(alpine: Command, session: pathlib.Path) -> None:
    done = _in_cgroup(alpine, session)("run", "--namespaces", "mount,pid", "alpine", "cat", "/proc/self/cgroup")
    assert done.stdout == b"0::/session\n"


def test_swap_is_limited_apart(alpine: Command) -> None:
    show = ("alpine", "cat", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.swap.max")
    assert alpine("run", "-m", "64m", *show).stdout == b"67108864\n67108864\n"
    assert alpine("run", "-m", "64m", "--memory-swap", "96m", *show).stdout == b"67108864\n33554432\n"
    assert alpine("run", "-m", "64m", "--memory-swap", "-1", *show).stdout == b"67108864\nmax\n"


def test_an_ordinary_user_with_a_delegated_cgroup(second_user: Command, delegated: pathlib.Path) -> None:
    inside = _in_cgroup(second_user, delegated / "session")
    assert inside("run", "-m", "64m", "--pids-limit", "20", *MEMORY) == Result(b"67108864\n", b"", 0)
    result = second_user.directory / "result.json"
    words = ("run", "--result", str(result), "-m", "16m", "--memory-swap", "16m", "alpine", "tail", "/dev/zero")
    assert inside(*words).code == 137
    line = json.loads(result.read_text())
    assert line["oom_killed"] is True
    assert 8 << 20 < line["max_rss"] <= 16 << 20
    assert line["cpu"] > 0
    assert [path.name for path in delegated.iterdir() if path.is_dir()] == ["session"]


def test_what_was_not_delegated_is_an_error(second_user: Command, delegated: pathlib.Path) -> None:
    done = _in_cgroup(second_user, delegated / "session")("run", "--cpus", "0.5", "alpine", "true")
    message, hint = done.stderr.decode().splitlines()
    assert message.startswith("mydocker: cannot limit processor time: ")
    assert "cpu" in message
    assert "systemd-run --user --scope" in hint
    assert done.code == 125


def test_kill_leaves_no_delegated_cgroup(second_user: Command, delegated: pathlib.Path) -> None:
    inside = _in_cgroup(second_user, delegated / "session")
    process = inside.start("run", "-m", "64m", "alpine", "sh", "-c", "echo ready; sleep 60; true")
    assert process.stdout and process.stdout.readline() == b"ready\n"
    [cgroup] = delegated.glob("mydocker-*")
    process.kill()
    process.communicate()
    assert inside("run", "alpine", "true").code == 0  # sweeps, should the cleanup process not have been there yet
    assert not cgroup.exists()
