"""What is made of the answers of an engine: here one that is part of the test."""

from __future__ import annotations

import errno
import json
import os
import pathlib

import pytest

from mydocker.cli.testing.elsewhere import begin
from mydocker.errors import HostError, Origin
from mydocker.services.case import Case, JudgedCase
from mydocker.specs.model import ContainerSpec
from mydocker.specs.model.case import CaseSpec
from mydocker.testing.engines.directory import Directory, State
from mydocker.testing.engines.engine import Presence
from mydocker.testing.engines.follow import Following
from mydocker.testing.engines.known import reasons_in
from mydocker.testing.parts.line import as_line
from mydocker.testing.parts.part import Part, divide
from mydocker.verdict.finding import PASSED


def _cases(count: int) -> list[Case]:
    return [
        Case(
            number=number,
            spec=CaseSpec(
                container=ContainerSpec(name=f"case {number}", origin=Origin(file="a.yaml", line=number + 1))
            ),
            file="a.yaml",
            line=number + 1,
        )
        for number in range(count)
    ]


class Forgetful:
    """Part 1 is gone; why, is known once. Then part 2 reports, and ends."""

    id, title, is_detached, interval = "7", "engine", True, 0.01

    def __init__(self, directory: Directory, cases: list[Case]) -> None:
        self.directory, self.cases = directory, cases
        self.known = {1: "its node was lost", 2: "its job is running"}
        self.calls: list[str] = []

    def presence(self) -> Presence:
        return Presence(parts=frozenset({2} if self.known else ()))

    def reasons(self) -> dict[int, str]:
        known, self.known = self.known, {}
        if known:
            [case] = divide(self.cases, Part(number=2, count=2))
            self.directory.write("2.0.jsonl", json.dumps(as_line(JudgedCase(case=case, verdict=PASSED))) + "\n")
        return known

    def stop(self) -> None:
        self.calls.append("stop")

    def end(self) -> None:
        self.calls.append("end")


class ReadOnly(Directory):
    def write(self, name: str, text: str, *, mode: int = 0o600) -> str:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_why_a_part_is_gone_is_asked_at_once(tmp_path: pathlib.Path) -> None:
    """And that nothing can be written in the end takes away no results."""
    cases, directory, warnings = _cases(2), Directory(str(tmp_path / "parts")), list[str]()
    directory.make(cases, parts=2)
    directory.keep(State(engine="slurm", parts=2, id="7"))
    read_only = ReadOnly(directory.path)
    following = Following(Forgetful(directory, cases), read_only, cases, count=2, warn=warnings.append)
    assert [result.verdict for result in following.results()] == ["error", PASSED]
    first, second = following.merged.results
    assert first.reason == "not run to its end: its node was lost" and second.verdict == PASSED
    assert any("batch.json: Read-only file system" in text for text in warnings), warnings


class Submission:
    def __init__(self, engine: Forgetful) -> None:
        self.engine = engine

    def require(self) -> None:
        pass

    def dry_run(self) -> str:
        return ""

    def start(self) -> Forgetful:
        return self.engine


def test_what_cannot_be_written_down_does_not_go_on(tmp_path: pathlib.Path) -> None:
    directory = Directory(str(tmp_path / "gone"))
    engine = Forgetful(directory, [])
    with pytest.raises(HostError, match="cannot write"):
        begin(Submission(engine), directory, name="slurm", count=1)
    assert engine.calls == ["stop", "end"]


FOREIGN = (
    ("slurm", "", 1),
    ("slurm", "--version", 1),
    ("kubernetes", "", 1),
    ("kubernetes", "'", 1),
    ("kubernetes", "mydocker-1 --kubeconfig=evil", 1),
    ("kubernetes", "mydocker-1 delete ns x", 1),
    ("kubernetes", "mydocker-1 --namespace x delete", 1),
    ("kubernetes", "mydocker-1 --namespace", 1),
    ("slurm", "7", 10**9),
    ("kubernetes", "mydocker-1", 10**9),
)


@pytest.mark.parametrize(("engine", "id", "parts"), FOREIGN)
def test_the_directory_of_somebody_else_executes_nothing(
    tmp_path: pathlib.Path, engine: str, id: str, parts: int
) -> None:
    """A configuration of kubectl may name programs."""
    assert _asked(tmp_path, engine, id, parts) == []


@pytest.mark.parametrize("words", ["", "--namespace=ci", "-n ci --context test"])
def test_the_cluster_is_asked(tmp_path: pathlib.Path, words: str) -> None:
    assert _asked(tmp_path, "kubernetes", f"mydocker-1 {words}", 1)


def _asked(tmp_path: pathlib.Path, engine: str, id: str, parts: int) -> list[str]:
    """What is called to know about the batch that batch.json describes."""
    for program in ("kubectl", "scontrol"):
        (tmp_path / program).write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/calls\necho {{}}\n')
        (tmp_path / program).chmod(0o755)
    state = {"engine": engine, "parts": parts, "id": id, "reasons": None}
    (tmp_path / "batch.json").write_text(json.dumps(state))
    reasons_in(str(tmp_path), {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    calls = tmp_path / "calls"
    return calls.read_text().splitlines() if calls.exists() else []
