"""`mydocker test --on ENGINE`: a batch whose parts run on other machines. Here its cases are checked and its images
pulled, and its results are printed as they come and put together."""

from __future__ import annotations

import os
import time

from mydocker.cli.commands.run import progress
from mydocker.cli.common import complain, say
from mydocker.cli.common.live_report import Screen
from mydocker.cli.output.reports import UNWRITTEN, complain_of
from mydocker.cli.testing.options import passed_on
from mydocker.errors import HostError, MydockerError
from mydocker.kernel.signals import Signals
from mydocker.paths import absolute, current_directory, own_program
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.launch import get_image
from mydocker.testing.batch.batch import exit_code
from mydocker.testing.engines.directory import Directory, State
from mydocker.testing.engines.follow import Following
from mydocker.testing.engines.slurm import SlurmSubmission
from mydocker.testing.parts.part import digest
from mydocker.testing.report.text import closing_lines, styled_lines
from mydocker.verdict.finding import ERROR, FAILED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from mydocker.image.store import Store
    from mydocker.reference import Reference
    from mydocker.services.case import Case
    from mydocker.testing.cases.select import Memory
    from mydocker.testing.engines.engine import Engine, Submission
    from mydocker.testing.report.formats import Reports


def run_elsewhere(
    cases: Sequence[Case], options: argparse.Namespace, *, store: Store, reports: Reports, memory: Memory
) -> int:
    """Run CASES, a whole batch, on the engine that OPTIONS name; the exit code that a batch here has. Raises HostError
    and UsageError before anything has begun."""
    count = min(options.parts, len(cases))
    directory = Directory(absolute(options.dir or f"mydocker-{digest(cases)[:8]}-{time.strftime('%Y%m%d-%H%M%S')}"))
    submission = _submission(cases, options, count=count, directory=directory)
    if options.dry_run or options.output:
        print(submission.dry_run())
        return 0
    submission.require()
    if options.on == "slurm" and not _pull(cases, store):  # nodes of Kubernetes have stores of their own
        reports.finish([], seconds=0.0)
        return UNWRITTEN
    directory.make(cases, parts=count)
    with Signals():  # from now on, what has begun is ended as well
        engine = begin(submission, directory, name=options.on, count=count)
        try:
            say(f"{engine.title}, {count} parts: 'mydocker report {directory.path}' has what they report, at any time")
            return _follow(Following(engine, directory, cases, count=count, warn=say), options, reports, memory)
        finally:
            _attempt(engine.end)


def begin(submission: Submission, directory: Directory, *, name: str, count: int) -> Engine:
    """Begin the COUNT parts of SUBMISSION on the engine NAME, and write in DIRECTORY what they are. Raises HostError:
    then none goes on."""
    try:
        engine = submission.start()
    except BaseException:
        directory.remove()
        raise
    try:
        directory.keep(State(engine=name, parts=count, id=engine.id))
    except BaseException:
        _attempt(engine.stop)
        _attempt(engine.end)
        raise
    return engine


def _attempt(action: Callable[[], None]) -> None:
    try:
        action()
    except HostError as error:
        complain(error)


def _submission(cases: Sequence[Case], options: argparse.Namespace, *, count: int, directory: Directory) -> Submission:
    """Of the engine that OPTIONS name. Raises UsageError."""
    if options.on == "kubernetes":
        from mydocker.cli.testing.kubernetes import submission_of

        return submission_of(cases, options, count=count, directory=directory)
    submission = SlurmSubmission(
        directory=directory,
        count=count,
        command=[own_program(), "test", "--shard", "auto"],
        words=passed_on(options, cases),
        has_jobs=options.jobs is not None,
        options=options.slurm,
        cwd=current_directory(),
        environ=os.environ,
    )
    submission.check()
    return submission


def _pull(cases: Sequence[Case], store: Store) -> bool:
    """Whether the store has, or now gets, the images of CASES: one that does not exist is an error of this command, and
    not of every part."""
    seen: set[tuple[Reference | None, str, str]] = set()
    good = True
    for case in cases:
        spec = case.spec.container
        key = spec.image, str(spec.platform), spec.pull_policy
        if key in seen or case.spec.skip:
            continue
        seen.add(key)
        try:
            get_image(spec, store=store, environ=os.environ, progress=progress())
        except MydockerError as error:
            good = False
            complain(type(error)(f"{spec.origin}: {error.message}", hint=error.hint))
    return good


def _follow(following: Following, options: argparse.Namespace, reports: Reports, memory: Memory) -> int:
    screen = Screen(taken=reports.takes_output, environ=os.environ)
    following.warn = screen.warn
    following.progress = lambda done, state: screen.follow(done, len(following.cases), [state], [])
    try:
        for result in following.results():
            if not options.quiet or result.verdict in (FAILED, ERROR):
                screen.show(styled_lines(result))
    finally:
        screen.erase()
    merged = following.merged
    for result in merged.results:
        reports.add(result)
    if not following.left:
        memory.keep(merged.results)
    reports.finish(merged.results, seconds=merged.seconds)
    screen.show(closing_lines(merged.results, seconds=merged.seconds, durations=options.durations))
    unwritten = complain_of(reports, screen)
    return exit_code(merged.results, interrupted=following.stopped or following.left) or unwritten
