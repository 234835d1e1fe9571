"""Expectations x finding -> verdict. Pure: the container has been inspected before."""

from __future__ import annotations

from mydocker.errors import spelled
from mydocker.record import TYPE_CHECKING
from mydocker.specs.expect.keywords import EXEC
from mydocker.specs.model.expect import LIVE, RUNNING, Check, complete
from mydocker.verdict.convert import InapplicableError
from mydocker.verdict.excerpt import excerpt, why_inapplicable
from mydocker.verdict.finding import ERROR, FAILED, PASSED, Failure, Finding, Verdict
from mydocker.verdict.live_checks import live_actual, live_expected, live_name, live_value
from mydocker.verdict.match import describe, holds, outside, shown
from mydocker.verdict.text_diff import difference
from mydocker.verdict.time_limit import TookTooLongError, limited

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from mydocker.specs.model.case import CaseSpec

NEVER_RAN = (126, 127)  # the exit codes of a command that cannot be executed, or does not exist
LIMIT = 2.0  # seconds of CPU time for one check


class UnjudgedError(Exception):
    """It cannot be determined whether an expectation holds; the text says which one."""


def judge(
    spec: CaseSpec, finding: Finding, *, live: tuple[Failure, ...] | None = None, stopped: bool | None = None
) -> Verdict:
    """The verdict on what was found of SPEC. `live`: the failures of the checks that were judged while it ran; unless
    `stopped` is false, mydocker stopped it then."""
    expect = complete(spec.expect, stopped=live is not None if stopped is None else stopped)
    if finding.outcome is None and not (finding.exit_code in NEVER_RAN and _wants_exit_code(expect.checks)):
        return Verdict(verdict=ERROR, reason=finding.complaint)
    checks = [check for check in expect.checks if live is None or not _is_live(check)]
    try:
        failures = (*(live or ()), *_all_failures(spec, checks, finding))
    except UnjudgedError as error:
        return Verdict(verdict=ERROR, reason=str(error))
    return Verdict(verdict=FAILED if failures else PASSED, failures=failures)


def unmet(spec: CaseSpec, finding: Finding) -> tuple[Failure, ...]:
    """The failures of the checks that can be judged while the container runs. Raises UnjudgedError."""
    expect = spec.expect
    if expect is None or expect.within is None:
        return ()
    failures = _all_failures(spec, [check for check in expect.checks if _is_live(check)], finding)
    return tuple(_in_time(failure, expect.within) for failure in failures)


def _in_time(failure: Failure, within: float) -> Failure:
    late = f"\n@@ within {within:g} s @@" if failure.difference else ""
    return failure.replace(
        expected=f"{failure.expected}, within {within:g} s", difference=f"{failure.difference}{late}"
    )


def _is_live(check: Check) -> bool:
    return check.about[0] in LIVE


def _all_failures(spec: CaseSpec, checks: Iterable[Check], finding: Finding) -> tuple[Failure, ...]:
    failures: list[Failure] = []
    for check in checks:
        if not _moot(check, failures, finding):
            failures += _failures(spec, check, finding)
    return tuple(failures)


def _wants_exit_code(checks: tuple[Check, ...]) -> bool:
    return any(check.about == ("exit_code",) and not check.implied for check in checks)


def _moot(check: Check, failures: list[Failure], finding: Finding) -> bool:
    """For a file that should not exist, a container that was killed or a server that does not respond, only the first
    failure counts."""
    earlier = {failure.about for failure in failures}
    if check.about[0] == "http" and live_value(check, finding)[1]:
        return any(live_name((*check.about[:2], part)) in earlier for part in ("status", "headers", "body"))
    if check.about[0] == "exec" and live_value(check, finding)[0] is None:
        return any(_name((*check.about[:2], part, *check.about[3:])) in earlier for part in EXEC)
    if check.about[0] == "files" and check.about[2] != "exists":
        return _name((*check.about[:2], "exists")) in earlier
    return check.implied and "timed_out" in earlier


def _failures(spec: CaseSpec, check: Check, finding: Finding) -> list[Failure]:
    origin = check.origin.within(spec.origin.file) if check.origin.line else spec.origin
    about, expected = _name(check.about), _expected(check)
    value, problem = _value(check, finding)
    try:
        with limited(LIMIT):
            if not problem and holds(check.matcher, value):
                return []
            actual = problem or _actual(check, value, finding)
            differs = "" if problem else difference(check.matcher, value)
    except InapplicableError as error:
        actual, differs = why_inapplicable(error, value) if isinstance(value, str) else str(error), ""
    except TookTooLongError:
        raise UnjudgedError(f"{origin}: {about}: it takes more than {LIMIT:g} s to look for {expected}") from None
    return [Failure(origin=origin, about=about, expected=expected, actual=actual, difference=differs)]


def _name(subject: tuple[str, ...]) -> str:
    """The name of a subject in reports: ("files", "/etc/x", "mode") is `mode of /etc/x`."""
    if subject[0] in RUNNING:
        return live_name(subject)
    if len(subject) < 3:
        return subject[0]
    return subject[1] if subject[2] == "exists" else f"{subject[2]} of {subject[1]}"


def _value(check: Check, finding: Finding) -> tuple[Any, str]:
    """(what a check compares, "") or (None, why there is nothing to compare)."""
    about, outcome = check.about, finding.outcome
    if about[0] in ("stdout", "stderr"):
        cut = about[0] in finding.cut
        return getattr(finding, about[0]), "more output than is kept" if cut else ""
    if about[0] in RUNNING:
        return live_value(check, finding)
    if about[0] == "files":
        return _file_value(check, finding)
    if about[0] == "metadata":
        return _metadata_value(check, finding)
    if about[0] == "changes":
        return finding.facts.get("changes"), finding.facts.get("changes problem", "")
    if outcome is None:  # the command never ran: see NEVER_RAN
        nothing = {"timed_out": False, "oom_killed": False, "duration": finding.seconds, "max_memory": 0}
        return {**nothing, "exit_code": finding.exit_code}[about[0]], ""
    if about[0] == "exit_code":
        return (128 + outcome.signal if outcome.signal else outcome.exit_code), ""
    used = {"duration": outcome.wall, "max_memory": outcome.max_rss}
    return {**used, "timed_out": outcome.timed_out, "oom_killed": outcome.oom_killed}[about[0]], ""


def _file_value(check: Check, finding: Finding) -> tuple[Any, str]:
    _, path, attribute = check.about
    facts = finding.facts.get(f"files {path}")
    if facts is None:
        return None, finding.complaint or "the container could not be inspected"
    if attribute not in facts:
        return None, facts.get("problem", "the file does not exist")
    return facts[attribute], ""


def _metadata_value(check: Check, finding: Finding) -> tuple[Any, str]:
    _, name, kind = check.about
    metadata = finding.facts.get("metadata")
    if metadata is None:
        return None, "there is no image"
    value = metadata[kind]
    return (value.get(name) if isinstance(value, dict) else value), ""


def _expected(check: Check) -> str:
    if check.about[0] in RUNNING:
        return live_expected(check)
    if check.about == ("timed_out",):
        return "an end before the timeout" if not check.matcher.want else "a timeout"
    if check.about == ("duration",):
        return f"{describe(check.matcher)} seconds"
    if check.about == ("max_memory",):
        return f"{describe(check.matcher)} bytes"
    if len(check.about) == 3 and check.about[2] == "exists":
        return "that it exists" if check.matcher.want else "no such file"
    return describe(check.matcher)


def _actual(check: Check, value: Any, finding: Finding) -> str:
    """The actual value, cut to the lines that show the difference."""
    about = check.about
    if about[0] in RUNNING:
        return live_actual(check, value, finding)
    if about == ("timed_out",):
        return f"it was stopped after {finding.seconds:.2f} s" if value else "it ended by itself"
    if about == ("exit_code",):
        signal = finding.outcome.signal if finding.outcome else None
        by = f", {finding.outcome.killed_by}" if finding.outcome and finding.outcome.killed_by else ""
        return f"{value}, killed by signal {signal}{by}" if signal else str(value) + by + _why(finding)
    if about == ("duration",):
        return f"{value:.3f} seconds"
    if about == ("max_memory",):
        return f"{value} bytes"
    if about == ("changes",):
        return _changes(check, value)
    if len(about) == 3 and about[2] == "exists":
        return "there is one" if value else "there is none"
    if about[-1] in ("stdout", "stderr", "contents"):
        return excerpt(check.matcher, value)
    if about[-1] in ("owner", "group"):
        *names, number = value
        return f"{' or '.join(names)} ({number})" if names else str(number)
    return shown(value)


def _why(finding: Finding) -> str:
    return "" if finding.outcome else f", {finding.complaint}"


def _changes(check: Check, paths: list[str]) -> str:
    if check.matcher.op == "globs":
        paths = outside(check.matcher.want, paths)
    elif check.matcher.op == "no-glob":
        paths = [path for path in paths if path not in outside(check.matcher.want, [path])]
    listed = [f"{spelled(path)} changed" for path in paths[:10]]
    return "\n".join(listed + [f"and {len(paths) - 10} more"] * (len(paths) > 10)) or "nothing changed"
