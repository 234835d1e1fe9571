"""`mydocker compose run SERVICE [COMMAND...]`: one more container of a service, in the foreground, for one command."""

from __future__ import annotations

import os
import secrets
import shlex

from mydocker.cli.commands.run import progress, working_directory
from mydocker.cli.common import name_memory_kill, say, warnings_alone
from mydocker.cli.common.parser import Parser
from mydocker.cli.containers.reserved_name import reserved
from mydocker.cli.project.build import POLICIES, with_missing_images, with_policy
from mydocker.cli.project.members import is_terminal, options_first
from mydocker.cli.project.options import add_project, load_cases
from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.launch import open_store, prepare, run
from mydocker.services.containers import PROJECT, SERVICE, start
from mydocker.services.project.limits import limited
from mydocker.services.project.plan import chosen, instances, project_of
from mydocker.services.project.run import ProjectRun, UpOptions
from mydocker.specs.argv import parse_run
from mydocker.specs.load.profiles import refuse_absent

if TYPE_CHECKING:
    import argparse

    from mydocker.services.project import Instance, Project
    from mydocker.specs.model import ContainerSpec

_ONE_OFF = {"com.docker.compose.oneoff": "True"}
_OF_RUN = (
    *("--env", "--env-file", "--volume", "--publish", "--user", "--workdir", "--entrypoint", "--label", "--name"),
    *("--cap-add", "--cap-drop"),
)


def run_once(before: list[str], argv: list[str]) -> int:
    """Run the command that ARGV describes; its exit code. What the service depends on is started first, and left
    running. Raises UsageError, SpecError, LaunchError."""
    flags, [service, *command] = options_first(parser(), argv)
    options = parser().parse_args([*flags, service])
    files = Parser("compose")
    add_project(files)
    loaded = load_cases(files.parse_args(before), [], defers=True)
    project = project_of(loaded.cases, active=loaded.active)
    cases = with_policy(chosen(project, [service], with_dependencies=not options.no_deps), options.pull)
    refuse_absent(cases)
    found = instances(project, with_missing_images(cases, loaded.cases, always=options.build), scale={})
    found = limited(found, say)
    own = next(each for each in found if each.service == service)
    spec = _spec(project, own, options, command)
    others = [each for each in found if each.service != service]
    if others:
        _start(project, others, own)
    if options.detach:
        return _run_in_background(project, own, spec, remove=options.rm)
    quiet = options.quiet or options.quiet_pull
    plan = prepare(spec, environ=os.environ, progress=warnings_alone if quiet else progress())
    with reserved(spec.name or "", plan.container_id):
        outcome = run(plan)
    name_memory_kill(outcome)
    return outcome.status


def _start(project: Project, needed: list[Instance], by: Instance) -> None:
    """Start the containers NEEDED that do not run yet, and wait until they are there as BY needs them."""
    options = UpOptions(detach=True, needed_by=by)
    names = [case.service.name for case in project.services if case.service]
    store = open_store(os.environ)
    ProjectRun(
        project.name,
        needed,
        store=store,
        environ=os.environ,
        options=options,
        show=lambda instance, is_error, line: None,
        say=say,
        progress=progress(),
    ).up(names)


def _spec(project: Project, own: Instance, options: argparse.Namespace, command: list[str]) -> ContainerSpec:
    """The service's, with what OPTIONS and COMMAND have in its place."""
    words = [word for flag in _OF_RUN for text in _texts(options, flag) for word in (flag, text)]
    given = parse_run([*words, "--rootfs=/", "--", *command], environ=os.environ, cwd=working_directory()).spec
    spec = own.spec
    has_terminal = is_terminal() and not options.no_tty
    networks = [each if options.use_aliases else each.replace(aliases=()) for each in spec.networks]
    return spec.replace(
        name=given.name or f"{project.name}-{own.service}-run-{secrets.token_hex(6)}",
        entrypoint=spec.entrypoint if given.entrypoint is None else _words(options.entrypoint),
        command=given.command if given.command is not None or given.entrypoint is not None else spec.command,
        environment={**spec.environment, **given.environment},
        labels={**spec.labels, **given.labels},
        volumes=(*spec.volumes, *given.volumes),
        ports=(*(spec.ports if options.service_ports else ()), *given.ports),
        user=given.user or spec.user,
        working_dir=given.working_dir or spec.working_dir,
        cap_add=(*spec.cap_add, *given.cap_add),
        cap_drop=(*spec.cap_drop, *given.cap_drop),
        networks=tuple(networks),
        tty=has_terminal,
        stdin_open=not options.detach,
        restart=None,
    )


def _words(text: str) -> tuple[str, ...]:
    """The words of `--entrypoint`, which Compose splits as a shell does, other than `docker run`."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"--entrypoint {text!r}: {str(error).lower()}") from None


def _texts(options: argparse.Namespace, flag: str) -> list[str]:
    value = getattr(options, flag[2:].replace("-", "_"))
    return value if isinstance(value, list) else [] if value is None else [value]


def _run_in_background(project: Project, own: Instance, spec: ContainerSpec, *, remove: bool) -> int:
    store = open_store(os.environ)
    container, image = start.create(
        spec,
        store=store,
        environ=os.environ,
        auto_remove=remove,
        labels={PROJECT: project.name, SERVICE: own.service, **_ONE_OFF},
        progress=progress(),
    )
    start.begin(container, store=store, environ=os.environ, image=image).wait()
    print(container.config.title)
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "compose run",
        usage="[OPTIONS] SERVICE [COMMAND...]",
        summary="Run a command in one more container of a service",
    )
    add = parser.add_argument
    for flags in (("-e", "--env"), ("--env-file",), ("-v", "--volume"), ("-p", "--publish"), ("-l", "--label")):
        add(*flags, action="append", default=[], metavar="VALUE", help="as for 'mydocker run' (repeatable)")
    for flags in (("--cap-add",), ("--cap-drop",)):
        add(*flags, action="append", default=[], metavar="NAME", help="as for 'mydocker run' (repeatable)")
    for flags in (("-u", "--user"), ("-w", "--workdir"), ("--name",)):
        add(*flags, metavar="VALUE", help="as for 'mydocker run'")
    add("--entrypoint", metavar="COMMAND", help="the program, and arguments that come before those of COMMAND")
    add("-d", "--detach", action="store_true", help="run it in the background, and print its name")
    add("--rm", action="store_true", help="remove it at its end, as every run without -d")
    add("--no-deps", action="store_true", help="do not start what the service depends on")
    add("-P", "--service-ports", action="store_true", help="publish the ports of the service, too")
    add("--use-aliases", action="store_true", help="give it the names of the service in its networks")
    add("-T", "--no-tty", "--no-TTY", action="store_true", help="no terminal, also if there is one")
    add("-i", "--interactive", action="store_true", help="accepted: the standard input is open")
    add("--build", action="store_true", help="build images before containers start")
    add("--pull", choices=POLICIES, help="when to pull images, in place of what the files say")
    add("--quiet-pull", action="store_true", help="do not print how far a pull is")
    add("-q", "--quiet", action="store_true", help="the same")
    add("service", metavar="SERVICE", help="a service of the Compose file")
    return parser
