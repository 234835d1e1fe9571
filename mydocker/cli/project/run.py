"""`mydocker up` of the services of Compose files and Quadlets."""

from __future__ import annotations

import os
from contextlib import nullcontext

from mydocker.cli.commands.run import progress
from mydocker.cli.common import say, warnings_alone
from mydocker.cli.project.build import with_images
from mydocker.cli.project.output import ServiceOutput
from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.command.outcome import Outcome
from mydocker.runtime.launch import open_store
from mydocker.services.notify import unit_ends_clean
from mydocker.services.project.limits import limited
from mydocker.services.project.plan import SCALE_LIMIT, chosen, instances, project_of, service_of, that_may_start
from mydocker.services.project.run import ProjectRun, UpOptions, check_exit_code_from
from mydocker.specs.load.profiles import refuse_absent
from mydocker.specs.values.duration import parse_duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from mydocker.cli.common.result_file import ResultFile
    from mydocker.cli.project.options import LoadedCases
    from mydocker.services.project import Instance
    from mydocker.services.project.running import RunningInstance
    from mydocker.specs.model.conditions import Condition


def planned(options: argparse.Namespace, loaded: LoadedCases) -> list[Instance]:
    """The containers of the project that LOADED has, in the order of their start. Raises UsageError, SpecError."""
    project = project_of(loaded.cases, active=loaded.active)
    starting = chosen(project, loaded.names, with_dependencies=not options.no_deps)
    refuse_absent(starting)
    cases = with_images(options, loaded.cases, starting)
    found = instances(project, cases, scale=dict(_scale(text) for text in options.scale))
    if options.no_restart:
        return [each.replace(spec=each.spec.replace(restart=None)) for each in found]
    return found


def run_project(options: argparse.Namespace, loaded: LoadedCases, results: ResultFile | None) -> int:
    """Start the services of LOADED, and follow them unless they are to go on alone; the exit code of `up`."""
    found = limited(that_may_start(planned(options, loaded), os.environ, _skip), say)
    found = [each.replace(attach=_is_attached(each, options, loaded.names)) for each in found]
    chosen_options = _up_options(options, loaded)
    check_exit_code_from(chosen_options, found)
    output = ServiceOutput(
        {each.name: each.title for each in found if each.attach and not each.is_pod},
        prefix=not options.no_log_prefix,
        color=not options.no_color,
        timestamps=options.timestamps,
    )
    run = ProjectRun(
        service_of(loaded.cases[0]).project,
        found,
        store=open_store(os.environ),
        environ=os.environ,
        options=chosen_options,
        show=lambda instance, is_error, line: output.show(instance.name, is_error, line),
        say=say,
        progress=warnings_alone if options.quiet_pull else progress(),
    )
    try:
        with nullcontext() if chosen_options.detach else unit_ends_clean(os.environ):
            return run.up(service_of(case).name for case in loaded.cases)
    finally:
        for each in run.running if results else ():
            if results and each.ended:
                results.add(spec=each.instance.spec, outcome=_outcome(each))


def _is_attached(each: Instance, options: argparse.Namespace, names: Sequence[str]) -> bool:
    """Whether what EACH writes is printed: with NAMES, of these services alone."""
    if each.service in options.no_attach:
        return False
    if options.attach:
        return each.service in options.attach
    return each.attach and (not names or each.service in names or options.attach_dependencies)


def _up_options(options: argparse.Namespace, loaded: LoadedCases) -> UpOptions:
    """Raises UsageError for options that exclude each other."""
    found = UpOptions(
        detach=options.detach or options.wait or options.no_start,
        wait=options.wait,
        wait_timeout=_wait_timeout(options),
        abort_on_exit=options.abort_on_container_exit or bool(options.exit_code_from),
        abort_on_failure=options.abort_on_container_failure,
        exit_code_from=options.exit_code_from,
        named=frozenset(loaded.names),
        stop_timeout=None if options.timeout is None else parse_duration(options.timeout),
        force_recreate=options.force_recreate,
        recreate_dependencies=options.always_recreate_deps,
        no_recreate=options.no_recreate,
        no_start=options.no_start,
        remove_orphans=options.remove_orphans,
    )
    if found.detach and (found.abort_on_exit or found.abort_on_failure):
        raise UsageError(
            "--detach and --wait leave the containers running: they exclude --abort-on-… and --exit-code-from"
        )
    if found.no_recreate and (found.force_recreate or found.recreate_dependencies):
        raise UsageError("--no-recreate excludes --force-recreate and --always-recreate-deps")
    return found


def _skip(instance: Instance, condition: Condition) -> None:
    say(f"{instance.title} is skipped: {condition} does not hold")


def _outcome(each: RunningInstance) -> Outcome:
    state = each.state
    return Outcome(
        exit_code=state.exit_code,
        oom_killed=state.oom_killed,
        stopped=each.stopping,
        wall=max(0.0, state.finished - state.started),
        ports=state.ports,
    )


def _wait_timeout(options: argparse.Namespace) -> float | None:
    if options.wait_timeout is None:
        return None
    if not options.wait:
        raise UsageError("--wait-timeout goes with --wait")
    return parse_duration(options.wait_timeout)


def _scale(text: str) -> tuple[str, int]:
    name, equals, number = text.partition("=")
    count = whole_number(number, SCALE_LIMIT)
    if not name or not equals or count is None:
        raise UsageError(f"--scale {text!r}: expected SERVICE=NUMBER", hint=f"the number is at most {SCALE_LIMIT}")
    return name, count
