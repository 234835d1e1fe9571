"""What a Compose file names and this machine lacks: it matters to the services that start, and to no others."""

from __future__ import annotations

import pathlib

import pytest
from lab.command import Command

pytestmark = pytest.mark.root

COMPOSE = """
services:
  web: {image: alpine, network_mode: none, command: echo up}
  debug: {image: alpine, network_mode: none, command: echo debug, profiles: [debug], KEY}
  needs: {image: alpine, network_mode: none, command: echo needs, profiles: [other], depends_on: [debug]}
configs: {app: {file: ./gone}}
secrets: {token: {environment: GONE}}
"""
ABSENT = [  # a key of the service that does not start, and what the message names
    ("env_file: gone", "gone': no such file or directory"),
    ("env_file: [{path: gone, format: raw}]", "gone': no such file or directory"),
    ("label_file: gone", "label file '"),
    ("configs: [{source: app, mode: 0400}]", "gone: no such file or directory"),
    ("secrets: [token]", "variable GONE is needed and not set"),
]
STARTS = [  # the words after `up`, and whether the service that lacks something starts with them
    ((), False),
    (("web",), False),
    (("--profile", "debug"), True),
    (("debug",), True),
    (("--profile", "*", "needs"), True),
    (("--no-deps", "needs"), False),
]


def _write(directory: pathlib.Path, key: str) -> None:
    (directory / "compose.yaml").write_text(COMPOSE.replace("KEY", key))


@pytest.mark.parametrize(("key", "message"), ABSENT)
def test_what_is_absent_for_one_that_does_not_start(
    alpine: Command, tmp_path: pathlib.Path, key: str, message: str
) -> None:
    _write(tmp_path, key)
    done = alpine("up", "--no-log-prefix", cwd=tmp_path)
    assert (done.code, done.stdout) == (0, b"up\n"), done.stderr
    failed = alpine("up", "debug", cwd=tmp_path)
    assert failed.code == 125 and message in failed.stderr.decode()
    assert failed.stderr.startswith(b"compose.yaml:"), failed.stderr


@pytest.mark.parametrize(("words", "starts"), STARTS)
def test_which_services_start(alpine: Command, tmp_path: pathlib.Path, words: tuple[str, ...], starts: bool) -> None:
    _write(tmp_path, "env_file: gone")
    done = alpine("up", *words, cwd=tmp_path)
    assert done.code == (125 if starts else 0), done.stderr
    assert (b"gone" in done.stderr) is starts


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("config", "--services"), 0),
        (("config",), 0),
        (("config", "debug"), 125),
        (("config", "--profile", "debug"), 125),
        (("explain",), 0),
        (("unit",), 0),
        (("compose", "run", "web"), 0),
        (("compose", "run", "debug"), 125),
        (("compose", "build"), 0),
        (("check",), 0),
    ],
)
def test_other_commands(alpine: Command, tmp_path: pathlib.Path, words: tuple[str, ...], code: int) -> None:
    _write(tmp_path, "env_file: gone")
    done = alpine(*words, cwd=tmp_path)
    assert done.code == code, done.stderr
