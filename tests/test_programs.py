"""Host programs: found, named when missing, and run."""

from __future__ import annotations

import pathlib

import pytest

from mydocker import programs
from mydocker.errors import HostError


def test_a_program_is_found_whatever_the_caller_s_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert pathlib.Path(programs.find("cat")).is_absolute()


def test_a_missing_program_names_its_package(tmp_path: pathlib.Path) -> None:
    (tmp_path / "newuidmap").mkdir()  # a directory is no program
    with pytest.raises(HostError, match="newuidmap is not installed") as caught:
        programs.find("newuidmap", path=str(tmp_path))
    assert caught.value.hint == "install the package uidmap"


def test_run_gives_exactly_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    assert programs.run("cat", stdin=b"\0raw\xff") == b"\0raw\xff"
    assert programs.run("printf", "%s|", "two words", "*") == b"two words|*|"
    assert b"SECRET" not in programs.run("env")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo why >&2; exit 3", "sh failed with status 3: why"),
        ("exit 1", "sh failed with status 1: it printed nothing"),
        ("printf '\\033[2Ja\\nb' >&2; exit 1", "a; b"),
        ("kill -9 $$", "sh failed with status -9"),
    ],
)
def test_a_failure_says_what_the_program_said(script: str, words: str) -> None:
    with pytest.raises(HostError) as caught:
        programs.run("sh", "-c", script)
    assert words in caught.value.message and "\x1b" not in caught.value.message


WRECKS = {
    "another machine's": (b"\x7fELF" + b"junk" * 20, 0o755, "exec format error"),
    "no first line": (b"echo hello\n", 0o755, "exec format error"),
    "empty": (b"", 0o755, "exec format error"),
    "no interpreter": (b"#!/nonesuch/sh\n", 0o755, "does not exist"),
    "not executable": (b"#!/bin/sh\n", 0o644, "is not executable"),
}


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("wreck", WRECKS)
def test_a_program_that_cannot_be_executed_is_named(
    wreck: str, together: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents, mode, words = WRECKS[wreck]
    program = tmp_path / "newuidmap"
    program.write_bytes(contents)
    program.chmod(mode)
    find = programs.find
    monkeypatch.setattr(programs, "find", lambda name, path=str(tmp_path): find(name, path=path))
    with pytest.raises(HostError, match=f"cannot run newuidmap.*{words}"):
        if together:
            programs.run_together([("newuidmap", "1")])
        else:
            programs.run("newuidmap", path=str(tmp_path))


def test_a_program_behind_one_that_cannot_be_executed_is_found(tmp_path: pathlib.Path) -> None:
    for name, mode in (("first", 0o644), ("second", 0o755)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tool").touch()
        (tmp_path / name / "tool").chmod(mode)
    assert programs.find("tool", path=f"{tmp_path}/first:{tmp_path}/second") == f"{tmp_path}/second/tool"


def test_a_program_that_does_not_end_is_killed() -> None:
    with pytest.raises(HostError, match=r"^sleep did not end within 0\.2 s, and was killed$"):
        programs.run("sleep", "100", timeout=0.2)
