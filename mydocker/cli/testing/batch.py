"""A batch from its command line to its exit code: the cases that are chosen, run here or elsewhere, and reported."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack

from mydocker.cli.commands import USAGE
from mydocker.cli.common import complain, on_failure, say
from mydocker.cli.common.image_options import add_supply, supplied_cases
from mydocker.cli.common.live_report import Screen
from mydocker.cli.common.parser import Parser, number_up_to
from mydocker.cli.output.reports import EXITS, UNWRITTEN, add_report, complain_of, open_reports
from mydocker.cli.testing.options import add_engines, check_engine
from mydocker.errors import MydockerError, SpecError, UsageError, printable, refused_by_host
from mydocker.image.lock_file import NAME
from mydocker.image.store import Store
from mydocker.record import TYPE_CHECKING
from mydocker.services.case import Case, JudgedCase
from mydocker.services.notify import unit_ends_clean
from mydocker.services.schedule import with_needed
from mydocker.specs.load.profiles import active_profiles
from mydocker.specs.values.duration import parse_duration
from mydocker.testing.batch.batch import INTERRUPTED, Batch, Limits, exit_code
from mydocker.testing.cases.collect import collect, with_variables
from mydocker.testing.cases.select import Memory, by_name, by_tags
from mydocker.testing.parts.line import heading
from mydocker.testing.parts.part import WHOLE, digest, divide, parse_part
from mydocker.testing.report.formats import Reports
from mydocker.testing.report.text import closing_lines, styled_lines
from mydocker.verdict.finding import ERROR, FAILED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from mydocker.testing.batch.spawner import Spawner
    from mydocker.testing.cases.project import RunningProject

NO_TESTS = 5
_COUNT = number_up_to(9999)
_SEED = number_up_to(999_999_999, least=0, called="seed")
_PATHS = (
    "a spec file, FILE:LINE for one spec of it, FILE:LINE[NAME=VALUE] for one of its matrix, a folder, a pattern, or - "
    "for standard input"
)
_EXAMPLES = (
    ("mydocker test tests", "run the *.smoke.yaml files below a folder"),
    ("mydocker test -k 'web and not slow' -x tests", "run some, and stop after the first failure"),
    ("mydocker test --report junit=report.xml tests", "write a report for a CI service"),
    ("mydocker test --shard 2/4 --report jsonl=2.jsonl tests", "run a part of them, see 'mydocker report'"),
    ("mydocker test --on slurm -n 8 tests", "run all in parts on a cluster"),
    ("mydocker test --image IMAGE cst.yaml", "run a file of container-structure-test"),
)


def run(argv: list[str], spawner: Spawner) -> int:
    """Run the cases that ARGV names, with workers of SPAWNER; the exit code that follows from the verdicts."""
    began = time.monotonic()
    with unit_ends_clean(os.environ), ExitStack() as files:
        try:
            options = parser().parse_args(_with_seed(argv))
            check_engine(options)
            on_failure.check(options.on_failure)
            limits = _limits(options)
            store = Store.open(os.environ)
            memory = Memory(f"{store.root}/failed.json")
            part = parse_part(options.shard, os.environ) if options.shard else WHOLE
            project = _project(store, options.project) if options.project is not None else None
            whole = _cases(options, memory, project)
            cases = divide(whole, part)
            reports = Reports(open_reports(options.report if _runs(options) else [], files))
        except (UsageError, SpecError) as error:
            complain(error)
            return USAGE
        if options.shard and whole:
            reports.begin(heading(whole, part=str(part), batch=digest(whole)))
        if not whole:
            reports.finish([], seconds=time.monotonic() - began)
            complain(MydockerError("there is nothing to test", hint="a folder's tests are its *.smoke.yaml files"))
            return NO_TESTS
        if options.list:
            return _list(cases)
        try:
            if options.on != "kubernetes" and any(case.spec.build for case in cases):
                cases = _built(cases, offline=options.offline)
            if options.on:
                from mydocker.cli.testing.elsewhere import run_elsewhere

                return run_elsewhere(cases, options, store=store, reports=reports, memory=memory)
        except MydockerError as error:
            complain(error)
            reports.finish([], seconds=time.monotonic() - began)
            return USAGE if isinstance(error, UsageError) else UNWRITTEN
        refused = project.wait_for(cases, limits.timeout) if project else {}
        return _run(cases, limits, reports, memory, options, refused, spawner, began=began)


def _runs(options: argparse.Namespace) -> bool:
    """Whether anything is run, and not only shown."""
    return not (options.list or options.dry_run or options.output)


def _built(cases: list[Case], *, offline: bool) -> list[Case]:
    """CASES, with the images that their files say how to build in the store. Raises MydockerError."""
    from mydocker.cli.project.build import with_missing_images

    specs = [case.spec for case in cases]
    specs = with_missing_images(specs, specs, offline=offline)
    return [case.replace(spec=spec) for case, spec in zip(cases, specs, strict=True)]


def parser() -> Parser:
    """What the command line may have."""
    text = "'expect' in a spec lists what must be true of its container."
    parser = Parser("test", text=text, exits=EXITS, examples=_EXAMPLES)
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help=_PATHS)
    add(
        "--project",
        metavar="NAME",
        help="the cases reach the services of this project, which 'mydocker up -d' has started",
    )
    add("-j", "--jobs", type=_COUNT, metavar="N", help="containers at once (default: processors)")
    add(
        "--image",
        metavar="IMAGE",
        help="the image of containers whose files name none, such as container-structure-test's",
    )
    _add_choice(parser)
    add_supply(parser)
    add("--maxfail", type=_COUNT, metavar="N", help="begin no more after N have failed")
    add("-x", dest="maxfail", action="store_const", const=1, help="begin no more after the first has failed")
    add("-q", "--quiet", action="store_true", help="show only what did not pass, and the summary")
    add("--list", action="store_true", help="print which cases there are, and run none")
    add("--durations", type=_COUNT, default=0, metavar="N", help="show the N slowest cases at the end")
    add(
        "--on-failure",
        choices=on_failure.CHOICES,
        help="keep: keep what a failed container wrote, see 'mydocker diff'; shell: a shell there (one at a time)",
    )
    add("--publish", action="store_true", help="publish ports on the host, which cases with the same ones cannot share")
    add("--shuffle", metavar="[=SEED]", type=_SEED, help="run in another order; with =SEED in the same one again")
    add("--timeout", metavar="DURATION", help="end the whole batch after this time")
    add("--shard", metavar="K/N", help="run part K of N; auto: the part that the CI service or the cluster says")
    add_report(parser)
    add_engines(parser)
    return parser


def _add_choice(parser: Parser) -> None:
    add = parser.add_argument
    add("-k", metavar="EXPR", help="only those whose file or name has these words: 'web and not slow'")
    add("--tags", metavar="TAGS", help="only those with one of these tags; !TAG: without it")
    add("--last-failed", action="store_true", help="only those that failed the last time, if any did")
    parser.add_profiles()


def _with_seed(argv: list[str]) -> list[str]:
    """ARGV, with a seed for --shuffle where there is none: argparse would take the word after it."""
    if "--shuffle" not in argv:
        return argv
    import random

    return [f"--shuffle={random.randrange(10**6)}" if word == "--shuffle" else word for word in argv]


def _limits(options: argparse.Namespace) -> Limits:
    return Limits(
        jobs=1 if options.on_failure == on_failure.SHELL else options.jobs or len(os.sched_getaffinity(0)),
        keep=options.on_failure is not None,
        publish=options.publish,
        max_failures=options.maxfail,
        timeout=parse_duration(options.timeout) if options.timeout else None,
    )


def _project(store: Store, name: str) -> RunningProject:
    from mydocker.testing.cases.project import find_running  # most batches have none

    return find_running(store, name)


def _cases(options: argparse.Namespace, memory: Memory, project: RunningProject | None) -> list[Case]:
    """The cases that are selected and what they need, numbered anew."""
    cases = collect(
        options.paths,
        environ=os.environ,
        image=options.image,
        profiles=active_profiles(options.profile, os.environ),
        services=project.containers if project else (),
        warn=say,
    )
    if options.k is not None:
        cases = by_name(cases, options.k)
    if options.tags is not None:
        cases = by_tags(cases, options.tags)
    if options.last_failed:
        cases = memory.select(cases)
    cases = with_variables(_supplied(with_needed(cases), options), os.environ)
    return [project.join(case) for case in cases] if project else cases


def _supplied(cases: list[Case], options: argparse.Namespace) -> list[Case]:
    """CASES, numbered anew, with their images as --frozen and --offline require."""
    chosen = {"frozen": options.frozen, "offline": options.offline}
    words = tuple(f"--{name}" for name, on in chosen.items() if on)
    if options.frozen and options.lock_file != NAME:
        words += ("--lock-file", options.lock_file)
    specs = supplied_cases([case.spec for case in cases], lock_file=options.lock_file, **chosen)
    return [
        case.replace(number=number, spec=spec, options=(*case.options, *words))
        for number, (case, spec) in enumerate(zip(cases, specs, strict=True))
    ]


def _list(cases: list[Case]) -> int:
    """A line for each case: the words that choose it, its name and its tags."""
    for case in cases:
        tags = f"  [{', '.join(case.spec.tags)}]" if case.spec.tags else ""
        print(printable(f"{case.address}  {case.title}{tags}"))
    return 0


def _run(
    cases: list[Case],
    limits: Limits,
    reports: Reports,
    memory: Memory,
    options: argparse.Namespace,
    refused: dict[int, str],
    spawner: Spawner,
    *,
    began: float,
) -> int:
    """REFUSED: why a case cannot run, by its number. BEGAN: when the command did; the summary has the time since
    then."""
    screen = Screen(taken=reports.takes_output, environ=os.environ)
    cases = cases if options.shuffle is None else _shuffled(cases, options.shuffle)
    follow = screen.follow if screen.live else None
    batch = Batch(cases, limits=limits, spawner=spawner, refused=refused, follow=follow, warn=screen.warn)
    results: list[JudgedCase] = []
    try:
        for result in _in_order(_reported(_all_results(batch, cases), reports)):
            results.append(result)
            if not options.quiet or result.verdict in (FAILED, ERROR):
                screen.show(styled_lines(result))
            if options.on_failure == on_failure.SHELL:
                on_failure.open_shell(result)
    finally:
        screen.erase()
    seconds = time.monotonic() - began
    if not options.shard:  # `mydocker report` keeps those of all parts
        memory.keep(results)
    reports.finish(results, seconds=seconds)
    screen.show(closing_lines(results, seconds=seconds, durations=options.durations))
    unwritten = complain_of(reports, screen)
    return exit_code(results, interrupted=batch.stopped == INTERRUPTED) or unwritten


def _shuffled(cases: list[Case], seed: int) -> list[Case]:
    import random

    say(f"mydocker: run in the order of --shuffle={seed}")
    return random.Random(seed).sample(cases, len(cases))


def _all_results(batch: Batch, cases: list[Case]) -> Iterator[JudgedCase]:
    """A result for each of CASES, even if BATCH fails: if the host or a defect ends it, the rest report that, and what
    was found before is reported."""
    missing = {case.number: case for case in cases}
    try:
        for result in batch.results():
            del missing[result.case.number]
            yield result
        return
    except OSError as error:
        why = refused_by_host(error).message
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    for case in missing.values():
        yield JudgedCase(case=case, verdict=ERROR, reason=f"not run to its end: {why}", attempts=0)


def _reported(results: Iterator[JudgedCase], reports: Reports) -> Iterator[JudgedCase]:
    for result in results:
        reports.add(result)
        yield result


def _in_order(results: Iterator[JudgedCase]) -> Iterator[JudgedCase]:
    """Results in the order of their cases: each as soon as all before it are there."""
    early: dict[int, JudgedCase] = {}
    following = 0
    for result in results:
        early[result.case.number] = result
        while following in early:
            yield early.pop(following)
            following += 1
