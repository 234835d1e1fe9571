"""The Makefile, and the hooks of pre-commit, as CONTRIBUTING.md describes them. make itself need not be installed."""

from __future__ import annotations

import pathlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest
import yaml
from lab.places import ROOT

TEXT = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z]+):", TEXT, re.MULTILINE))


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md"])
def test_each_target_that_a_page_names_exists(page: str) -> None:
    named = set(re.findall(r"^make (\w+)|`make (\w+)`", (ROOT / page).read_text(), re.MULTILINE))
    assert {one or other for one, other in named} <= TARGETS


def test_the_targets_run_programs_of_the_environment() -> None:
    names = set(re.findall(r"\$\(BIN\)(\w+)", TEXT))
    assert names == {"pytest", "ruff", "mypy", "mydocker"}
    for name in names:
        assert pathlib.Path(sys.executable).with_name(name).exists()


_LIST = """
import gc, sys, pytest

gc.disable()  # all that is made stays to the end

class Chosen:
    def pytest_collection_finish(self, session):
        for item in session.items:
            print("chosen", item.nodeid.partition("::")[0], *{marker.name for marker in item.iter_markers()})

sys.exit(pytest.main(["--collect-only", "-qq", "-m", "unit"], plugins=[Chosen()]))
"""


def test_what_unit_is() -> None:
    """Many tests, and none that needs more than this process's rights, or another runtime."""
    done = subprocess.run([sys.executable, "-c", _LIST], cwd=ROOT, capture_output=True, text=True)
    chosen = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("chosen ")]
    assert len(chosen) > 3000, done
    assert [words for words in chosen if {"root", "rootless", "nested", "qemu", "guest"} & {*words[1:]}] == []
    assert [words for words in chosen if words[0].startswith("tests/parity")] == []


def test_the_hooks_check_what_lint_checks() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    programs = [shlex.split(hook["entry"])[:2] for hook in hooks if hook["entry"].startswith(".venv")]
    lint = re.findall(r"\$\(BIN\)(\w+ ?\w*)", TEXT.partition("\nlint:")[2].partition("\n\n")[0])
    assert [" ".join(words).removeprefix(".venv/bin/") for words in programs] == lint


@pytest.fixture
def parity(tmp_path: pathlib.Path) -> Callable[..., tuple[int, str, bool]]:
    """A function: the exit code of .ci/parity with some words, what it prints, and whether tests ran, in a copy where
    these end with `code`."""
    for name in (".ci", "tests/lab", "tests/parity"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tests/conftest.py", tmp_path / "tests")
    (tmp_path / "tests/parity/passed.txt").write_text("docker.io 1, tests 0\n")
    pytest_there = tmp_path / ".venv/bin/pytest"
    pytest_there.parent.mkdir(parents=True)

    def run(*words: str, code: int = 0) -> tuple[int, str, bool]:
        pytest_there.write_text(f'#!/bin/sh\necho "$RUNTIME $CI $*" > {tmp_path}/ran\nexit {code}\n')
        pytest_there.chmod(0o755)
        done = subprocess.run([tmp_path / ".ci/parity", *words], capture_output=True, text=True)
        assert done.stderr == ""
        ran = tmp_path / "ran"
        if has_run := ran.exists():
            assert ran.read_text() == "docker true tests/parity\n"
            ran.unlink()
        return done.returncode, done.stdout, has_run

    return run


@pytest.mark.root
def test_what_docker_has_passed_is_not_run_again_until_a_test_changes(
    parity: Callable[..., tuple[int, str, bool]], tmp_path: pathlib.Path
) -> None:
    passed = tmp_path / "tests/parity/passed.txt"
    assert parity("docker") == (0, "", True)
    assert parity("docker", code=1) == parity("docker", "--record", code=1) == (1, "", True)
    assert passed.read_text() == "docker.io 1, tests 0\n"
    assert parity("docker", "--record") == (0, "", True)
    [docker] = passed.read_text().splitlines()
    assert re.fullmatch(r"containerd \S+, docker\.io \S+, runc \S+, tests \w{16}", docker)
    another = f"docker.io 1, {docker.rpartition(', ')[2]}"
    passed.write_text(f"{docker}\n{another}\n")
    assert parity("docker") == (0, f"{docker}: passed before\n", False)
    assert parity("docker", "--record") == (0, "", True)
    assert sorted(passed.read_text().splitlines()) == sorted([docker, another])
    assert parity("docker") == (0, f"{docker}: passed before\n", False)
    for changed in ("tests/parity/known.py", "tests/lab/catch.c", "tests/conftest.py"):
        assert parity("docker")[2] is False
        with (tmp_path / changed).open("a") as file:
            file.write("\n")
        assert parity("docker")[2] is True
        assert parity("docker", "--record")[0] == 0
