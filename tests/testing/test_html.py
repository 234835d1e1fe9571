"""The HTML report: what is in it, that nothing in it is alive, and how it looks in a browser."""

from __future__ import annotations

import html.parser
import json
import os
import pathlib
import re
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
from lab.command import Command
from lab.places import ROOT
from lab.png import Colour, rows

from mydocker.errors import Origin
from mydocker.runtime.command.outcome import Outcome
from mydocker.services.case import Case, JudgedCase, Span
from mydocker.specs.model import ContainerSpec
from mydocker.specs.model.case import CaseSpec
from mydocker.testing.report.html import html as report
from mydocker.verdict.finding import Failure, Finding

TAGS = """
html head meta title style body header h1 h2 h3 h4 p div span section i a article b pre code details summary em
"""
HOSTILE = (
    "</pre></style></title><script>alert(1)</script><img src=x onerror=alert(2)>\" style='x' & \x1b[31m\u202e\udcff\0"
)


class _Page(html.parser.HTMLParser):
    """The elements of a page, with their attributes and what text is in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        texts: list[str] = []
        self.found.append((tag, dict(attrs), texts))
        if tag != "meta":
            self.open.append(texts)

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for texts in self.open:
            texts.append(data)

    def of(self, tag: str, kind: str = "") -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, "".join(texts)) for name, attributes, texts in self.found
                if name == tag and kind in (attributes.get("class") or "").split() + [""]]  # fmt: skip


def _result(number: int, verdict: str, *, text: str = "plain", spans: Sequence[Span] = (), **more: Any) -> JudgedCase:
    spec = CaseSpec(container=ContainerSpec(name=text), skip=text)
    finding = Finding(outcome=Outcome(exit_code=0), stdout=f"{text}\nmore\n", stderr=text, seconds=0.5)
    case = Case(number=number, spec=spec, file=f"{text}.yaml", line=1)
    return JudgedCase(case=case, verdict=verdict, finding=finding, spans=tuple(spans), **more)


def test_nothing_that_anybody_says_is_more_than_text() -> None:
    failure = Failure(origin=Origin(file=HOSTILE, line=1), about=HOSTILE, expected=HOSTILE, actual=HOSTILE)
    span = Span(slot=0, began=0, seconds=1)
    results = [
        _result(number, verdict, text=HOSTILE, spans=[span], reason=HOSTILE, failures=(failure,))
        for number, verdict in enumerate(("passed", "failed", "error", "skipped"))
    ]
    page = _Page(report(results, seconds=1))
    assert {name for name, _, _ in page.found} <= set(TAGS.split())
    for name, attributes, _ in page.found:
        allowed = {"a": {"class", "href", "style", "title"}, "meta": {"charset", "http-equiv", "content", "name"}}
        assert set(attributes) <= allowed.get(name, {"class", "id", "style", "title", "lang", "open"}), name
    text = report(results, seconds=1)
    assert text.encode() and not {"\x1b", "\u202e", "\udcff", "\0"}.intersection(text)
    assert "\\x1b[31m\\u202e" in text
    [policy] = [attributes["content"] for attributes, _ in page.of("meta") if "http-equiv" in attributes]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert "http://" not in text and "https://" not in text and "url(" not in text


def test_failures_come_first_and_the_rest_in_the_order_of_the_files() -> None:
    verdicts = ["passed", "error", "skipped", "failed", "passed"]
    page = _Page(report([_result(number, verdict) for number, verdict in enumerate(verdicts)], seconds=1))
    shown = [
        attributes["id"] for name, attributes, _ in page.found if name in ("article", "details") and "id" in attributes
    ]
    assert shown == ["case1", "case3", "case0", "case2", "case4"]
    assert page.of("h1")[0][1] == "2 of 5 did not pass"
    assert [text for _, text in page.of("span") if text.endswith(("passed", "failed", "error", "skipped"))] == [
        "2 passed", "1 failed", "1 error", "1 skipped",
    ]  # fmt: skip


@pytest.mark.parametrize(("results", "words"), [([], "Nothing ran"), ([_result(0, "passed")], "All is well")])
def test_a_batch_without_failures(results: list[JudgedCase], words: str) -> None:
    page = _Page(report(results, seconds=0))
    assert page.of("h1")[0][1] == words
    assert page.of("article") == []


def test_the_time_line_shows_each_attempt_where_and_when_it_ran() -> None:
    early, late = Span(slot=1, began=0.5, seconds=0.25), Span(slot=0, began=1, seconds=1)
    results = [
        _result(0, "passed", spans=[early, late], attempts=2),
        _result(1, "failed", spans=[Span(slot=1, began=1, seconds=0)]),
    ]
    page = _Page(report(results, seconds=2))
    bars = [(attributes["class"], attributes["style"], attributes["href"]) for attributes, _ in page.of("a")]
    assert bars == [
        ("passed", "left:50.0000%;width:50.0000%", "#case0"),
        ("passed early", "left:25.0000%;width:12.5000%", "#case0"),
        ("failed", "left:50.0000%;width:0.0000%", "#case1"),
    ]
    ticks = [text for attributes, text in page.of("span") if (attributes.get("style") or "").startswith("left")]
    assert ticks == ["0", "0.5", "1", "1.5", "2"]


def test_a_narrow_bar_has_its_name_as_a_hint_only() -> None:
    spans = [Span(slot=0, began=0, seconds=9.9), Span(slot=0, began=9.9, seconds=0.1)]
    page = _Page(report([_result(number, "passed", spans=[span]) for number, span in enumerate(spans)], seconds=10))
    assert [text for _, text in page.of("a")] == ["plain", ""]
    assert [attributes["title"] for attributes, _ in page.of("a")] == ["plain: passed, 9.90 s", "plain: passed, 0.10 s"]


def test_long_outputs_are_cut() -> None:
    finding = Finding(outcome=Outcome(exit_code=0), stdout="x" * 5000 + "\nline" * 1000, cut=("stdout",))
    text = report([_result(0, "passed").replace(finding=finding)], seconds=1)
    assert "stdout, the last 400 of 1001 lines, more than is kept" in text
    assert text.count("line\n") == 399 and "xxxx" not in text


def _look(page: pathlib.Path, picture: pathlib.Path, *, dark: bool) -> list[list[Colour]]:
    """A picture of PAGE in a browser, saved as PICTURE."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    options += [
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        f"--user-data-dir={picture.parent / 'profile'}",
    ]
    options += ["--window-size=800,1000", f"--screenshot={picture}", page.as_uri()]
    environment = {**os.environ, "HOME": str(picture.parent)}
    done = subprocess.run(["chromium", *options], capture_output=True, text=True, timeout=240, env=environment)
    assert picture.exists(), done.stderr
    return rows(picture)


@pytest.mark.root
def test_the_report_in_a_browser(mydocker: Command, tmp_path: pathlib.Path, record_property: Any) -> None:
    """Read from the pixels: light and dark, the verdict's colour, expected and actual next to each other."""
    page, data = tmp_path / "report.html", tmp_path / "report.json"
    reports = ("--report", f"html={page}", "--report", f"json={data}")
    done = mydocker("test", "-j", "2", "examples", "examples/failures.yaml", *reports, cwd=ROOT)
    assert done.code == 1, done
    cases = json.loads(data.read_text())["cases"]
    assert {case["slot"] for case in cases if case["verdict"] != "skipped"} in (
        {0, 1, 2},
        {0, 1, 2, 3},
    )  # the last are services
    bad = [case for case in cases if case["verdict"] in ("failed", "error")]
    assert len(_Page(page.read_text()).of("article")) == len(bad) > 10
    style = page.read_text()
    for dark in (False, True):
        picture = tmp_path / f"report-{'dark' if dark else 'light'}.png"
        seen = _look(page, picture, dark=dark)
        record_property("screenshot", str(picture))
        colours = {name: _colour(style, name, dark=dark) for name in ("page", "failed", "passed", "good", "bad")}
        assert seen[0][0] == seen[-1][0] == colours["page"]
        head = {colour for row in seen[:200] for colour in row}
        assert {colours["failed"], colours["passed"]} <= head
        pairs = [row for row in seen if colours["good"] in row and colours["bad"] in row]
        assert len(pairs) > 50
        assert all(row.index(colours["good"]) < row.index(colours["bad"]) for row in pairs)
        lane = [row for row in seen[200:420] if {colours["failed"], colours["passed"]} <= set(row)]
        assert lane, "no lane of the time line has passed and failed cases"


def _colour(style: str, name: str, *, dark: bool) -> Colour:
    """What the style sheet says that the colour called NAME is."""
    values = [value.ljust(3) for value in re.findall(rf"--{name}: #([0-9a-f]+);", style)]
    value = values[dark]
    digits = value if len(value) == 6 else "".join(letter * 2 for letter in value)
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
