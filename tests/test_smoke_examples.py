"""The examples as a batch: what holds holds, each failure reads as it should, and no expectation is idle."""

from __future__ import annotations

import pathlib
import re
import shutil

import pytest
from lab.command import Command

from mydocker.smoke.batch import Batch, Limits
from mydocker.smoke.case import Case
from mydocker.smoke.collect import collect
from mydocker.spec.expect import RUNNING, Check, Expect, Matcher

ROOT = pathlib.Path(__file__).parent.parent
REPORT = ROOT / "tests" / "reports" / "failures.txt"

root = pytest.mark.root


def _without_times(report: bytes) -> str:
    text = re.sub(r"(?<!within) +[\d.]+ s$", "  0.00 s", report.decode(), flags=re.MULTILINE)
    return re.sub(r"actual:   [\d.]+ seconds$", "actual:   0.300 seconds", text, flags=re.MULTILINE)


@root
def test_the_examples_pass(mydocker: Command) -> None:
    done = mydocker("test", "examples", cwd=ROOT)
    assert (done.stderr, done.code) == (b"", 0)
    assert b"14 passed, 1 skipped in" in done.stdout


@pytest.mark.rootless
def test_the_examples_pass_for_an_ordinary_user(second_user: Command) -> None:
    shutil.copytree(ROOT / "examples", second_user.directory / "examples")
    done = second_user("test", "examples")
    assert (done.stderr, done.code) == (b"", 0), done
    assert b"14 passed, 1 skipped in" in done.stdout


@root
def test_a_report_of_every_kind_of_failure_reads_as_a_user_sees_it(mydocker: Command) -> None:
    done = mydocker("test", "examples/failures.yaml", cwd=ROOT)
    assert (done.stderr, done.code) == (b"", 1)
    assert _without_times(done.stdout) == REPORT.read_text()


@root
def test_every_expectation_of_the_examples_can_fail(mydocker: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutation check: each check, turned round, turns the verdict of its case.

    Where a container is watched, the opposite of what is to come true has been true before, but for what cannot be true
    while the server answers. So there it is made what is never true, and the time is cut short.
    """
    monkeypatch.chdir(ROOT)
    cases = [(case, case.spec.expect or Expect()) for case in collect(["examples"], environ={}) if not case.spec.skip]
    mutants = [(case, check) for case, expect in cases for check in expect.checks]
    turned = [
        case.replace(number=number, spec=case.spec.replace(expect=_turned(case, check)))
        for number, (case, check) in enumerate(mutants)
    ]
    results = sorted(
        Batch(turned, limits=Limits(jobs=2), environ=mydocker.environment).results(),
        key=lambda result: result.case.number,
    )
    assert len(results) == len(mutants) > 30
    for result, (case, check) in zip(results, mutants, strict=True):
        assert result.verdict == "failed", (case.title, check)
        places = [failure.place for failure in result.failures]
        assert f"{case.file}:{check.line}:{check.column}" in places, (case.title, check)


def _turned(case: Case, check: Check) -> Expect:
    """The expectations of CASE, with the opposite of CHECK, or, where that has been true before, with what never is."""
    expect = case.spec.expect
    assert expect is not None
    opposite = Matcher(op="not", want=check.matcher)
    never = Matcher(op="and", want=(check.matcher, opposite))
    answered = expect.requests and check.about[0] in RUNNING
    turned = check.replace(matcher=opposite if expect.within is None or answered else never)
    checks = tuple(turned if each is check else each for each in expect.checks)
    return expect.replace(within=expect.within and 4.0, checks=checks)
