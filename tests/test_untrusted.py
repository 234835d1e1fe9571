"""What containers, images, registries and file names say commands nobody who reads it: no terminal, no browser, no CI
runner."""

from __future__ import annotations

import html.parser
import io
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import markdown_it
import pytest
import tap.parser
import yaml
from lab.command import Command

from mydocker.cli.common import table
from mydocker.errors import Origin, inert, printable
from mydocker.json_output import dump
from mydocker.runtime.command.outcome import Outcome
from mydocker.services.case import Case, JudgedCase, Span
from mydocker.specs.model import ContainerSpec
from mydocker.specs.model.case import CaseSpec
from mydocker.testing.report.as_json import as_data
from mydocker.testing.report.formats import WHOLE
from mydocker.testing.report.text import lines_of
from mydocker.untrusted import clean, markup
from mydocker.verdict.finding import Failure, Finding
from mydocker.verdict.time_limit import limited

# what a line of a container's, a name or a message may be
COMMANDS = [
    "::error::x",
    "  ::add-mask::x",
    "\t::stop-commands::x",
    "\xa0::set-output name=a::x",
    "\u3000::error file=a,line=1::x",
    "\ufeff::error::x",
    ":::error::x",
    "::warning title=a,file=::b::c",
    "\r::error::x",
    "a\n::error::x",
    "a\r::error::x",
    "a\x85::error::x\u2028::error::y\x0b::error::z",
    "##[error]x",
    "a ##[add-mask]b ##[group]c",
    "###[error]",
    "##vso[task.setvariable variable=a]b",
    "x ##VSO[task.complete]",
    "##teamcity[testFailed name='a']",
    "\x1b[0Ksection_start:1:a\r\x1b[0Kx",
    "\x1b[31m\x9b2J\x1b]0;t\x07",
    "a\u202egnp.exe\u2066\u200f",
    "<script>alert(1)</script>]]><![CDATA[&lt;",
    "ok 1 # SKIP a\nnot ok 2 # TODO b\n1..0\nBail out!",
    "  ---\n  x: y\n  ...\n",
    "```\n# x\n````\n| a | b |\n</details><img src=x>\n[a](javascript:b) ![c](d) @e http://f",
    "\udcff\0\ufffe",
]
SPELLED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def runner_commands(text: str) -> Iterator[str]:
    """What GitHub's runner (ActionCommand.TryParseV2, TryParse), Azure's agent, TeamCity and GitLab find in a log."""
    for line in re.split("\r\n|\r|\n", text):
        if re.match("::.*::", line.strip()) or re.match("::.*::", line.strip(" \t\u200b\ufeff")):
            yield line
        if re.search(r"##\[|##\w+\[", line):
            yield line
    yield from re.findall(r"\x1b\[0Ksection_start", text)


def _results(text: str, *, file: str = "x.smoke.yaml") -> list[JudgedCase]:
    """Of every verdict, with TEXT wherever there is one that is not ours."""
    difference = "\n".join(f"-{line}" for line in text.split("\n"))
    failures = tuple(
        Failure(origin=Origin(file=file, line=1, column=2), about=text, expected=text, actual=text, difference=shown)
        for shown in ("", difference)
    )
    spec = CaseSpec(container=ContainerSpec(name=text), tags=(text,), matrix={"A": text})
    finding = Finding(outcome=Outcome(exit_code=1), stdout=text, stderr=text, not_kept=text)
    case = Case(number=0, spec=spec, file=file, line=1)
    whole = JudgedCase(case=case, verdict="failed", failures=failures, finding=finding, reason=text, attempts=2)
    whole = whole.replace(earlier=(whole.replace(finding=finding),), spans=(Span(slot=0, began=0, seconds=1),))
    verdicts = [whole.replace(verdict=verdict) for verdict in ("passed", "failed", "error", "skipped")]
    return [*verdicts, whole.replace(verdict="skipped", unbegun=True)]


def _own(format: str, report: str) -> str:
    """REPORT without the commands that are ours."""
    return (
        re.sub(r"(?m)^::error file=[^:\n]*,line=\d+,title=[^:\n]*::.*\n", "", report) if format == "github" else report
    )


@pytest.mark.parametrize("format", WHOLE)
@pytest.mark.parametrize("text", COMMANDS)
def test_no_report_has_a_command_in_it(format: str, text: str) -> None:
    for file in ("x.smoke.yaml", text.replace("\0", "")):
        report = WHOLE[format](_results(text, file=file), seconds=1)
        report.encode()
        assert [*runner_commands(_own(format, report))] == []
        assert not SPELLED.search(report), report


def test_the_model_of_a_runner_finds_them() -> None:
    found = [text for text in COMMANDS if [*runner_commands(text)]]
    assert len(found) == 18


@pytest.mark.parametrize("text", COMMANDS)
def test_what_programs_read_is_what_was_said(text: str) -> None:
    """JSON's escapes are undone by its readers; in XML, only control characters are not what they were."""
    [case, *_] = json.loads(WHOLE["json"](_results(text), seconds=1))["cases"]
    assert (case["stdout"], case["failures"][0]["actual"]) == (clean(text), clean(text))
    assert json.loads(dump(as_data(_results(text)[0]))) == case
    top = ElementTree.fromstring(WHOLE["junit"](_results(text), seconds=1))
    if text.isprintable():
        assert {element.text for element in top.iter("system-out")} == {text}
        assert {element.get("name") for element in top.iter("testcase")} == {
            f"{text} (A={text})", *(f"{text} (A={text}) #{number}" for number in range(2, 6)),
        }  # fmt: skip


@pytest.mark.parametrize("text", COMMANDS)
def test_no_line_for_people_has_one(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for result in _results(text) for line in lines_of(result)]
    lines += [printable(text), printable(f"mydocker: {text}")]
    table.show(["A", "B"], [[text, text], ["", text]])
    table.show_json({text.encode(errors="replace").decode(): text.encode(errors="replace").decode()})
    lines += capsys.readouterr().out.split("\n")
    assert [*runner_commands("\n".join(lines))] == []
    assert [line for line in lines if not line.isprintable()] == []


@pytest.mark.parametrize(
    "text", ["::1 localhost", "a::b::c", "fe80::1", "## heading [x]", "C++ std::vector::at", "#[x]"]
)
def test_harmless_lines_stay_as_they_are(text: str) -> None:
    assert printable(text) == text


class _Tags(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")], (tag, attrs)


@pytest.mark.parametrize("text", COMMANDS)
def test_nothing_in_markdown_is_alive(text: str) -> None:
    page = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(WHOLE["markdown"](_results(text), seconds=1))
    allowed = {
        "h3",
        "h4",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "p",
        "pre",
        "code",
        "details",
        "summary",
        "ul",
        "li",
    }
    assert _Tags(page).tags <= allowed


@pytest.mark.parametrize("text", COMMANDS)
def test_tap_has_as_many_lines_as_cases(text: str) -> None:
    report = WHOLE["tap"](_results(text), seconds=1)
    lines = [line for line in tap.parser.Parser().parse(io.StringIO(report)) if line.category != "version"]
    tests = [line for line in lines if line.category == "test"]
    assert [line.ok for line in tests] == [True, False, False, True, True]
    assert [line.skip for line in tests] == [False, False, False, True, True]
    assert not any(line.todo for line in tests)
    assert {line.category for line in lines} <= {"test", "plan", "unknown"}
    for block in re.findall(r"^  ---\n(.*?)^  \.\.\.\n", report, re.MULTILINE | re.DOTALL):
        found: dict[str, Any] = yaml.safe_load(block)
        assert found["message"] == clean(text)


def test_halves_of_pairs_are_replaced() -> None:
    assert clean("a\ud800b\udcffc\udc00\udcc3\udca9") == "a\ufffdb\ufffdc\ufffd\xe9"


SAYING = """\
name: "::error::name"
image: alpine
command: [sh, -c, 'printf "::error::x\\n  ::add-mask::y\\n##[error]z\\n##vso[a]b\\n"; echo "::error::e" >&2; exit 1']
expect: {stdout: "::error::a\\n::error::b\\n"}
---
name: "##[error]two"
image: registry.invalid/a:1
pull_policy: never
"""


@pytest.mark.root
@pytest.mark.parametrize("format", [*WHOLE, "jsonl", ""])
def test_a_job_s_log(alpine: Command, tmp_path: pathlib.Path, format: str) -> None:
    """Whatever goes to stdout and stderr of a step, from a file whose name is a command as well."""
    file = "##[group]x.smoke.yaml"
    (tmp_path / file).write_text(SAYING)
    options = ["--report", f"{format}=-"] if format else ["--durations", "9"]
    environment = {"GITHUB_ACTIONS": "true", "CI": "true", "TF_BUILD": "True"}
    done = alpine("test", *options, file, cwd=tmp_path, env=environment)
    assert done.code == 1
    assert b"x" in done.stdout
    assert [*runner_commands(_own(format, (done.stdout + done.stderr).decode()))] == []
    listed = alpine("test", "--list", file, cwd=tmp_path)
    assert listed.stdout.count(b"\n") == 2 and [*runner_commands(listed.stdout.decode())] == []


@pytest.mark.root
def test_a_recorded_spec_on_a_job_s_log(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Read again, it means the same."""
    script = 'echo "::error::x"; echo "##[group]y \\$HOME"'
    shown = alpine("record", "alpine", "sh", "-c", script)
    assert shown.code == 0 and [*runner_commands(shown.stdout.decode())] == []
    alpine("record", "-o", f"{tmp_path}/x.yaml", "alpine", "sh", "-c", script)
    assert "  ::error::x\n" in (tmp_path / "x.yaml").read_text()
    normal = [alpine("config", "-", input=text).stdout for text in (shown.stdout, (tmp_path / "x.yaml").read_bytes())]
    assert normal[0] == normal[1] != b""
    assert alpine("test", "-", input=shown.stdout).code == 0


@pytest.mark.parametrize("letters", ["\n", " ", "\n ", "\t", ":", "::", "\n:", "#", "##", "##a", "##[", " ::a"])
def test_long_runs_are_treated_in_time_that_grows_with_them(letters: str) -> None:
    """A container can print millions of line ends, and nothing else."""
    with limited(10):
        assert len(markup(letters * (1 << 20))) >= len(letters) << 20
        assert len(inert(letters * (1 << 20))) >= len(letters) << 20
