"""The pytest fixtures for containers that live as long as their scope, in pytests of their own."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest
from lab.command import NO_OTHER_PLUGINS, Command
from lab.places import ROOT

pytestmark = pytest.mark.root


def _pytest(directory: pathlib.Path, *words: str) -> tuple[str, int]:
    """What a pytest in DIRECTORY writes, and its exit code."""
    plugins = [] if "-n" in words else NO_OTHER_PLUGINS
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--strict-markers", *plugins, *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, env={**environment, "COLUMNS": "200"})
    assert done.stderr == ""
    return done.stdout, done.returncode


def _verdicts(text: str) -> dict[str, str]:
    return {name: word for word, name in re.findall(r"^(PASSED|FAILED|ERROR) \S+?::(\w+)", text, re.MULTILINE)}


def _left(alpine: Command) -> list[str]:
    path = alpine.store / "background"
    return [name for name in os.listdir(path) if name != "names" and not name.startswith(".")] if path.exists() else []


CONFTEST = """
import mydocker
SCRIPT = "echo line >> /srv/lines; echo up $(hostname); exec sleep 600"
shared = mydocker.fixture("alpine", "sh", "-c", SCRIPT, scope="session", wait_for={"log": "^up"})
"""
TESTS = """
import mydocker, pytest
own = mydocker.fixture("alpine", ["sh", "-c", "echo mine; exec sleep 600"])
module = mydocker.fixture("alpine", ["sleep", "600"], scope="module")
ids = {}

def test_first(shared, own, module):
    assert isinstance(shared, mydocker.Container) and shared.status == "running"
    ids.update(shared=shared.id, own=own.id, module=module.id)

def test_second(shared, own, module):
    assert (shared.id, module.id) == (ids["shared"], ids["module"])
    assert own.id != ids["own"]

def test_fails(shared):
    assert shared.exec("wc", "-l", "/srv/lines").stdout == "2 /srv/lines"

def test_starts(mydocker_start):
    one, other = mydocker_start("alpine", "sleep", "600"), mydocker_start("alpine", "echo", "a")
    assert one.id != other.id and other.wait().stdout == "a\\n"
    assert 0

def test_starts_and_fails(mydocker_start):
    it = mydocker_start("alpine", "sh", "-c", "echo '::error::the reason'; exit 3")
    assert it.wait().exit_code == 0

def test_passes(mydocker_start):
    mydocker_start("alpine", "echo", "not shown").wait()
"""


def test_containers_live_as_long_as_their_scope(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_x.py").write_text(TESTS)
    text, code = _pytest(tmp_path)
    assert _verdicts(text) == {
        "test_first": "PASSED",
        "test_second": "PASSED",
        "test_passes": "PASSED",
        "test_fails": "FAILED",
        "test_starts": "FAILED",
        "test_starts_and_fails": "FAILED",
    }, text
    assert code == 1 and _left(alpine) == []
    logs = dict(re.findall(r"-+ Captured log of (.*) call -+\n(.*)\n", text))
    assert len(logs) == 3, text
    assert re.fullmatch("up [0-9a-f]{12}", logs[next(name for name in logs if "/srv/lines" in name)])
    assert logs["alpine echo a"] == "a"
    assert [text for name, text in logs.items() if "reason" in name] == [r"\x3a:error::the reason"]
    assert "not shown" not in re.findall(r"^-+ Captured log.*", text, re.MULTILINE)


BROKEN = """
import mydocker
db = mydocker.fixture("alpine", ["sh", "-c", "echo no data; exit 9"], wait_for={"port": 80})
def test_it(db): pass
"""


def test_a_container_that_does_not_become_ready_is_an_error_of_its_tests(
    alpine: Command, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "test_x.py").write_text(BROKEN)
    text, code = _pytest(tmp_path)
    assert (_verdicts(text), code) == ({"test_it": "ERROR"}, 1)
    assert "has ended (exit code 9), waiting for port 80/tcp to listen" in text
    assert "no data" in text and _left(alpine) == []


def test_workers_of_xdist_have_containers_of_their_own(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    test = "def test_{0}(shared): assert shared.exec('wc', '-l', '/srv/lines').stdout == '1 /srv/lines\\n'\n"
    (tmp_path / "test_x.py").write_text("".join(test.format(number) for number in range(4)))
    text, code = _pytest(tmp_path, "-n", "2")
    assert ({*_verdicts(text).values()}, code) == ({"PASSED"}, 0), text
    assert _left(alpine) == []


def test_the_example(alpine: Command) -> None:
    text, code = _pytest(ROOT / "examples", "test_web.py")
    assert code == 0 and "4 passed" in text, text
    assert _left(alpine) == []
