"""The benchmarks' command lines and documents, with few runs. What they measure is no test's business."""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

import pytest
from lab.places import ROOT
from lab.processes import within

HERE = ROOT / "tests" / "bench"
SCRIPTS = ["start", "batch", "pull", "services", "network", "streams", "all", "compare"]
ONCE = ("--only", "start", "-n", "1")


@pytest.fixture
def empty(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where scripts put what they need for a while."""
    return tmp_path


def run(script: str, *words: str, temporary: pathlib.Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, HERE / f"{script}.py", *words]
    return subprocess.run(argv, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(temporary)})


def document(script: str, *words: str, temporary: pathlib.Path) -> Any:
    """What SCRIPT prints with --json, and nothing else; it leaves nothing behind."""
    done = run(script, *words, "--json", temporary=temporary)
    assert done.returncode == 0, done
    assert not list(temporary.iterdir())
    return json.loads(done.stdout)


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_says_what_it_takes(script: str, empty: pathlib.Path) -> None:
    done = run(script, "--help", temporary=empty)
    assert done.returncode == 0 and "--json" in done.stdout, done


@pytest.mark.parametrize(
    ("script", "words", "message"),
    [
        ("start", ["-n", "0"], "argument -n: must be 1 or more"),
        ("pull", ["--files", "many"], "argument --files: invalid count value: 'many'"),
        ("all", ["--only", "start,stop"], "unknown benchmark 'stop': there are start, batch, pull, services, network"),
        ("compare", ["HEAD"], "the following arguments are required: NEW"),
        ("compare", ["no-such-commit", sys.executable], "argument OLD: 'no-such-commit' is no commit of"),
        ("compare", ["--", sys.executable, "--all"], "argument NEW: '--all' is no commit of"),
        ("compare", [sys.executable, str(HERE / "large.py")], "large.py is a file, and no interpreter"),
        ("compare", [sys.executable, sys.executable, "--rounds", "-1"], "argument --rounds: must be 1 or more"),
    ],
)
def test_a_mistake_is_named(script: str, words: list[str], message: str, empty: pathlib.Path) -> None:
    done = run(script, *words, temporary=empty)
    assert done.returncode == 2 and not done.stdout, done
    assert message in done.stderr.splitlines()[-1]
    assert not list(empty.iterdir())


SUMMARY = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ------------------
  7.41    0.000891           3       283        40 newfstatat
  4.90    0.000589           2       117        17 futex
------ ----------- ----------- --------- --------- ------------------
100.00    0.012031           8      1449       147 total"""


@pytest.mark.parametrize(
    ("summary", "calls"),
    [
        (SUMMARY, 1332),
        (f"13150 ???( <detached ...>\n{SUMMARY}", 1332),
        (SUMMARY.replace("futex", "write"), 1449),
        (SUMMARY.replace("147 total", "    total"), 1332),
    ],
)
def test_system_calls_are_counted_but_for_waits(summary: str, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    assert importlib.import_module("figures").total_calls(summary.splitlines()) == calls


@pytest.mark.root
def test_a_benchmark_as_json(empty: pathlib.Path) -> None:
    found = document("start", "-n", "2", "--alone", temporary=empty)
    assert found["benchmark"] == "start"
    figures = {each.pop("name"): each for each in found["figures"]}
    runs = ["python -c pass", "python -c pass, processor", "mydocker run", "mydocker run, processor"]
    assert list(figures) == [*runs, "system calls of one run"]
    for name in runs:
        one, other = figures[name]["values"]
        assert figures[name] == {"unit": "ms", "values": [one, other], "median": (one + other) / 2} and one > 0
    assert figures["system calls of one run"]["median"] > 100


@pytest.mark.root
def test_all_give_ratios_next_to_what_is_wanted(empty: pathlib.Path) -> None:
    found = document("all", *ONCE, "--alone", temporary=empty)
    [one] = found["benchmarks"]
    assert one["benchmark"] == "start"
    medians = {each["name"]: each["median"] for each in one["figures"]}
    ratio = medians["mydocker run"] / medians["python -c pass"]
    ours, runc = found["ratios"]
    assert ours == {"name": "start / python -c pass", "found": ratio, "at_most": 1.8, "met": ratio <= 1.8}
    assert runc["found"] is runc["met"] is None  # it was not asked


@pytest.mark.root
def test_all_as_a_table(empty: pathlib.Path) -> None:
    done = run("all", *ONCE, "--alone", temporary=empty)
    assert done.returncode == 0 and not done.stderr, done
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["start", "median", "least", "most"] in lines and ["ratio", "found", "wanted"] in lines
    assert ["start", "/", "runc,", "where", "Python", "starts", "in", "10", "ms", "-", "<=", "1"] in lines


@pytest.mark.root
def test_two_are_compared_in_turn(empty: pathlib.Path) -> None:
    words = (sys.executable, sys.executable, *ONCE, "--rounds", "2")
    found = document("compare", *words, temporary=empty)
    assert found["old"] == found["new"] == sys.executable
    figures = {each["name"]: each for each in found["figures"]}
    ours = figures["mydocker run"]
    assert ours["benchmark"] == "start" and ours["unit"] == "ms"
    assert len(ours["old_values"]) == len(ours["new_values"]) == 2
    assert ours["ratio"] == pytest.approx(ours["new"] / ours["old"])
    calls = figures["system calls of one run"]
    assert calls["ratio"] == pytest.approx(1, abs=0.1)


@pytest.mark.root
def test_a_commit_gets_an_environment_of_its_own(empty: pathlib.Path) -> None:
    found = document("compare", "HEAD", sys.executable, *ONCE, "--rounds", "1", temporary=empty)
    assert found["old"].startswith("HEAD (")
    assert "mydocker run" in [each["name"] for each in found["figures"]]


@pytest.mark.root
def test_what_fails_is_named(empty: pathlib.Path) -> None:
    done = run("compare", "/bin/false", sys.executable, *ONCE, temporary=empty)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "start has failed: exit code 1\n")


@pytest.mark.root
def test_nothing_is_left_behind_by_one_that_is_ended(empty: pathlib.Path) -> None:
    argv = [sys.executable, HERE / "all.py", "--only", "start", "--alone", "-n", "100000"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(empty)}) as process:
        assert within(20, lambda: bool(list(empty.glob("*/store"))))  # it has begun
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 128 + signal.SIGTERM
    assert not list(empty.iterdir())
