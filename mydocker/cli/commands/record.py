"""`mydocker record [-o FILE] [OPTIONS] IMAGE [COMMAND [ARG...]]`: a spec that expects what holds now."""

from __future__ import annotations

import json
import os
import shlex

from mydocker import errors
from mydocker.cli.commands.run import working_directory
from mydocker.cli.common import say, warn
from mydocker.errors import HostError, MydockerError, UsageError, inert, printable
from mydocker.json_output import dump
from mydocker.paths import stream, usable
from mydocker.record import TYPE_CHECKING
from mydocker.services.case import Case
from mydocker.specs.argv import RunRequest, parse_run
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.nodes.yaml import escape, write_documents
from mydocker.specs.render.normal_form import normal_form
from mydocker.testing.batch.batch import INTERRUPTED, Batch, Limits
from mydocker.testing.batch.spawner import Spawner
from mydocker.testing.cases.record import questions, recorded

if TYPE_CHECKING:
    from typing import Any

    from mydocker.specs.model import ContainerSpec
    from mydocker.verdict.finding import Finding

RUNS = 3
TITLE = 80  # characters of the name that a spec gets
INTERRUPTED_STATUS = 130


def record_command(argv: list[str]) -> int:
    """Run the container that ARGV describes, and print or write the spec; 0. What cannot be run is an error, as for
    `run`."""
    output, rest = _output(argv)
    if rest[:1] in (["--help"], ["-h"]) and len(rest) < 3:
        from mydocker.cli.manual.pages import record_page
        from mydocker.cli.manual.text import rendered

        print(rendered(record_page(), everything=rest[1:] == ["all"]))
        return 0
    usable(output)
    request = parse_run(rest, environ=os.environ, cwd=working_directory())
    if request != RunRequest(spec=request.spec):
        raise UsageError("record takes only options that describe the container", hint="see 'mydocker record --help'")
    spec = request.spec.replace(name=request.spec.name or _title(rest, request.spec))
    findings: list[Finding] = []
    for _ in range(RUNS):
        finding = _run(spec, findings)
        if finding is None:
            return INTERRUPTED_STATUS
        findings.append(finding)
    shown = output == "-" or stream(output) is not None
    text = _text(spec, argv, *recorded(findings), shown=shown)
    if output == "-":
        print(text, end="")
    else:
        _write(output, text)
    return 0


def _output(argv: list[str]) -> tuple[str, list[str]]:
    """(the file of the spec, the words of `run`)."""
    flag, equals, value = argv[0].partition("=") if argv else ("", "", "")
    if flag not in ("-o", "--output"):
        return "-", argv
    if equals:
        return value, argv[1:]
    if len(argv) < 2:
        raise UsageError(f"flag needs an argument: {flag}", hint="see 'mydocker record --help'")
    return argv[1], argv[2:]


def _title(words: list[str], spec: ContainerSpec) -> str:
    """The image and the command, as far as they fit."""
    command = spec.command or ()
    what = [spec.image.familiar] if spec.image else []
    name = printable(shlex.join([*what, *command]))
    return name if len(name) <= TITLE else f"{name[: TITLE - 1]}…"


def _run(spec: ContainerSpec, before: list[Finding]) -> Finding | None:
    """The finding of one more run, in which those BEFORE decide what is inspected; None if it was interrupted."""
    asking = CaseSpec(container=spec, expect=questions(before))
    with Spawner(os.environ) as spawner:
        batch = Batch([Case(number=0, spec=asking, file="", line=0)], limits=Limits(), spawner=spawner, warn=warn)
        [result] = batch.results()
    if batch.stopped == INTERRUPTED:
        return None
    finding = result.finding
    if finding.outcome is None:
        kind = getattr(errors, finding.kind, HostError)
        error: MydockerError = kind(finding.problem, hint=finding.hint or None)
        raise error
    return finding


def _text(spec: ContainerSpec, argv: list[str], expect: dict[str, Any], remarks: list[str], *, shown: bool) -> str:
    """The spec file. One that is SHOWN is JSON, which is YAML with escapes, if a line of it would command the runner
    of a CI job."""
    document = {**normal_form(CaseSpec(container=spec)), "expect": expect}
    head = [f"recorded by: mydocker record {shlex.join(argv)}"]
    if remarks:
        head += [
            f"left out, since {RUNS} runs differed or no file can express it:",
            *(f"  {each}" for each in remarks),
        ]
    comments = "".join(f"# {printable(line)}\n" for line in head)
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UsageError("a value is not UTF-8, so no file can hold it") from None
    text = write_documents([document])
    if shown and any(inert(line) != line for line in text.split("\n")):
        text = f"{dump(escape(document), indent=2)}\n"
    return comments + text


def _write(path: str, text: str) -> None:
    try:
        descriptor = stream(path)
        target = path if descriptor is None else descriptor
        with open(target, "w", encoding="utf-8", closefd=descriptor is None) as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    if descriptor is None:
        say(f"{path}: 'mydocker test {shlex.quote(path)}' tests it")
