"""What held in every run of a container becomes what is expected of it; what differed is left out, and named.

Takes the findings of several runs and returns the value of `expect`, as plain data, and remarks for people. Times and
memory are never expected: they differ between machines.
"""

from __future__ import annotations

import os

from mydocker.record import TYPE_CHECKING
from mydocker.specs.model.expect import Check, Expect, Matcher
from mydocker.verdict.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from mydocker.verdict.finding import Finding

EXACT = 4000  # characters of an output that is expected as a whole
SHORT = 1000  # bytes of a file whose contents are written down; of a longer one, its SHA-256
LINES = 10  # of an output that was not the same each time
PATHS = 40  # changes that are listed one by one
FILES = 20  # files that are described
_ANYTHING = Matcher(op="equal", want=None)
_ATTRIBUTES = ("exists", "type", "mode", "owner", "group", "size", "sha256")


def questions(findings: Sequence[Finding]) -> Expect:
    """What to inspect in the next run: what changed, then the files that did, and the contents of short ones."""
    inspected: list[tuple[str, ...]] = [("changes",)]
    for path in _stable_paths(findings)[:FILES]:
        inspected += [("files", path, name) for name in _ATTRIBUTES]
        if all(finding.facts.get(f"files {path}", {}).get("size", SHORT + 1) <= SHORT for finding in findings[1:]):
            inspected += [("files", path, "contents")]
    return Expect(checks=tuple(Check(about=each, matcher=_ANYTHING) for each in inspected))


def recorded(findings: Sequence[Finding]) -> tuple[dict[str, Any], list[str]]:
    """(the value of `expect`, what was left out) of runs all of which have ended; the last two inspected files."""
    remarks: list[str] = []
    expect = {
        **_ending(findings, remarks),
        **_output("stdout", findings, remarks),
        **_output("stderr", findings, remarks),
        **_files(findings, remarks),
        **_changes(findings, remarks),
    }
    return expect, remarks


def _ending(findings: Sequence[Finding], remarks: list[str]) -> dict[str, Any]:
    ends = [finding.outcome for finding in findings if finding.outcome]
    if all(end.timed_out for end in ends):
        return {"timed_out": True}
    codes = {128 + end.signal if end.signal else end.exit_code for end in ends}
    if any(end.timed_out for end in ends):
        remarks.append("exit_code: it was not always in time")
        return {}
    if len(codes) > 1:
        remarks.append(f"exit_code: it was one of {', '.join(str(code) for code in sorted(codes, key=str))}")
        return {"exit_code": sorted(code for code in codes if code is not None)}
    return {"exit_code": codes.pop()}


def _output(name: str, findings: Sequence[Finding], remarks: list[str]) -> dict[str, Any]:
    texts = [getattr(finding, name) for finding in findings]
    text = texts[0]
    if any(name in finding.cut for finding in findings):
        remarks.append(f"{name}: there is more of it than is kept")
        return {}
    if not all(_can_be_written(each) for each in texts):
        remarks.append(f"{name}: it is not text that a file can hold")
        return {}
    if len({*texts}) > 1:
        return _common_lines(name, texts, remarks)
    if len(text) <= EXACT:
        return {name: {"equal": text} if text else ""}
    remarks.append(f"{name}: all but its length and its first {EXACT} characters")
    return {name: {"have-len": len(text), "have-prefix": text[:EXACT]}}


def _can_be_written(text: str) -> bool:
    """Whether TEXT is Unicode without NUL."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _common_lines(name: str, texts: Sequence[str], remarks: list[str]) -> dict[str, Any]:
    """Lines that were there each time, as parts of the text."""
    others = [{*split_lines(text)} for text in texts[1:]]
    lines = split_lines(texts[0])
    common = [line for line in dict.fromkeys(lines) if line.strip() and all(line in other for other in others)]
    left = len({*lines} - {*common[:LINES]})
    remarks.append(
        f"{name}: {left} of {len({*lines})} lines" if common else f"{name}: no line of it is always the same"
    )
    return {name: [_pattern(line) for line in common[:LINES]]} if common else {}


def _pattern(line: str) -> str:
    """The pattern that means LINE, whatever it begins with."""
    return f"\\{line}" if line.startswith(("!", "/", "\\!", "\\/")) else line


def _files(findings: Sequence[Finding], remarks: list[str]) -> dict[str, Any]:
    files = []
    looked = findings[-2:]
    for path in _stable_paths(findings)[:FILES]:
        facts = [finding.facts.get(f"files {path}", {}) for finding in looked]
        if not _can_be_written(path) or any("exists" not in each for each in facts):
            continue
        file, varying = _file(path, facts)
        files.append(file)
        if varying:
            remarks.append(f"files: {', '.join(varying)} of {path}")
    more = len(_stable_paths(findings)) - FILES
    if more > 0:
        remarks.append(f"files: what the other {more} that changed are like")
    return {"files": files} if files else {}


def _file(path: str, facts: list[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """What is expected of one file, and the names of what is not, since it varies."""
    first, second = facts
    if not (first["exists"] and second["exists"]):
        same = first["exists"] == second["exists"]
        return {"path": path, **({"exists": False} if same else {})}, [] if same else ["existence"]
    names = ["type"] if first.get("type") == "symlink" else ["type", "mode", "owner", "group"]
    names += ["sha256"] if first.get("type") == "file" else []
    varying = [name for name in names if first.get(name) != second.get(name) or name not in first]
    attributes = {name: first[name] for name in names if name not in varying}
    for name in ("owner", "group"):
        if name in attributes:
            attributes[name] = attributes[name][0]
    contents = second.get("contents")
    if "sha256" in attributes and contents is not None and _can_be_written(contents) and contents:
        del attributes["sha256"]
        attributes["contents"] = {"equal": contents}
    if "sha256" in varying:
        varying[varying.index("sha256")] = "contents"
    return {"path": path, **attributes}, varying


def _changes(findings: Sequence[Finding], remarks: list[str]) -> dict[str, Any]:
    """Every path that changed in any run, those that come and go by the directory that they are in."""
    if not all("changes" in finding.facts for finding in findings):
        remarks.append("changes: they are known only where the root is copy-on-write")
        return {}
    stable = _stable_paths(findings)
    varying = {path for finding in findings for path in finding.facts["changes"]} - {*stable}
    globs = [*map(_escaped, stable), *_directories(varying, findings)]
    if varying:
        remarks.append(f"changes: the names of {len(varying)} files that were not there each time")
    if len(globs) > PATHS:
        remarks.append(f"changes: the names of {len(globs)} files, but for the directories that they are in")
        globs = [_wide(path) for path in sorted({*stable, *varying})]
    if not all(map(_can_be_written, globs)):
        remarks.append("changes: some names are not text that a file can hold")
        return {}
    return {"changes": {"only": [*dict.fromkeys(globs)]}}


def _stable_paths(findings: Sequence[Finding]) -> list[str]:
    """What changed in every run."""
    found = [{*finding.facts.get("changes", [])} for finding in findings]
    return sorted(found[0].intersection(*found[1:])) if found else []


def _directories(paths: Iterable[str], findings: Sequence[Finding]) -> list[str]:
    """Patterns for PATHS: all below the nearest directory in which something changed each time."""
    above = [{top for path in finding.facts["changes"] for top in _parents(path)} for finding in findings]
    everywhere = above[0].intersection(*above[1:]) | {"/"}
    found = {next(top for top in _parents(path) if top in everywhere) for path in paths}
    return sorted(f"{_escaped(top).rstrip('/')}/**" for top in found)


def _parents(path: str) -> list[str]:
    """The directories above PATH, the nearest first."""
    found = []
    while path != "/":
        path = os.path.dirname(path)
        found.append(path)
    return found


def _wide(path: str) -> str:
    """A pattern for all in the directory of PATH, or in one above it that is at most two levels deep; never for `/`."""
    near = [top for top in _parents(path) if top.count("/") <= 2 and top != "/"]
    return f"{_escaped(near[0])}/**" if near else _escaped(path)


def _escaped(path: str) -> str:
    """The pattern that means PATH and nothing else."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)
