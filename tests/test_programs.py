"""Host programs: found, named when missing, and run."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys

import pytest
from lab.processes import sleeping, wait_for, within_a_second

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
            programs.Running([("newuidmap", "1")])
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


def _start(script: str, out: int, *, path: str = programs.PATH) -> programs.Background:
    environment = {"PATH": programs.PATH, "A": "1"}
    return programs.start("sh", "-c", script, environment=environment, path=path, stdout=out, stderr=out)


def test_a_program_in_the_background(tmp_path: pathlib.Path) -> None:
    """It has its own streams, environment, process group and no signal blocked, and is killed if that is wanted."""
    with (tmp_path / "out").open("wb") as out:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        try:
            one = _start("env; echo error >&2; grep SigBlk /proc/self/status; ps -o pgid= $$; exit 3", out.fileno())
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        wait_for(lambda: one.status() is not None)
        assert one.status() == 3
        endless = _start("exec sleep 1000", out.fileno())
        assert endless.status() is None
        endless.end()
        endless.end()
        assert endless.status() == -signal.SIGKILL
    lines = (tmp_path / "out").read_text().split("\n")
    assert {"A=1", "error", "SigBlk:\t0000000000000000"} <= {*lines} and str(one.process) in lines[-2]
    (tmp_path / "sh").write_bytes(b"\x7fELF" + b"junk" * 20)
    (tmp_path / "sh").chmod(0o755)
    with (tmp_path / "out").open("wb") as out:
        broken = _start("exit 0", out.fileno(), path=str(tmp_path))
        wait_for(lambda: broken.status() is not None)
        assert broken.status() == 127
        with pytest.raises(HostError, match="sh is not installed"):
            _start("exit 0", out.fileno(), path="/nonexistent")


def test_a_program_in_the_background_ends_with_this_process(tmp_path: pathlib.Path) -> None:
    code = (
        "import os; from mydocker import programs; "
        "programs.start('sleep', '98761', environment={}, path=programs.PATH, stdout=1, stderr=2); "
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert within_a_second(lambda: not sleeping("98761"))
