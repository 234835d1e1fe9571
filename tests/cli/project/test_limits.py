"""Limits of services that the host cannot apply: a warning for each, and the service starts without them."""

from __future__ import annotations

import os
import pathlib
import pwd

import pytest
from lab.command import Command

pytestmark = pytest.mark.root

COMPOSE = """
services:
  web:
    image: alpine
    network_mode: none
    command: echo started
    ulimits: {nofile: 64}
    KEYS
"""
LIMITS = [  # keys of a service, and what the warnings name
    ("mem_limit: 64m", ["memory"]),
    ("deploy: {resources: {limits: {memory: 64m, cpus: '0.5', pids: 9}}}", ["memory", "processor time", "processes"]),
    ("cpuset: '0'", ["processors"]),
    ("mem_reservation: 64m", ["memory"]),
]


def _write(folder: pathlib.Path, keys: str, command: str = "echo started") -> None:
    (folder / "compose.yaml").write_text(COMPOSE.replace("KEYS", keys).replace("echo started", command))


@pytest.mark.parametrize(("keys", "limits"), LIMITS)
@pytest.mark.parametrize("words", [("up", "--no-log-prefix"), ("compose", "run", "web")])
def test_an_ordinary_user_without_cgroups(
    second_user: Command, user: pwd.struct_passwd, keys: str, limits: list[str], words: tuple[str, ...]
) -> None:
    folder = second_user.directory / "limits"
    folder.mkdir()
    os.chown(folder, user.pw_uid, user.pw_gid)
    _write(folder, keys)
    done = second_user(*words, cwd=folder)
    assert (done.code, done.stdout) == (0, b"started\n"), done.stderr
    lines = [line for line in done.stderr.decode().splitlines() if "starts without this limit" in line]
    assert len(lines) == len(limits)
    for line, limit in zip(lines, limits, strict=True):
        assert line.startswith(f"warning: web-1 starts without this limit: cannot limit {limit}"), line
        assert "(hint: " in line


def test_what_root_can_limit_is_limited(alpine: Command, tmp_path: pathlib.Path) -> None:
    _write(tmp_path, "pids_limit: 3", "[sh, -c, 'sleep 60 & sleep 60 & sleep 60 & sleep 60 & wait']")
    done = alpine("up", cwd=tmp_path)
    assert b"can't fork" in done.stderr + done.stdout and b"warning" not in done.stderr, done


def test_a_processor_that_is_not_there_is_an_error(alpine: Command, tmp_path: pathlib.Path) -> None:
    _write(tmp_path, "cpuset: '4000'")
    done = alpine("up", cwd=tmp_path)
    assert done.code == 125 and b"has no processor 4000" in done.stderr
