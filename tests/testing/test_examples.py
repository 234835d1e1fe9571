"""The examples as a batch: what holds holds, each failure reads as it should, and no expectation is idle."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace

import pytest
from lab.command import Command
from lab.places import ROOT

from mydocker.services.case import Case, JudgedCase
from mydocker.specs.model.expect import RUNNING, Check, Expect, Matcher
from mydocker.testing.batch.batch import Batch, Limits
from mydocker.testing.batch.spawner import Spawner
from mydocker.testing.cases.collect import collect

REPORT = ROOT / "tests" / "reports" / "failures.txt"

root = pytest.mark.root


def _without_times(report: bytes) -> str:
    text = re.sub(r"(?<!within) +[\d.]+ s$", "  0.00 s", report.decode(), flags=re.MULTILINE)
    return re.sub(r"(actual:  |found) [\d.]+ seconds$", r"\1 0.300 seconds", text, flags=re.MULTILINE)


@root
def test_the_examples_pass(mydocker: Command) -> None:
    done = mydocker("test", "examples", cwd=ROOT)
    assert (done.stderr, done.code) == (b"", 0)
    assert b"16 passed, 1 skipped in" in done.stdout


@pytest.mark.rootless
def test_the_examples_pass_for_an_ordinary_user(second_user: Command) -> None:
    shutil.copytree(ROOT / "examples", second_user.directory / "examples")
    done = second_user("test", "examples")
    assert (done.stderr, done.code) == (b"", 0), done
    assert b"16 passed, 1 skipped in" in done.stdout


MOUNTED = ("/run", "/tmp", "/var", "/var/lib", "/home", "/usr", "/usr/share", "/etc", "/opt")


@pytest.fixture(scope="module")
def places() -> Iterator[list[pathlib.Path]]:
    """New directories below top-level ones of this machine, and below one that is closed to others."""
    made = [pathlib.Path(tempfile.mkdtemp(prefix="mydocker-", dir=parent)) for parent in MOUNTED]
    closed = made[-1]
    (closed / "below").mkdir()
    for place in made[:-1]:
        place.chmod(0o755)
    yield [*made[:-1], closed / "below"]
    for place in made:
        shutil.rmtree(place)


def _among_mounts(command: Command, places: list[pathlib.Path]) -> Command:
    """COMMAND where something is mounted at PLACES, as on a machine with systemd, snaps, FUSE and a second disk."""
    lines = [f"mount -t tmpfs -o mode=755 none {place} && echo mounted > {place}/file" for place in places]
    lines += [f"mkdir {places[0]}/deep && mount -t tmpfs none {places[0]}/deep", "mount --bind /dev/null /etc/issue"]
    script = "; ".join(["set -e", *lines, 'exec "$@"'])
    return replace(command, prefix=["unshare", "--mount", "sh", "-c", script, "sh", *command.prefix])


@root
def test_the_examples_pass_among_mounts(mydocker: Command, places: list[pathlib.Path]) -> None:
    done = _among_mounts(mydocker, places)("test", "examples", cwd=ROOT)
    assert (done.stderr, done.code) == (b"", 0), done
    assert b"16 passed, 1 skipped in" in done.stdout


@root
@pytest.mark.rootless
def test_the_examples_pass_for_an_ordinary_user_among_mounts(second_user: Command, places: list[pathlib.Path]) -> None:
    shutil.copytree(ROOT / "examples", second_user.directory / "examples")
    done = _among_mounts(second_user, places)("test", "examples")
    assert (done.stderr, done.code) == (b"", 0), done
    assert b"16 passed, 1 skipped in" in done.stdout


@root
@pytest.mark.rootless
def test_an_ordinary_user_may_write_next_to_mounts(second_user: Command, places: list[pathlib.Path]) -> None:
    """What is mounted is there to be read; what lies next to it can be written to, and the machine stays as it is."""
    command = _among_mounts(second_user, places)
    directories = [
        "/run",
        "/tmp",
        "/var",
        "/var/lib",
        "/var/lib/dpkg",
        "/home",
        "/usr",
        "/usr/share",
        "/usr/bin",
        "/etc",
        "/etc/apt",
    ]
    written = " ".join(f"{directory}/new-here" for directory in directories)
    shown = " ".join(f"{place}/file" for place in places[2:-1])
    script = f"touch {written} && echo x >> /etc/passwd && rm /etc/fstab && cat {shown}; ls /run /tmp"
    done = command("run", "--rootfs", "/", "sh", "-c", script)
    expected = "mounted\n" * len(places[2:-1]) + "/run:\nnew-here\n\n/tmp:\nnew-here\n"
    assert (done.stdout.decode(), done.stderr, done.code) == (expected, b"", 0)
    assert not any(os.path.exists(path) for path in written.split()) and os.path.exists("/etc/fstab")
    refused = command("run", "--rootfs", "/", "touch", f"{places[2]}/x")
    assert refused.code == 1 and b"Read-only file system" in refused.stderr
    closed = command("run", "--rootfs", "/", "ls", str(places[-1]))
    assert closed.code != 0 and b"ermission denied" in closed.stderr


@root
@pytest.mark.rootless
def test_changes_next_to_mounts_are_found(second_user: Command, places: list[pathlib.Path]) -> None:
    (second_user.directory / "x.smoke.yaml").write_text(
        "rootfs: /\n"
        "command: [sh, -c, 'touch /var/new /var/lib/new /etc/new /tmp/new /usr/new; rm /etc/passwd']\n"
        "expect: {changes: {only: [/etc/new, /etc/passwd, /tmp/new, /usr/new, /var/lib/new, /var/new]}}\n"
    )
    done = _among_mounts(second_user, places)("test", "x.smoke.yaml")
    assert done.code == 0, done


@root
@pytest.mark.rootless
def test_a_resolver_file_in_run_is_no_change(second_user: Command) -> None:
    """systemd-resolved has /etc/resolv.conf point into /run; what is made for it there is not the container's doing."""
    (second_user.directory / "x.smoke.yaml").write_text(
        "rootfs: /\ncommand: [sh, -c, 'cat /etc/resolv.conf; touch /run/x']\nexpect: {changes: {only: [/run/x]}}\n"
    )
    upper = second_user.directory / "etc"
    upper.mkdir()
    (upper / "resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    script = f'mount -t overlay -o lowerdir={upper}:/etc overlay /etc && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", script, "sh", *second_user.prefix]
    done = replace(second_user, prefix=prefix)("test", "x.smoke.yaml")
    assert done.code == 0, done


@root
def test_a_report_of_every_kind_of_failure_reads_as_a_user_sees_it(mydocker: Command) -> None:
    done = mydocker("test", "examples/failures.yaml", cwd=ROOT)
    assert (done.stderr, done.code) == (b"", 1)
    assert _without_times(done.stdout) == REPORT.read_text()


@root
def test_every_expectation_of_the_examples_can_fail(mydocker: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutation check: each check, turned round, turns the verdict of its case.

    Where a container is watched, the opposite of what is to come true has been true before, but for what cannot be true
    while the server answers. So there it is made what is never true, and the time is cut short; those that were not
    ready by then, on a busy machine, have more.
    """
    monkeypatch.chdir(ROOT)
    cases = [case for case in collect(["examples"], environ={}) if not case.spec.skip]
    mutants = [(case, check) for case in cases for check in (case.spec.expect or Expect()).checks]
    judged: dict[int, JudgedCase] = {}
    for within in (1.5, 8.0, 40.0):
        left = {number for number, (_, check) in enumerate(mutants) if not _has_failed(judged.get(number), check)}
        judged |= _judged_mutants(cases, mutants, left, within, mydocker)
    assert len(judged) == len(mutants) > 30
    for number, (case, check) in enumerate(mutants):
        assert _has_failed(judged[number], check), (case.title, check, judged[number].verdict, judged[number].failures)


def _has_failed(result: JudgedCase | None, check: Check) -> bool:
    """Whether RESULT is a failure by CHECK."""
    places = [(each.origin.file, each.origin.line, each.origin.column) for each in result.failures] if result else []
    return (
        result is not None
        and result.verdict == "failed"
        and (result.case.file, check.origin.line, check.origin.column) in places
    )


def _judged_mutants(
    cases: list[Case], mutants: list[tuple[Case, Check]], left: set[int], within: float, mydocker: Command
) -> dict[int, JudgedCase]:
    """The results of those of MUTANTS whose numbers are LEFT, in which what is watched has WITHIN seconds."""
    turned = {
        number: case.replace(spec=case.spec.replace(expect=_turned(case, check, within)))
        for number, (case, check) in enumerate(mutants)
        if number in left
    }
    apart = {case.file for case in cases if case.needs}  # each mutant of these runs among the others of its file

    def judge(batch: list[Case]) -> dict[int, JudgedCase]:
        with Spawner(mydocker.environment) as spawner:
            results = Batch(batch, limits=Limits(jobs=8), spawner=spawner).results()
            return {result.case.number: result for result in results}

    judged = judge([case.replace(number=number) for number, case in turned.items() if case.file not in apart])
    for number, mutant in turned.items():
        if mutant.file in apart:
            batch = [mutant if case.number == mutant.number else case for case in cases if case.file == mutant.file]
            judged[number] = judge(batch)[mutant.number]
    return judged


def _turned(case: Case, check: Check, within: float) -> Expect:
    """The expectations of CASE, with the opposite of CHECK, or, where that has been true before, with what never is."""
    expect = case.spec.expect
    assert expect is not None
    opposite = Matcher(op="not", want=check.matcher)
    never = Matcher(op="and", want=(check.matcher, opposite))
    answered = expect.requests and check.about[0] in RUNNING
    turned = check.replace(matcher=opposite if expect.within is None or answered else never)
    checks = tuple(turned if each is check else each for each in expect.checks)
    return expect.replace(within=expect.within and within, checks=checks)
