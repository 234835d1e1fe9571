"""The reports that programs read, made of results as bad as they can be: each is what its readers take."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from mydocker.errors import Origin
from mydocker.runtime.command.outcome import Outcome
from mydocker.services.case import Case, JudgedCase
from mydocker.specs.model import ContainerSpec
from mydocker.specs.model.case import CaseSpec
from mydocker.testing.report.formats import github
from mydocker.testing.report.junit import OUTPUT, junit
from mydocker.testing.report.tap import tap as as_tap
from mydocker.verdict.finding import Failure, Finding

HOSTILE = "50%, a: b #1 \\ <&>]]>'\"\r\n\x1b[31m\0\x7f\x9b\u202e\udcff\ufffe\u65e5\u672c"
# `%` and line ends are escaped everywhere, `:` and `,` in properties; what is not printed is shown
SHOWN = "50%25, a: b #1 \\ <&>]]>'\"\\r%0A\\x1b[31m\\x00\\x7f\\x9b\\u202e\ufffd\\ufffe\u65e5\u672c"

# Of junit-10.xsd, the schema of Jenkins' xUnit plugin: (attributes that must be, that may be, elements inside). The
# `file` and `line` of a test case are pytest's.
RERUNS = ("rerunFailure", "rerunError", "flakyFailure", "flakyError")
TEXTS = ("system-out", "system-err")
SCHEMA: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "testsuites": ("", "name time tests failures errors", ("testsuite",)),
    "testsuite": (
        "name tests failures errors",
        "group time skipped timestamp hostname id package file log url",
        ("testsuite", "properties", "testcase", *TEXTS),
    ),
    "testcase": ("name", "time classname group file line", ("skipped", "error", "failure", *RERUNS, *TEXTS)),
    **dict.fromkeys(RERUNS, ("type", "message", ("stackTrace", *TEXTS))),
    "stackTrace": ("", "", ()),
    **dict.fromkeys(("skipped", "error", "failure"), ("", "type message", ())),
    **dict.fromkeys(TEXTS, ("", "", ())),
}
WITHOUT_TEXT = ("testsuites", "testsuite", "testcase")
SUREFIRE_TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?")


def _result(verdict: str, *, file: str = "x.smoke.yaml", text: str = HOSTILE, **more: Any) -> JudgedCase:
    spec = CaseSpec(container=ContainerSpec(name=text))
    finding = Finding(outcome=Outcome(exit_code=1), stdout=text, stderr=text, seconds=1234.5678)
    more = {"failed": {"failures": (_failure(text), _failure(""))}, "passed": {}}.get(verdict, {"reason": text}) | more
    return JudgedCase(case=Case(number=0, spec=spec, file=file, line=7), verdict=verdict, finding=finding, **more)


def _failure(text: str) -> Failure:
    return Failure(origin=Origin(file="x.smoke.yaml", line=9, column=3), about=text, expected=text, actual=text)


def _results() -> list[JudgedCase]:
    """Of every verdict, with texts that hold all that is special somewhere, and with texts that are empty."""
    verdicts = ("passed", "failed", "error", "skipped")
    return [_result(verdict, text=text) for text in (HOSTILE, "") for verdict in verdicts]


def _faults(element: ElementTree.Element) -> list[str]:
    """What the schema does not allow."""
    needed, allowed, inside = SCHEMA[element.tag]
    names = {*element.attrib}
    faults = [f"{element.tag} without {name}" for name in {*needed.split()} - names]
    faults += [f"{element.tag} with {name}" for name in names - {*needed.split(), *allowed.split()}]
    faults += [f"{each.tag} in {element.tag}" for each in element if each.tag not in inside]
    if element.tag in WITHOUT_TEXT and (element.text or "").strip():
        faults.append(f"text in {element.tag}")
    if element.tag != "testcase" and not SUREFIRE_TIME.fullmatch(element.get("time", "")):
        faults.append(f"time of {element.tag}")
    return faults + [fault for each in element if each.tag in inside for fault in _faults(each)]


def test_junit_is_what_jenkins_takes() -> None:
    top = ElementTree.fromstring(junit([*_results(), _result("failed", file="y")], seconds=12345.6))
    assert (top.tag, _faults(top)) == ("testsuites", [])
    assert [suite.attrib for suite in top] == [
        {"name": "x.smoke.yaml", "file": "x.smoke.yaml", "tests": "8", "failures": "2", "errors": "2", "skipped": "2",
         "time": "9876.542"},
        {"name": "y", "file": "y", "tests": "1", "failures": "1", "errors": "0", "skipped": "0", "time": "1234.568"},
    ]  # fmt: skip
    assert [len(suite) for suite in top] == [8, 1]


def test_a_failure_that_has_nothing_to_show_is_reported_too() -> None:
    failure = Failure(origin=Origin(file="x", line=1, column=2), about="stdout", expected='"x"', actual="")
    [element] = ElementTree.fromstring(junit([_result("failed", failures=(failure,))], seconds=0)).iter("failure")
    assert element.get("message") == 'stdout: expected "x", found '
    assert element.text and element.text.startswith('x:1:2: stdout\nexpected: "x"\nactual:   \n\nagain: mydocker test ')


@pytest.mark.parametrize("letter", ["x", "\n", "\0", "\U0001f600", "\udcff"])
def test_junit_has_the_end_of_a_long_output(letter: str) -> None:
    """What a container prints must not make a report that its reader cannot take."""
    spec = CaseSpec(container=ContainerSpec(name="long"))
    finding = Finding(outcome=Outcome(exit_code=1), stdout=letter * OUTPUT, stderr=letter * (OUTPUT + 5) + "end")
    result = JudgedCase(case=Case(number=0, spec=spec, file="x.yaml", line=7), verdict="passed", finding=finding)
    report = junit([result.replace(earlier=(result.replace(verdict="failed"),))], seconds=1)
    assert len(report) < 4 * OUTPUT * len("\\x00") + 4096
    top = ElementTree.fromstring(report)
    assert [text.text.startswith("(") for text in top.iter("system-out") if text.text] == [False, False]
    for text in top.iter("system-err"):
        assert text.text and text.text.startswith("(8 characters are left out)\n") and text.text.endswith("end")


def test_github_s_commands_are_one_line_each_and_command_no_terminal() -> None:
    value = SHOWN.replace(":", "%3A").replace(",", "%2C")
    report = github(_results(), seconds=1)
    first, _, third = report.split("\n")[:3]
    words = f"{SHOWN}: expected {SHOWN}, found {SHOWN}"
    assert first == f"::error file=x.smoke.yaml,line=9,title={value}::{words}"
    assert third == f"::error file=x.smoke.yaml,line=7,title={value}::{SHOWN}"
    assert [line for line in report.splitlines() if not line.isprintable()] == []
    odd = github([_result("error", file="a,b:1%.yaml")], seconds=1)
    assert odd.startswith("::error file=a%2Cb%3A1%25.yaml,line=7,")


@pytest.mark.parametrize("file", ["x.smoke.yaml", "a: b #", "[x", "'\"\\", "no\nline", "@a", "\x1b"])
def test_tap_s_blocks_are_yaml_whatever_a_file_is_called(file: str) -> None:
    report = as_tap([_result(verdict, file=file) for verdict in ("passed", "failed", "error", "skipped")], seconds=1)
    assert [line for line in report.splitlines() if not line.isprintable()] == []
    blocks = re.findall(r"^  ---\n(.*?)^  \.\.\.\n", report, re.MULTILINE | re.DOTALL)
    assert [yaml.safe_load(block)["at"] for block in blocks] == [f"{file}:7"] * 2
