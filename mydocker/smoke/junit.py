"""The report that CI servers read: JUnit's XML, a suite for each file, in the form that Jenkins' schema allows.

That is junit-10.xsd of its xUnit plugin. Where an expectation stands is said in the text of a failure.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from mydocker.record import TYPE_CHECKING
from mydocker.smoke.case import ERROR, FAILED, SKIPPED, Result
from mydocker.smoke.data import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2


def junit(results: Sequence[Result], *, seconds: float) -> str:
    """The whole report."""
    counts = _counts(results)
    del counts["skipped"]  # only suites have it
    top = ElementTree.Element("testsuites", {"name": "mydocker", **counts, "time": f"{seconds:.3f}"})
    suites: dict[str, list[Result]] = {}
    for result in results:
        suites.setdefault(result.case.file, []).append(result)
    for file, within in suites.items():
        took = sum(result.finding.seconds for result in within)
        about = {"name": _text(file), "file": _text(file), **_counts(within), "time": f"{took:.3f}"}
        suite = ElementTree.SubElement(top, "testsuite", about)
        for result in within:
            _case(suite, result)
    ElementTree.indent(top)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(top, encoding="unicode")}\n'


def _counts(results: Sequence[Result]) -> dict[str, str]:
    numbers = {"tests": len(results)}
    for name, verdict in (("failures", FAILED), ("errors", ERROR), ("skipped", SKIPPED)):
        numbers[name] = sum(result.verdict == verdict for result in results)
    return {name: str(number) for name, number in numbers.items()}


def _case(suite: ElementTree.Element, result: Result) -> None:
    case = result.case
    attributes = {
        "classname": _text(re.sub(r"(\.smoke)?\.ya?ml$", "", case.file).strip("./").replace("/", ".")),
        "name": _text(case.title),
        "time": f"{result.finding.seconds:.3f}",
    }
    element = ElementTree.SubElement(suite, "testcase", attributes)
    if result.verdict == SKIPPED:
        ElementTree.SubElement(element, "skipped", {"message": _text(result.reason)})
    elif result.verdict == ERROR:
        _trouble(element, "error", result.reason, f"{result.reason}\nagain: {case.again}")
    elif result.verdict == FAILED:
        first = result.failures[0]
        found = first.actual.partition("\n")[0]
        message = f"{first.about}: expected {first.expected}, found {found}"
        blocks = [f"{f.place}: {f.about}\nexpected: {f.expected}\nactual:   {f.actual}" for f in result.failures]
        _trouble(element, "failure", message, "\n\n".join([*blocks, f"again: {case.again}"]))
    for name, output in (("system-out", result.finding.stdout), ("system-err", result.finding.stderr)):
        if output:
            ElementTree.SubElement(element, name).text = _text(output)


def _trouble(element: ElementTree.Element, kind: str, message: str, text: str) -> None:
    ElementTree.SubElement(element, kind, {"message": _text(message), "type": kind}).text = _text(text)


def _text(text: str) -> str:
    """TEXT without the characters that XML cannot hold, not even escaped."""
    return _FORBIDDEN.sub("\ufffd", clean(text))
