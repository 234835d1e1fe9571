"""The Makefile, and the hooks of pre-commit, as CONTRIBUTING.md describes them. make itself need not be installed."""

from __future__ import annotations

import pathlib
import re
import shlex
import subprocess
import sys

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
