"""What `mydocker test` shows on a terminal and elsewhere, and what it says at the end."""

from __future__ import annotations

import io
import json
import pathlib
import re
import threading
from typing import Any
from xml.etree import ElementTree

import pytest
from lab import busybox, hub
from lab.command import Command
from lab.terminal import screen, start_at

from mydocker.cli.common.live_report import has_colours
from mydocker.errors import Origin
from mydocker.runtime.command.outcome import Outcome
from mydocker.services.case import Case, JudgedCase
from mydocker.specs.model import ContainerSpec
from mydocker.specs.model.case import CaseSpec
from mydocker.testing.report.formats import github
from mydocker.testing.report.junit import junit
from mydocker.verdict.finding import Failure, Finding

root = pytest.mark.root
SIMPLE = "name: {0}\nimage: alpine\ncommand: [sh, -c, '{1}']\n"
ERASE = b"\r\x1b[K"


class _Terminal(io.StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("environment", "on_terminal", "elsewhere"),
    [
        ("TERM=xterm", True, False),
        ("", False, False),
        ("TERM=", False, False),
        ("TERM=dumb", False, False),
        ("TERM=dumb FORCE_COLOR=1", True, True),
        ("TERM=xterm NO_COLOR=1", False, False),
        ("TERM=xterm NO_COLOR=", True, False),
        ("NO_COLOR=1 FORCE_COLOR=1 TERM=xterm", False, False),
        ("FORCE_COLOR=1", True, True),
        ("FORCE_COLOR=3 CI=1", True, True),
        ("FORCE_COLOR= TERM=xterm", True, False),
        ("FORCE_COLOR=0 TERM=xterm", False, False),
        ("CLICOLOR=0 TERM=xterm", False, False),
        ("CLICOLOR=1 TERM=xterm", True, False),
        ("CLICOLOR_FORCE=1 CLICOLOR=0", True, True),
        ("CLICOLOR_FORCE=0 TERM=xterm", False, False),
        ("NO_COLOR=1 CLICOLOR_FORCE=1", False, False),
    ],
)
def test_when_there_are_colours(environment: str, on_terminal: bool, elsewhere: bool) -> None:
    variables = dict(word.split("=") for word in environment.split())
    assert has_colours(_Terminal(terminal=True), variables) == on_terminal
    assert has_colours(_Terminal(terminal=False), variables) == elsewhere
    assert has_colours(None, variables) == elsewhere


def _shown_on(
    command: Command, directory: pathlib.Path, *words: str, columns: int = 80, **env: str
) -> tuple[bytes, int]:
    here = Command(command.program, {**command.environment, "TERM": "xterm", **env}, directory, store=command.store)
    with screen(columns=columns) as at:
        process = start_at(at, here, "test", *words)
        shown = at.until(rb"\d (?:passed|failed|errors?|skipped)[^\n]* in [\d.]+ s(\x1b\[m)?\r\n")
        code = process.wait(240)
        text = b"" if shown is None else shown.string[: shown.end()]
    return text, code


def _rendered(shown: bytes) -> list[str]:
    """The lines that are left on a terminal, without colours."""
    lines = re.sub(rb"\x1b\[[\d;]*m", b"", shown).decode().split("\r\n")
    return [line.rsplit("\r\x1b[K", 1)[-1].rstrip() for line in lines]


@root
def test_a_live_line_says_what_runs_and_is_gone_at_the_end(alpine: Command, tmp_path: pathlib.Path) -> None:
    after = "depends_on: {one: {condition: service_completed_successfully}}\n"  # so that only one of them runs
    (tmp_path / "x.smoke.yaml").write_text(
        SIMPLE.format("one", "true") + "---\n" + SIMPLE.format("two", "exit 1") + after
    )
    shown, code = _shown_on(alpine, tmp_path, "-j1", "x.smoke.yaml")
    assert code == 1
    assert ERASE + b"[0/2] one" in shown and ERASE + b"[1/2] two" in shown
    assert b"\x1b[32mpassed  one" in shown and b"\x1b[1;31mFAILED  two" in shown
    plain = alpine("test", "-j1", "x.smoke.yaml", cwd=tmp_path).stdout.decode()
    timeless = re.compile(r" *[\d.]+ s")
    assert [timeless.sub("", line) for line in _rendered(shown)] == [
        timeless.sub("", x.rstrip()) for x in plain.split("\n")
    ]


@root
def test_a_live_line_says_what_is_pulled_and_fits(mydocker: Command, tmp_path: pathlib.Path) -> None:
    """As long as that takes: here, until it has been seen."""
    name, image, seen = "n" * 100, busybox.alpine(), threading.Event()
    here = Command(mydocker.program, {**mydocker.environment, "TERM": "xterm"}, tmp_path, store=mydocker.store)
    with hub.serve() as served, screen(columns=200) as at:
        served.blobs.update(image.blobs)
        served.tag(image.manifest, media_type=image.media_type)
        served.answer("registry", "/manifests/", lambda handler: seen.wait(240) and served.usual(handler), times=1)
        text = SIMPLE.format(name, "true").replace("image: alpine", f"image: {served.address}/x")
        (tmp_path / "x.smoke.yaml").write_text(text)
        process = start_at(at, here, "test", "x.smoke.yaml")
        at.until(re.escape(f"[0/1] {name}; pulling {served.address}/x:latest".encode()))
        seen.set()
        at.until(rb"1 passed[^\n]* in [\d.]+ s")
        assert process.wait(240) == 0
    shown, _ = _shown_on(mydocker, tmp_path, "x.smoke.yaml", columns=40)
    lives = [part.split(b"\r")[0] for part in shown.split(ERASE)[1:]]
    assert b"[0/1] " + b"n" * 33 in lives and max(len(live) for live in lives if live.startswith(b"[")) == 39


@root
@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_without_what_a_terminal_cannot_do_or_nobody_wants(
    alpine: Command, tmp_path: pathlib.Path, env: dict[str, str]
) -> None:
    (tmp_path / "x.smoke.yaml").write_text(SIMPLE.format("one", "exit 1"))
    shown, _ = _shown_on(alpine, tmp_path, "x.smoke.yaml", **env)
    assert b"\x1b[1" not in shown and b"\x1b[m" not in shown
    assert (ERASE in shown) == ("TERM" not in env)


@root
@pytest.mark.parametrize("env", [{}, {"FORCE_COLOR": "1"}])
def test_off_a_terminal_nothing_is_drawn(alpine: Command, tmp_path: pathlib.Path, env: dict[str, str]) -> None:
    (tmp_path / "x.smoke.yaml").write_text(SIMPLE.format("one", "exit 1"))
    done = alpine("test", "x.smoke.yaml", cwd=tmp_path, env={"TERM": "xterm", **env})
    assert done.stderr == b"" and ERASE not in done.stdout
    assert (b"\x1b[" in done.stdout) == bool(env)


@root
def test_an_interrupted_batch_leaves_no_live_line(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.smoke.yaml").write_text("---\n".join(SIMPLE.format(f"n{n}", "sleep 60") for n in range(9)))
    environment = {**alpine.environment, "TERM": "xterm"}
    here = Command(alpine.program, environment, tmp_path, store=alpine.store)
    with screen() as at:
        process = start_at(at, here, "test", "-j1", "--report", "junit=x.xml", "x.smoke.yaml")
        at.until(rb"\[0/9\] n0")
        at.type(b"\x03")
        shown = at.until(rb"8 not run: interrupted: n1, n2, n3 and 5 more[^\n]*\r\n[^\n]*1 error, 8 skipped in")
        assert process.wait(240) == 130
    assert ERASE in shown.string
    top = ElementTree.parse(tmp_path / "x.xml").getroot()
    assert len([*top.iter("skipped")]) == 8 and len([*top.iter("error")]) == 1
    assert {element.get("message") for element in top.iter("skipped")} == {"not run: interrupted"}


@root
def test_what_failed_is_named_again_at_the_end(alpine: Command, tmp_path: pathlib.Path) -> None:
    texts = [
        SIMPLE.format("good", "true"),
        SIMPLE.format("bad", "exit 3"),
        "name: none\nimage: nonesuch\npull_policy: never\n",
    ]
    (tmp_path / "x.smoke.yaml").write_text("---\n".join(texts))
    done = alpine("test", "-q", "--durations", "1", "x.smoke.yaml", cwd=tmp_path)
    head, _, end = done.stdout.decode().partition("\nslowest:\n")
    assert head.startswith("FAILED  bad") and "passed" not in head
    lines = end.split("\n")
    assert re.fullmatch(r" +\d\.\d\d s  x\.smoke\.yaml:\d+ (good|bad|none)", lines[0])
    assert lines[1:4] == ["", "did not pass:", "  FAILED x.smoke.yaml:5 bad: exit_code: expected 0, found 3"]
    assert lines[4].startswith("  ERROR  x.smoke.yaml:9 none: ")
    assert re.fullmatch(r"1 passed, 1 failed, 1 error in [\d.]+ s", lines[6])


@root
def test_list_runs_nothing(alpine: Command, tmp_path: pathlib.Path) -> None:
    text = SIMPLE.format("one", "touch /srv/ran") + "volumes: ['.:/srv']\ntags: [a, b]\n---\n"
    (tmp_path / "x.smoke.yaml").write_text(text + SIMPLE.format("two", "true") + "matrix: {V: [1, 2]}\n")
    done = alpine("test", "--list", "x.smoke.yaml", cwd=tmp_path)
    assert done.stdout.decode().split("\n") == [
        "x.smoke.yaml:1  one  [a, b]",
        "x.smoke.yaml:7[V=1]  two (V=1)",
        "x.smoke.yaml:7[V=2]  two (V=2)",
        "",
    ]
    assert (done.code, done.stderr) == (0, b"") and not (tmp_path / "ran").exists()
    assert alpine("test", "--list", "-k", "nonesuch", "x.smoke.yaml", cwd=tmp_path).code == 5
    one = alpine("test", done.stdout.decode().split()[4], "x.smoke.yaml:1", "--list", cwd=tmp_path)
    assert one.stdout.count(b"\n") == 2


@root
def test_a_batch_over_its_time_is_no_success(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Though all that began has passed."""
    (tmp_path / "x.smoke.yaml").write_text("---\n".join(SIMPLE.format(f"n{n}", "sleep 0.4") for n in range(20)))
    done = alpine("test", "-j1", "--timeout", "1s", "x.smoke.yaml", cwd=tmp_path)
    assert done.code == 3 and done.stdout.count(b"not run: the batch was over its 1 s: ") == 1


def _result(name: str, line: int, verdict: str = "passed", **more: Any) -> JudgedCase:
    finding = Finding(outcome=Outcome(exit_code=0), stdout=f"out of {line}", seconds=0.5)
    case = Case(number=line, spec=CaseSpec(container=ContainerSpec(name=name)), file="dir/x.smoke.yaml", line=line)
    return JudgedCase(case=case, verdict=verdict, finding=finding, **more)


def test_junit_tells_cases_of_one_name_apart() -> None:
    names = ["a", "a", "b", "a #2", "a"]
    top = ElementTree.fromstring(junit([_result(name, line) for line, name in enumerate(names, 1)], seconds=1))
    cases = [*top.iter("testcase")]
    found = [case.get("name") for case in cases]
    assert found == ["a", "a #3", "b", "a #2", "a #4"] and len({*found}) == 5
    assert [(case.get("file"), case.get("line")) for case in cases] == [
        ("dir/x.smoke.yaml", str(n)) for n in range(1, 6)
    ]


@pytest.mark.parametrize(("verdict", "prefix"), [("passed", "flaky"), ("failed", "rerun"), ("error", "rerun")])
def test_junit_keeps_earlier_attempts(verdict: str, prefix: str) -> None:
    failure = Failure(origin=Origin(file="x", line=1, column=2), about="stdout", expected='"a"', actual='"b"')
    earlier = (_result("a", 1, "failed", failures=(failure,)), _result("a", 2, "error", reason="no image"))
    more = {"failures": (failure,)} if verdict == "failed" else {"reason": "no image"} if verdict == "error" else {}
    top = ElementTree.fromstring(junit([_result("a", 3, verdict, attempts=3, earlier=earlier, **more)], seconds=1))
    [case] = top.iter("testcase")
    attempts = [each for each in case if each.tag.startswith(prefix)]
    assert [each.tag for each in attempts] == [f"{prefix}Failure", f"{prefix}Error"]
    assert attempts[0].get("message") == 'stdout: expected "a", found "b"'
    assert attempts[0].findtext("stackTrace") == 'x:1:2: stdout\nexpected: "a"\nactual:   "b"\n'
    assert (attempts[0].findtext("system-out"), attempts[1].findtext("system-out")) == ("out of 1", "out of 2")
    assert case.findtext("system-out") == "out of 3"
    assert top.get("failures") == ("1" if verdict == "failed" else "0")


@root
def test_a_pass_after_retries_leaves_its_trace_in_each_report(alpine: Command, tmp_path: pathlib.Path) -> None:
    script = "echo try >> /srv/count; echo try $$(wc -l < /srv/count); test $$(wc -l < /srv/count) = 2"
    (tmp_path / "x.smoke.yaml").write_text(SIMPLE.format("flaky", script) + "volumes: ['.:/srv']\nretries: 2\n")
    done = alpine("test", "--report=junit=x", "--report=json=j", "--report=html=h", "x.smoke.yaml", cwd=tmp_path)
    assert done.code == 0 and b"\n    attempt 1: exit_code: expected 0, found 1\n" in done.stdout
    [flaky] = ElementTree.parse(tmp_path / "x").getroot().iter("flakyFailure")
    assert flaky.findtext("system-out") == "try 1\n"
    [case] = json.loads((tmp_path / "j").read_text())["cases"]
    assert [(early["verdict"], early["stdout"]) for early in case["earlier"]] == [("failed", "try 1\n")]
    assert "attempt 1: exit_code: expected 0, found 1" in (tmp_path / "h").read_text()


@pytest.mark.parametrize(
    ("workspace", "file", "shown"),
    [
        ("", "x.smoke.yaml", "x.smoke.yaml"),
        ("HERE", "x.smoke.yaml", "x.smoke.yaml"),
        ("HERE/..", "x.smoke.yaml", "DIR/x.smoke.yaml"),
        ("HERE", "HERE/a/x.smoke.yaml", "a/x.smoke.yaml"),
        ("HERE/link", "a/x.smoke.yaml", "x.smoke.yaml"),
        ("HERE/a", "x.smoke.yaml", "x.smoke.yaml"),
        ("HERE", "../x.smoke.yaml", "../x.smoke.yaml"),
        ("HERE", "..x.smoke.yaml", "..x.smoke.yaml"),
    ],
)
def test_github_s_paths_begin_at_the_workspace(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, workspace: str, file: str, shown: str
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_WORKSPACE", workspace.replace("HERE", str(tmp_path)))
    case = Case(
        number=0, spec=CaseSpec(container=ContainerSpec(name="a")), file=file.replace("HERE", str(tmp_path)), line=3
    )
    report = github([JudgedCase(case=case, verdict="error", reason="r")], seconds=1)
    assert report.startswith(f"::error file={shown.replace('DIR', tmp_path.name)},line=3,title=a::")


@root
def test_the_summary_of_a_step_is_added_to(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.smoke.yaml").write_text(SIMPLE.format("one", "exit 1") + "---\n" + SIMPLE.format("two", "true"))
    (tmp_path / "link").symlink_to("summary")
    for path, env in (("summary", {"GITHUB_STEP_SUMMARY": f"{tmp_path}/link"}), ("other", {})):
        for _ in range(2):
            assert alpine("test", "--report", f"markdown={path}", "x.smoke.yaml", cwd=tmp_path, env=env).code == 1
    assert (tmp_path / "summary").read_text().count("### ❌ 1 passed, 1 failed in ") == 2
    text = (tmp_path / "other").read_text()
    assert text.count("### ❌ 1 passed, 1 failed in ") == 1
    assert "| ✅ passed | ❌ failed |" in text.replace("&#46;", ".") and "mydocker test x.smoke.yaml:1" in text


def test_a_large_summary_is_cut() -> None:
    from mydocker.testing.report.markdown import LIMIT, markdown

    failure = Failure(origin=Origin(file="x", line=1, column=2), about="stdout", expected="x" * 2000, actual="y" * 2000)
    text = markdown([_result(f"n{n}", n, "failed", failures=(failure,)) for n in range(1000)], seconds=1)
    assert len(text.encode()) < LIMIT + 1000 < 1 << 20
    assert re.search(r"\n\d+ more are not shown: the summary would be too long\.\n$", text)


@root
def test_the_variables_that_a_case_used_are_named_next_to_the_command(alpine: Command, tmp_path: pathlib.Path) -> None:
    """By name only, and only those of the environment: a value may be a secret."""
    (tmp_path / ".env").write_text("NEARBY=1\n")
    words = "$USED ${ALSO:-x} ${UNSET:-y} $$ESCAPED $$(true) $NEARBY $V"
    text = f"name: one\nimage: alpine\nmatrix: {{V: [1]}}\ncommand: [sh, -c, 'exit 1', '{words}']\n"
    (tmp_path / "x.smoke.yaml").write_text(f"{text}---\n{SIMPLE.format('two', 'exit 1 $OTHER')}")
    environment = dict.fromkeys(("USED", "ALSO", "ESCAPED", "V", "OTHER"), "very-secret")
    done = alpine("test", "--report=json=json", "x.smoke.yaml", cwd=tmp_path, env=environment)
    lines = done.stdout.decode().split("\n")
    commands = [number for number, line in enumerate(lines) if line.startswith("    again:    mydocker test ")]
    assert [lines[number + 1].strip() for number in commands] == [
        "with USED, ALSO in the environment",
        "with OTHER in the environment",
    ]
    assert b"very-secret" not in done.stdout
    cases = json.loads((tmp_path / "json").read_text())["cases"]
    assert [case["variables"] for case in cases] == [["USED", "ALSO"], ["OTHER"]]
