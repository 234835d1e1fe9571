"""`mydocker run [OPTIONS] IMAGE [COMMAND [ARG...]]`."""

from __future__ import annotations

import os
import sys

from mydocker.cli.common import name_memory_kill, say, warnings_alone
from mydocker.errors import MydockerError, refused_by_host
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.launch import prepare, run
from mydocker.specs.argv import parse_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.image.model.progress import Step
    from mydocker.runtime.command.outcome import Outcome
    from mydocker.runtime.plan import LaunchPlan
    from mydocker.specs.argv import RunRequest
    from mydocker.specs.model import ContainerSpec


def run_command(argv: list[str]) -> int:
    """Run the container that ARGV describes; its exit code."""
    try:
        request = parse_run(argv, environ=os.environ, cwd=working_directory())
    except MydockerError as error:
        _record_refusal(argv, error)
        raise
    if request.help:
        from mydocker.cli.manual.pages import run_page
        from mydocker.cli.manual.text import rendered

        print(rendered(run_page(), everything=argv[-1] == "all"))
        return 0
    for doubt in request.doubts:
        say(f"warning: {doubt}")
    spec = _supplied(request) if request.frozen or request.offline else request.spec
    if request.detach and not request.dry_run:
        from mydocker.cli.containers.detached import run_detached

        return run_detached(request.replace(spec=spec))
    if request.dry_run:
        from mydocker.cli.common.show_plan import show

        show(_prepare(request, spec))
        return 0
    runner = _keeping(spec) if request.keep else run
    if spec.name:
        runner = _reserving(spec.name, runner)
    if request.cidfile:
        runner = _naming(request.cidfile, runner)
    if spec.restart:
        runner = _restarting(request, spec, runner)
    outcome = runner(_prepare(request, spec)) if request.result is None else _run_on_record(request, spec, runner)
    name_memory_kill(outcome)
    return outcome.status


def _supplied(request: RunRequest) -> ContainerSpec:
    from mydocker.cli.common.image_options import supplied

    [spec] = supplied([request.spec], frozen=request.frozen, offline=request.offline)
    return spec


def _prepare(request: RunRequest, spec: ContainerSpec) -> LaunchPlan:
    if request.cidfile:
        from mydocker.cli.common.id_file import refuse_existing

        refuse_existing(request.cidfile)
    if spec.volumes_from:
        from mydocker.runtime.launch import open_store
        from mydocker.services.volumes_from import with_volumes

        spec = with_volumes(spec, open_store(os.environ))
    shown = warnings_alone if request.quiet else progress()
    plan = prepare(spec, environ=os.environ, progress=shown, lend_program=True)
    return plan.replace(attach=request.attach) if request.attach else plan


def _reserving(name: str, runner: Callable[[LaunchPlan], Outcome]) -> Callable[[LaunchPlan], Outcome]:
    """RUNNER, changed so that no other container has NAME meanwhile. It raises UsageError if one has."""
    from mydocker.cli.containers.reserved_name import reserved

    def run_named(plan: LaunchPlan) -> Outcome:
        with reserved(name, plan.container_id):
            return runner(plan)

    return run_named


def _naming(path: str, runner: Callable[[LaunchPlan], Outcome]) -> Callable[[LaunchPlan], Outcome]:
    """RUNNER, changed to write the container's ID to the file at PATH first."""
    from mydocker.cli.common.id_file import write_id

    def run_named(plan: LaunchPlan) -> Outcome:
        write_id(path, plan.container_id)
        return runner(plan)

    return run_named


def _restarting(
    request: RunRequest, spec: ContainerSpec, runner: Callable[[LaunchPlan], Outcome]
) -> Callable[[LaunchPlan], Outcome]:
    """RUNNER, changed to run a new container by the restart policy of SPEC, until a signal ends mydocker."""
    from time import sleep

    from mydocker.services.restarts import Restarts

    def run_again(plan: LaunchPlan) -> Outcome:
        restarts = Restarts(spec.restart)
        outcome = runner(plan)
        while not outcome.stopped:
            pause = restarts.pause(status=outcome.status, seconds=outcome.wall)
            if pause is None:
                break
            sleep(pause)
            outcome = runner(_prepare(request, spec))
        return outcome

    return run_again


def _keeping(spec: ContainerSpec) -> Callable[[LaunchPlan], Outcome]:
    from mydocker.cli.common.keep_container import run_and_keep

    title = spec.name or (spec.image.familiar if spec.image else str(spec.rootfs))
    return lambda plan: run_and_keep(plan, title=title)


def _run_on_record(request: RunRequest, spec: ContainerSpec, runner: Callable[[LaunchPlan], Outcome]) -> Outcome:
    """Run SPEC with RUNNER, and write how it ended to the file that REQUEST names."""
    from mydocker.cli.common.result_file import ResultFile

    results = ResultFile(request.result or "")
    plan = None
    try:
        plan = _prepare(request, spec)
        outcome = runner(plan)
    except (MydockerError, OSError) as error:
        refusal = error if isinstance(error, MydockerError) else refused_by_host(error)
        results.add(spec=spec, plan=plan, outcome=getattr(error, "outcome", None), error=refusal)  # see NotKeptError
        raise
    results.add(spec=spec, plan=plan, outcome=outcome)
    return outcome


def _record_refusal(argv: list[str], error: MydockerError) -> None:
    """A command line that cannot be understood has a result too, if --result comes before its mistake."""
    from mydocker.specs.argv import requested_result

    path = requested_result(argv)
    if path is not None:
        from mydocker.cli.common.result_file import ResultFile

        ResultFile(path).add(error=error)


def working_directory() -> str:
    """The current directory; empty if it has been removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def progress() -> Callable[[Step], None]:
    """Where a pull reports its steps: nowhere but for warnings, unless a terminal is watching."""
    if sys.stderr is None or not sys.stderr.isatty():
        return warnings_alone
    from mydocker.cli.common.progress import plain

    return plain
