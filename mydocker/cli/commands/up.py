"""`mydocker up FILE...`: the containers of spec files, in order."""

from __future__ import annotations

import os
import sys

from mydocker.cli.commands.run import progress
from mydocker.cli.common import complain, name_memory_kill, say
from mydocker.cli.common.image_options import add_supply, supplied_cases
from mydocker.cli.common.parser import Parser
from mydocker.cli.common.result_file import ResultFile
from mydocker.errors import MydockerError, Origin, Problem, SpecError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.launch import prepare, run
from mydocker.runtime.plan import LaunchPlan
from mydocker.services.sequence import ContainerSequence, SpecRun
from mydocker.specs.load.load import load_files
from mydocker.specs.load.profiles import active_profiles, profiles_of_env_files, select, why_none

if TYPE_CHECKING:
    from mydocker.cli.manual.page import Group
    from mydocker.specs.model import ContainerSpec
    from mydocker.specs.model.case import CaseSpec


def up_command(argv: list[str]) -> int:
    """Run every document of the files that ARGV names; the exit code of the first that failed, or 0."""
    options = parser().parse_args(argv)
    results = ResultFile(options.result) if options.result is not None else None
    try:
        specs = supplied_cases(
            _load(options.files, options.profile, image=options.image),
            frozen=options.frozen,
            offline=options.offline,
            lock_file=options.lock_file,
        )
    except MydockerError as error:
        if results:
            results.add(error=error)
        raise
    if options.dry_run:
        return _show(specs)
    return _run(specs, keep_going=options.keep_going, results=results)


def _keys() -> tuple[Group, ...]:
    from mydocker.cli.manual.pages import key_groups

    return key_groups()


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "up",
        text="FILE may be a Compose file or a .container file of Quadlet, too.",
        exits=(("0", "all succeeded"), ("125", "mydocker itself failed"), ("other", "that of the first that failed")),
        examples=(
            ("mydocker up app.yaml", "run the containers of a file"),
            ("mydocker up --profile debug compose.yaml", "run the services of a Compose file"),
            ("mydocker up --dry-run app.yaml", "print what would be done"),
        ),
        more=_keys,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a spec file; - is standard input")
    parser.add_argument("--keep-going", action="store_true", help="go on after a container that failed")
    parser.add_argument("--image", metavar="IMAGE", help="the image of containers whose files name none")
    parser.add_profiles()
    add_supply(parser)
    parser.add_argument("--result", metavar="FILE", help="write how each ended to FILE, as a line of JSON")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and do nothing")
    return parser


def _load(files: list[str], profiles: list[str], *, image: str | None) -> list[CaseSpec]:
    loaded = load_files(files, environ=os.environ, image=image, warn=say)
    active = active_profiles(profiles, os.environ) | profiles_of_env_files(files, os.environ)
    specs = select(loaded, active)
    if not specs:
        raise SpecError([Problem(origin=Origin(file=", ".join(files)), message=why_none(loaded, active))])
    return specs


def _run(specs: list[CaseSpec], *, keep_going: bool, results: ResultFile | None) -> int:
    status = 0
    sequence = ContainerSequence(specs, prepare=_prepare, run=run, environ=os.environ)
    for result in sequence.results(keep_going=keep_going):
        if results:
            results.add(spec=result.spec, plan=result.plan, outcome=result.outcome, error=result.error)
        if result.error:
            complain(result.error)
        if len(specs) > 1:
            say(_summary(result))
        elif result.outcome:
            name_memory_kill(result.outcome)
        status = status or result.status
    return status


def _prepare(spec: ContainerSpec) -> LaunchPlan:
    """Its plan. Without a terminal here, a container whose file sets `tty` gets one without input."""
    if spec.tty and spec.stdin_open and not (sys.stdin and sys.stdin.isatty()):
        spec = spec.replace(stdin_open=False)
    return prepare(spec, environ=os.environ, progress=progress())


def _summary(result: SpecRun) -> str:
    name = result.spec.name or str(result.spec.origin)
    if result.outcome is None:
        return f"{name}: not started"
    outcome = result.outcome
    if result.released:
        how = "stopped"
    elif outcome.timed_out:
        how = f"timed out after {result.spec.timeout:g} s"
    else:
        how = f"killed by signal {outcome.signal}" if outcome.signal else f"exit code {outcome.exit_code}"
        how = f"out of memory, {how}" if outcome.oom_killed else how
        how = f"{how}, {outcome.killed_by}" if outcome.killed_by else how
    return f"{name}: {how} ({outcome.wall:.2f} s)"


def _show(specs: list[CaseSpec]) -> int:
    from mydocker.cli.common.show_plan import show

    for spec in specs:
        show(_prepare(spec.container))
    return 0
