"""`mydocker up [FILE...|SERVICE...]`: the containers of spec files in order, or the services of a project together."""

from __future__ import annotations

import os
import sys

from mydocker.cli.commands.run import progress
from mydocker.cli.common import complain, name_memory_kill, say
from mydocker.cli.common.image_options import add_supply, supplied_cases
from mydocker.cli.common.parser import Parser
from mydocker.cli.common.result_file import ResultFile
from mydocker.cli.project.build import add_build, with_images, with_policy
from mydocker.cli.project.options import add_project, load_cases, refuse_no_container
from mydocker.cli.project.run import planned, run_project
from mydocker.errors import MydockerError, Origin, Problem, SpecError, UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.launch import prepare, run
from mydocker.runtime.plan import LaunchPlan
from mydocker.services.notify import unit_ends_clean
from mydocker.services.project.plan import is_project
from mydocker.specs.load.profiles import refuse_absent, select, why_none

if TYPE_CHECKING:
    import argparse

    from mydocker.cli.manual.page import Group
    from mydocker.cli.project.options import LoadedCases
    from mydocker.services.sequence import SpecRun
    from mydocker.specs.model import ContainerSpec
    from mydocker.specs.model.case import CaseSpec


def up_command(argv: list[str]) -> int:
    """Run the services of the project that ARGV means, or every document of its files; then, the exit code of the first
    that failed, or 0."""
    options = parser().parse_args(argv)
    results = ResultFile(options.result) if options.result is not None else None
    try:
        loaded = _load(options)
        if is_project(loaded.cases):
            if options.dry_run:
                return _show([each.spec for each in planned(options, loaded)])
            return run_project(options, loaded, results)
        specs = _sequence(options, loaded)
    except MydockerError as error:
        if results:
            results.add(error=error)
        raise
    if options.dry_run:
        return _show([spec.container for spec in specs])
    with unit_ends_clean(os.environ):
        return _run(specs, keep_going=options.keep_going, results=results)


def _keys() -> tuple[Group, ...]:
    from mydocker.cli.manual.pages import key_groups

    return key_groups()


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "up",
        text="Services of Compose files and of Quadlet's .container files run together, in the foreground until all "
        "have ended or Ctrl-C stops them, and then nothing of them is left. The containers of other spec files run one "
        "after the other.",
        exits=(
            ("0", "all succeeded; services have ended"),
            ("125", "mydocker itself failed"),
            ("other", "that of the first that failed; of a service, see --exit-code-from"),
        ),
        examples=(
            ("mydocker up", "run the services of compose.yaml"),
            ("mydocker up -d web", "start a service, and those that it needs, in the background"),
            ("mydocker up --exit-code-from tests", "run services until one has ended, for its exit code"),
            ("mydocker up --build", "build the images of the services first"),
            ("mydocker up app.yaml", "run the containers of a file"),
            ("mydocker up --dry-run app.yaml", "print what would be done"),
        ),
        more=_keys,
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="a spec file, - is standard input; or a service of the Compose file"
    )
    add_project(parser)
    _add_services(parser)
    add_build(parser)
    parser.add_argument("--keep-going", action="store_true", help="go on after a container that failed")
    parser.add_argument("--image", metavar="IMAGE", help="the image of containers whose files name none")
    add_supply(parser)
    parser.add_argument("--result", metavar="FILE", help="write how each ended to FILE, as a line of JSON")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and do nothing")
    return parser


_SERVICES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("-d", "--detach"), "leave the services running in the background"),
    (("--wait",), "wait until the services are healthy, and leave them running"),
    (("--no-deps",), "do not start what the services depend on"),
    (("--no-restart",), "start no container again that has ended: whatever runs mydocker does that, such as systemd"),
    (("--no-log-prefix",), "print lines without the name of the container"),
    (("--abort-on-container-exit",), "stop all services when one has ended, and exit with its code"),
    (("--abort-on-container-failure",), "stop all services when one has failed, and exit with its code"),
    (("--no-color",), "print lines without colors"),
    (("--timestamps",), "print when each line came"),
    (("--attach-dependencies",), "print what services write that are not named, too"),
    (("--force-recreate",), "create containers anew that are there and have not changed"),
    (("--always-recreate-deps",), "create those anew that the named services depend on"),
    (("--no-recreate",), "leave containers alone that are there, even if the files have changed"),
    (("--no-start",), "create the containers, and start none"),
    (("--quiet-pull",), "do not print how far a pull is"),
    (("-V", "--renew-anon-volumes"), "accepted: a volume without a name goes with its container anyway"),
    (("-y", "--yes"), "accepted: nobody is asked"),
    (("--remove-orphans",), "remove containers of services that the file no longer has"),
)


_REPEATED = {
    "--attach": "print what this service writes, and no other one",
    "--no-attach": "do not print what this service writes",
}


def _add_services(parser: Parser) -> None:
    for flags, text in _SERVICES:
        parser.add_argument(*flags, action="store_true", help=text)
    parser.add_argument(
        "--wait-timeout", metavar="DURATION", help="with --wait: fail if the services are not healthy after this time"
    )
    parser.add_argument(
        "--exit-code-from", default="", metavar="SERVICE", help="the same, and exit with the code of this service"
    )
    for flag, text in _REPEATED.items():
        parser.add_argument(flag, action="append", default=[], metavar="SERVICE", help=text)
    parser.add_argument(
        "-t",
        "--timeout",
        metavar="DURATION",
        help="time until a container is killed (default: its own)",
    )
    parser.add_argument(
        "--scale", action="append", default=[], metavar="SERVICE=NUMBER", help="run so many containers of a service"
    )


def _load(options: argparse.Namespace) -> LoadedCases:
    loaded = load_cases(options, options.files, image=options.image, defers=True)
    refuse_no_container(loaded)
    cases = supplied_cases(loaded.cases, frozen=options.frozen, offline=options.offline, lock_file=options.lock_file)
    return loaded.replace(cases=with_policy(cases, options.pull))


def _sequence(options: argparse.Namespace, loaded: LoadedCases) -> list[CaseSpec]:
    """The containers of LOADED that take part, one after the other. Raises UsageError for an option of services."""
    flags = [flags[-1] for flags, _ in _SERVICES if getattr(options, flags[-1][2:].replace("-", "_"))]
    flags += ["--exit-code-from"] * bool(options.exit_code_from) + ["--scale"] * bool(options.scale)
    flags += ["--wait-timeout"] * bool(options.wait_timeout) + ["--timeout"] * bool(options.timeout)
    flags += [flag for flag in _REPEATED if getattr(options, flag[2:].replace("-", "_"))]
    if flags:
        raise UsageError(f"{flags[0]} is for services, of Compose files and Quadlets, and {loaded.shown} has others")
    specs = select(loaded.cases, loaded.active)
    if not specs:
        problem = Problem(origin=Origin(file=loaded.shown), message=why_none(loaded.cases, loaded.active))
        raise SpecError([problem])
    refuse_absent(specs)
    return with_images(options, loaded.cases, specs)


def _run(specs: list[CaseSpec], *, keep_going: bool, results: ResultFile | None) -> int:
    from mydocker.services.sequence import ContainerSequence  # which a project does without

    status = 0
    sequence = ContainerSequence(specs, prepare=_prepare, run=run, environ=os.environ, warn=say)
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


def _show(specs: list[ContainerSpec]) -> int:
    from mydocker.cli.common.show_plan import show

    for spec in specs:
        show(_prepare(spec))
    return 0
