"""Host programs: found, named when missing, and run."""

from __future__ import annotations

import pathlib

import pytest

from mydocker import tools
from mydocker.errors import HostError


def test_a_program_is_found_whatever_the_caller_s_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert pathlib.Path(tools.find("cat")).is_absolute()


def test_a_missing_program_names_its_package(tmp_path: pathlib.Path) -> None:
    (tmp_path / "newuidmap").mkdir()  # a directory is no program
    with pytest.raises(HostError, match="newuidmap is not installed") as caught:
        tools.find("newuidmap", path=str(tmp_path))
    assert caught.value.hint == "install the package uidmap"


def test_run_gives_exactly_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    assert tools.run("cat", stdin=b"\0raw\xff") == b"\0raw\xff"
    assert tools.run("printf", "%s|", "two words", "*") == b"two words|*|"
    assert b"SECRET" not in tools.run("env")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo why >&2; exit 3", "sh failed with status 3: why"),
        ("exit 1", "sh failed with status 1: it said nothing"),
        ("printf '\\033[2Ja\\nb' >&2; exit 1", "a; b"),
        ("kill -9 $$", "sh failed with status -9"),
    ],
)
def test_a_failure_says_what_the_program_said(script: str, words: str) -> None:
    with pytest.raises(HostError) as caught:
        tools.run("sh", "-c", script)
    assert words in caught.value.message and "\x1b" not in caught.value.message
