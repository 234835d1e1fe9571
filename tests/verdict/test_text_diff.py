"""Texts that differ are shown as a difference, in every report that people read."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from lab.command import Command

from mydocker.specs.model.expect import Matcher
from mydocker.verdict import text_diff
from mydocker.verdict.text_diff import difference

TEN = "".join(f"line {number}\n" for number in range(1, 11))


def _diff(want: str, came: str) -> list[str]:
    shown = difference(Matcher(op="text", want=want), came)
    return shown.split("\n") if shown else []


@pytest.mark.parametrize(
    ("want", "came", "expected"),
    [
        ("a\nb\nc\n", "a\nB\nc\n", ["@@ line 1 @@", " a", "-b", "+B", " c"]),
        (TEN, TEN.replace("line 6", "LINE 6"),
         ["@@ line 4 @@", " line 4", " line 5", "-line 6", "+LINE 6", " line 7", " line 8"]),
        (TEN, TEN.replace("line 6\n", ""), ["@@ line 4 @@", " line 4", " line 5", "-line 6", " line 7", " line 8"]),
        (TEN, f"{TEN}more\n", ["@@ line 9 @@", " line 9", " line 10", "+more"]),
        (TEN, TEN.replace("line 2", "2").replace("line 9", "9"),
         ["@@ line 1 @@", " line 1", "-line 2", "+2", " line 3", " line 4",
          "@@ line 7 @@", " line 7", " line 8", "-line 9", "+9", " line 10"]),
        # a line end that is expected, and one that is not; where none is expected, there may be one
        ("a\nb\n", "a\nb", ["@@ line 1 @@", " a", "-b", "+b", text_diff.NO_END]),
        ("a\nb", "a\nc\n", ["@@ line 1 @@", " a", "-b", "+c"]),
        ("a\nb\n", "a\nb\n\n", ["@@ line 1 @@", " a", " b", "+"]),
        # what ends a line elsewhere is a character of it here
        ("a\nb\n", "a\r\nb\r\n", ["@@ line 1 @@", "-a", "-b", "+a\r", "+b\r"]),
        ("a\nb\n", "a\nb\x85c\u2028d\x0b\n", ["@@ line 1 @@", " a", "-b", "+b\x85c\u2028d\x0b"]),
        ("a\n\x1b[1mb\n", "a\nb\0\udcff\n", ["@@ line 1 @@", " a", "-\x1b[1mb", "+b\0\udcff"]),
        # short single lines are best seen as they are, and so is nothing
        ("a", "b", []), ("a\n", "b", []), ("", "a\nb\n", []), ("a\nb\n", "", []),
        ("one", "a\nb\n", ["@@ line 1 @@", "-one", "+a", "+b"]),
    ],
)  # fmt: skip
def test_the_difference(want: str, came: str, expected: list[str]) -> None:
    assert _diff(want, came) == expected


def test_a_long_line_is_shown_where_it_differs() -> None:
    left, right = "a" * 5000 + "X" + "b" * 5000, "a" * 5000 + "Y" + "b" * 5000
    head, removed, added = _diff(left, right)[:3]
    assert head == "@@ line 1 @@"
    assert removed.startswith("-…aaaa") and "aXb" in removed and removed.endswith("bbb… (10001 characters)")
    assert added.startswith("+…aaaa") and "aYb" in added and len(added) < 250


HUGE: dict[str, Callable[[], tuple[str, str]]] = {
    "all lines": lambda: ("a\n" * 500_000, "b\n" * 500_000),
    "the order": lambda: ("".join(f"{n}\n" for n in range(200_000)), "".join(f"{n}\n" for n in range(200_000, 0, -1))),
    "one line": lambda: ("x" * 8_000_000, "y" * 8_000_000),
    "lines more": lambda: ("a\n", "a\n" + "b\n" * 4_000_000),
    "every second line": lambda: ("a\nb\n" * 100_000, "a\nc\n" * 100_000),
}


@pytest.mark.parametrize("case", HUGE)
def test_huge_outputs_are_bounded(case: str) -> None:
    want, came = HUGE[case]()
    shown = difference(Matcher(op="text", want=want), came)
    assert shown.count("\n") <= text_diff.LINES + 1 and len(shown) < 12_000
    assert len(shown.split("\n")[-1]) < 200


@pytest.mark.parametrize("op", ["contain-substring", "match-regexp", "have-prefix"])
def test_only_whole_texts_have_one(op: str) -> None:
    assert difference(Matcher(op=op, want="a\nb"), "c\nd") == ""
    assert difference(Matcher(op="text", want="a\nb"), 5) == ""


def test_that_of_several_matchers_which_does_not_hold() -> None:
    inner = (Matcher(op="contain-substring", want="b"), Matcher(op="text", want="a\nb\n"))
    assert difference(Matcher(op="and", want=inner), "a\nc b\n").split("\n")[1:] == [" a", "-b", "+c b"]
    assert difference(Matcher(op="and", want=inner[:1]), "c") == ""


SPEC = """\
name: it differs
image: alpine
command: [printf, 'one\\r\\ntwo\\nTHREE\\033\\nfour']
expect: {stdout: "one\\ntwo\\nthree\\nfour\\n"}
---
name: of a file
image: alpine
command: [sh, -c, 'echo a > /x; echo b >> /x; sleep 900']
stop_signal: KILL
post_start: [{command: [sh, -c, 'until grep -q b /x; do sleep 0.05; done']}]
expect: {files: [{path: /x, contents: "a\\nc\\n"}], within: 200ms}
---
name: of both
image: alpine
command: [printf, 'a\\nb\\n']
expect: {stdout: {and: [{contain-substring: a}, {equal: "a\\nc\\n"}]}}
"""
SHOWN = ["-one", r"+one\r", " two", "-three", "-four", r"+THREE\x1b", "+four", r"\ no line end"]


@pytest.mark.root
def test_every_report_that_people_read_has_it(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.smoke.yaml").write_text(SPEC)
    formats = ("html", "junit", "markdown", "json", "github", "tap", "text")
    done = alpine("test", *(f"--report={format}={format}" for format in formats), "x.smoke.yaml", cwd=tmp_path)
    assert (done.code, done.stderr) == (1, b"")
    text = done.stdout.decode()
    for line in SHOWN:
        assert f"\n      {line[0]}{line[1:] if line[0] == chr(92) else ' ' + line[1:]}\n" in text, text
    assert text.count("\n      - expected\n      + actual\n") == 3
    assert "\n      - c\n      + b\n" in text and "@@ within 0.2 s @@" in text
    assert (tmp_path / "text").read_text().split("\n")[:12] == text.split("\n")[:12]
    junit = ElementTree.fromstring((tmp_path / "junit").read_text())
    [first, *_] = junit.iter("failure")
    assert "\n".join(SHOWN) in (first.text or "").replace("@@ line 1 @@\n", "")
    markdown = (tmp_path / "markdown").read_text()
    assert "```diff\n- expected\n+ actual\n@@ line 1 @@\n-one\n+one\\r\n" in markdown
    page = (tmp_path / "html").read_text()
    assert "<b>- one</b>\n<i>+ one\\r</i>" in page and "<b>- four</b>\n<i>+ THREE\\x1b</i>" in page
    assert "%0A-four%0A+THREE\\x1b%0A" in (tmp_path / "github").read_text()
    report = json.loads((tmp_path / "json").read_text())
    assert "\n-four\n+THREE\x1b\n" in report["cases"][0]["failures"][0]["difference"]
    assert r'difference: "@@ line 1 @@\n-one\n+one\r\n' in (tmp_path / "tap").read_text()


@pytest.mark.root
def test_pytest_has_it(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.smoke.yaml").write_text(SPEC)
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "x.smoke.yaml"]
    done = subprocess.run(words, cwd=tmp_path, env=dict(alpine.environment), capture_output=True, text=True)
    assert "\n  - four\n  + THREE\\x1b\n" in done.stdout, done.stdout
