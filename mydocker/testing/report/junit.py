"""The report that CI servers read: JUnit's XML, a suite for each file, in the form that Jenkins and GitLab read.

That is junit-10.xsd of Jenkins' xUnit plugin, with `file` and `line` of a test case, as pytest writes them, and what
maven-surefire-test-report-3.0.xsd has for attempts before the last: `flakyFailure` and `flakyError` of a case that
passed in the end, `rerunFailure` and `rerunError` of one that did not. The place of an expectation is in the text
of a failure. Control characters are spelled out.
"""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree

from mydocker.record import TYPE_CHECKING
from mydocker.services.case import JudgedCase
from mydocker.untrusted import lines_spelled, markup
from mydocker.verdict.finding import ERROR, FAILED, PASSED, SKIPPED

if TYPE_CHECKING:
    from collections.abc import Sequence

OUTPUT = 1 << 16  # characters of an output; the JSON reports have whatever is kept


def junit(results: Sequence[JudgedCase], *, seconds: float) -> str:
    """The whole report."""
    counts = _counts(results)
    del counts["skipped"]  # only suites have it
    top = ElementTree.Element("testsuites", {"name": "mydocker", **counts, "time": f"{seconds:.3f}"})
    suites: dict[str, list[JudgedCase]] = {}
    for result in results:
        suites.setdefault(result.case.file, []).append(result)
    for file, within in suites.items():
        took = sum(result.finding.seconds for result in within)
        about = {"name": _text(file), "file": _text(file), **_counts(within), "time": f"{took:.3f}"}
        suite = ElementTree.SubElement(top, "testsuite", about)
        for result, name in zip(within, _names(within), strict=True):
            _case(suite, result, name)
    ElementTree.indent(top)
    return markup(f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(top, encoding="unicode")}\n')


def _names(results: Sequence[JudgedCase]) -> list[str]:
    """The titles of one file's cases. CI servers tell cases apart, and follow them, by their names: a second one of a
    name is `name #2`."""
    titles = [result.case.title for result in results]
    taken: Counter[str] = Counter()
    names = []
    for title in titles:
        taken[title] += 1
        name = title if taken[title] == 1 else f"{title} #{taken[title]}"
        while name != title and name in titles:
            taken[title] += 1
            name = f"{title} #{taken[title]}"
        names.append(name)
    return names


def _counts(results: Sequence[JudgedCase]) -> dict[str, str]:
    numbers = {"tests": len(results)}
    for name, verdict in (("failures", FAILED), ("errors", ERROR), ("skipped", SKIPPED)):
        numbers[name] = sum(result.verdict == verdict for result in results)
    return {name: str(number) for name, number in numbers.items()}


def _case(suite: ElementTree.Element, result: JudgedCase, name: str) -> None:
    case = result.case
    attributes = {
        "classname": _text(re.sub(r"(\.smoke)?\.ya?ml$", "", case.file).strip("./").replace("/", ".")),
        "name": _text(name),
        "file": _text(case.file),
        "line": str(case.line),
        "time": f"{result.finding.seconds:.3f}",
    }
    element = ElementTree.SubElement(suite, "testcase", attributes)
    if result.verdict == SKIPPED:
        ElementTree.SubElement(element, "skipped", {"message": _text(result.reason)})
    elif result.verdict in (ERROR, FAILED):
        kind = "failure" if result.verdict == FAILED else "error"
        _trouble(element, kind, result).text = _text(f"{_words(result)}\nagain: {case.again}")
    for early in result.earlier:
        kind = ("flaky" if result.verdict == PASSED else "rerun") + ("Failure" if early.failures else "Error")
        attempt = _trouble(element, kind, early)
        ElementTree.SubElement(attempt, "stackTrace").text = _text(_words(early))
        _outputs(attempt, early)
    _outputs(element, result)


def _trouble(element: ElementTree.Element, kind: str, result: JudgedCase) -> ElementTree.Element:
    message = result.in_short if result.failures else result.reason
    return ElementTree.SubElement(element, kind, {"message": _text(message), "type": kind})


def _words(result: JudgedCase) -> str:
    """Why a case did not pass: its failures, or the reason."""
    blocks = [f"{failure.origin}: {failure.about}\n{failure.shown}\n" for failure in result.failures]
    return "\n".join(blocks) if blocks else result.reason


def _outputs(element: ElementTree.Element, result: JudgedCase) -> None:
    for name, output in (("system-out", result.finding.stdout), ("system-err", result.finding.stderr)):
        if output:
            ElementTree.SubElement(element, name).text = _text(_end(output).replace("\r\n", "\n"))


def _end(output: str) -> str:
    """The end of OUTPUT, where it is long: CI servers read a whole report into memory, and some refuse a large one."""
    left_out = len(output) - OUTPUT
    return f"({left_out} characters are left out)\n{output[left_out:]}" if left_out > 0 else output


def _text(text: str) -> str:
    """TEXT without the characters that XML cannot hold, not even escaped (XML 1.0, section 2.2), and those that would
    command a terminal or turn lines round."""
    return lines_spelled(text)
