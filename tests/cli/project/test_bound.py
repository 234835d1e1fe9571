"""Services that are bound to others: they end with these, and start again with them."""

from __future__ import annotations

import json
import pathlib

import pytest
from lab.command import Command

pytestmark = pytest.mark.root

SLEEPER = "image: alpine, network_mode: none, init: true, command: sleep 1000"
COMPOSE = f"""
name: bound
services:
  db: {{{SLEEPER}}}
  web: {{{SLEEPER}, depends_on: {{db: {{condition: service_started, bound: true}}}}}}
  proxy: {{{SLEEPER}, depends_on: {{web: {{condition: service_started, bound: true}}}}}}
  other: {{{SLEEPER}, depends_on: [db]}}
"""


def _starts(alpine: Command, *names: str) -> dict[str, tuple[str, str]]:
    """The state of each container, and when it was started."""
    found = json.loads(alpine("inspect", *(f"bound-{name}-1" for name in names)).stdout)
    return {
        name: (each["State"]["Status"], each["State"]["StartedAt"]) for name, each in zip(names, found, strict=True)
    }


@pytest.mark.parametrize("words", [("compose", "restart", "db"), ("restart", "bound-db-1")])
def test_a_restart_restarts_what_is_bound(alpine: Command, tmp_path: pathlib.Path, words: tuple[str, ...]) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    names = ("db", "web", "proxy", "other")
    assert alpine("up", "-d", cwd=tmp_path).code == 0
    before = _starts(alpine, *names)
    done = alpine(*words, cwd=tmp_path)
    after = _starts(alpine, *names)
    assert alpine("down", "-t", "0", cwd=tmp_path).code == 0
    assert done.code == 0 and done.stdout.split() == [b"bound-db-1", b"bound-web-1", b"bound-proxy-1"], done
    assert {state for state, _ in after.values()} == {"running"}
    assert [name for name in names if before[name] == after[name]] == ["other"]


def test_what_had_ended_stays(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    assert alpine("up", "-d", cwd=tmp_path).code == 0
    assert alpine("stop", "-t", "0", "bound-proxy-1").code == 0
    done = alpine("restart", "bound-db-1")
    after = _starts(alpine, "web", "proxy")
    assert alpine("down", "-t", "0", cwd=tmp_path).code == 0
    assert done.stdout.split() == [b"bound-db-1", b"bound-web-1"]
    assert [state for state, _ in after.values()] == ["running", "exited"]
