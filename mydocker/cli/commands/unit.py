"""`mydocker unit FILE|NAME...`: print units of systemd that run containers, or install them."""

from __future__ import annotations

import os

from mydocker.cli.common import say
from mydocker.cli.common.parser import Parser
from mydocker.cli.output.archives import unfinished
from mydocker.cli.project.options import add_project, is_file, load_cases, project_options, refuse_no_container
from mydocker.cli.project.units import environment, lasting, of_tests, pulls, unit_name, wanted_by
from mydocker.errors import HostError, UsageError
from mydocker.image.store import Store
from mydocker.paths import absolute, own_program, xdg_or_home
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers.find import find_kept
from mydocker.services.project.plan import chosen, is_project, project_of, service_of
from mydocker.specs.load.profiles import select, why_none
from mydocker.specs.load.project_files import ENV_FILES
from mydocker.specs.model.parts import COMPLETED
from mydocker.specs.render.systemd_unit import HEAD, ServiceUnit, service_text, target_text
from mydocker.specs.values.project import VARIABLE as PROJECT_NAME

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from mydocker.cli.project.options import LoadedCases
    from mydocker.specs.load.project_files import ProjectOptions

    Units = dict[str, str]  # by the names of their files

_SYSTEM = "/etc/systemd/system"
_SOURCE = "SourcePath="
_FLAGS = ("--no-deps", "--no-log-prefix", "--no-restart")  # of a service by itself, which systemd starts and restarts


def unit_command(argv: list[str]) -> int:
    """Print the units for what ARGV names, or with --install write them; 0."""
    options = parser().parse_args(argv)
    if options.timer and not options.test:
        raise UsageError("--timer is for --test", hint="mydocker unit --test --timer daily PATH")
    units = of_tests(options) if options.test else _units(options)
    if options.install or options.directory:
        _install(units, options)
        return 0
    texts = units.values() if len(units) == 1 else [f"# {name}\n{text}" for name, text in units.items()]
    print("\n".join(texts), end="")
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "unit",
        text="The services of a Compose file become a service each, and a target for all; other files become one "
        "service, and so does a container in the background. A service is ready when its container is healthy. With "
        "--test, a service runs 'mydocker test', and a timer starts it.",
        exits=(("0", "done"), ("125", "a unit cannot be written"), ("2", "wrong usage")),
        examples=(
            ("mydocker unit compose.yaml", "print a target and a service for each service"),
            ("mydocker unit --install web.container", "write a service that runs a Quadlet"),
            ("mydocker unit --test --timer daily tests", "print a service that runs tests, and a timer for it"),
            ("mydocker unit --user --install web", "write one that starts the container 'web', for your own systemd"),
        ),
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="FILE|NAME",
        help="files, or a container in the background; with --test, paths of tests",
    )
    parser.add_argument("--test", action="store_true", help="a service that runs 'mydocker test' with these paths")
    parser.add_argument(
        "--timer",
        action="append",
        default=[],
        metavar="CALENDAR",
        help="with --test: when it runs, such as daily or 'Mon..Fri 03:00', see systemd.time(7)",
    )
    add_project(parser)
    parser.add_argument("--user", action="store_true", help="for the systemd of a user, not that of the machine")
    parser.add_argument("--install", action="store_true", help="write the units, and say what to do next")
    parser.add_argument("--directory", default="", metavar="DIR", help="write them into DIR")
    return parser


def _units(options: argparse.Namespace) -> Units:
    """The text of each unit. Raises UsageError, SpecError."""
    words: list[str] = options.words
    if len(words) == 1 and not options.file and not is_file(words[0]):
        return _of_container(words[0], options)
    loaded = load_cases(options, words)
    is_compose = not words or bool(options.file) or loaded.names or _is_compose(words)
    if is_compose and is_project(loaded.cases):
        return _of_project(loaded, options)
    return _of_files(loaded, options)


def _is_compose(words: Sequence[str]) -> bool:
    return all(word.endswith((".yaml", ".yml", ".json")) for word in words)


def _of_container(name: str, options: argparse.Namespace) -> Units:
    """The service of a container that is there. It has its restart policy, so systemd has none."""
    config = find_kept(Store.open(os.environ), name).config
    if config.auto_remove:
        raise UsageError(
            f"container {config.title} is removed when it ends (--rm), so a unit could not start it again",
            hint="create it without --rm, or describe it in a file: mydocker unit web.container",
        )
    notes = ("the container restarts by its own policy",) if config.spec.restart else ()
    unit = ServiceUnit(
        name=f"{config.title}.service",
        description=f"Container {config.title}",
        command=(own_program(), "start", "--attach", config.title),
        stop=(own_program(), "stop", config.title),
        notifies=False,
        grace=config.spec.stop_grace_period,
        wanted_by=wanted_by(options),
        environment=environment(),
        restarts_itself=bool(config.spec.restart),
        notes=notes,
    )
    return {unit.name: service_text(unit, is_users=options.user)}


def _of_files(loaded: LoadedCases, options: argparse.Namespace) -> Units:
    """One service that runs the files as `up` does."""
    refuse_no_container(loaded)
    if not select(loaded.cases, loaded.active):
        raise UsageError(f"{loaded.shown}: {why_none(loaded.cases, loaded.active)}")
    words = lasting(options.words)
    name = unit_name(os.path.splitext(os.path.basename(words[0]))[0])
    together = is_project(loaded.cases)
    # of several containers, systemd would restart all
    alone = [case for case in loaded.cases if not (case.service and case.service.is_pod)] if together else []
    one = alone[0] if len(alone) == 1 else None
    given = project_options(options)
    project = given.name or os.environ.get(PROJECT_NAME, "")
    flags = [*(["-p", project] if project else []), *_choices(given, loaded)]
    flags += ["--no-restart", "--exit-code-from", service_of(one).name] if one else []
    unit = ServiceUnit(
        name=f"{name}.service",
        description=f"Containers of {', '.join(os.path.basename(word) for word in words)}",
        command=(own_program(), "up", "--no-log-prefix" if together else "--keep-going", *flags, *words),
        before=tuple(pulls(loaded.cases)),
        environment=environment(),
        notifies=together,
        grace=max((case.container.stop_grace_period for case in loaded.cases), default=10.0),
        restart=one.container.restart if one else None,
        wanted_by=wanted_by(options),
        source=words[0],
    )
    return {unit.name: service_text(unit, is_users=options.user)}


def _of_project(loaded: LoadedCases, options: argparse.Namespace) -> Units:
    """A service for each service of the project, and the target that starts them."""
    project = project_of(loaded.cases, active=loaded.active)
    cases = chosen(project, loaded.names)
    target = f"{unit_name(project.name)}.target"
    names = {service_of(case).name: unit_name(f"{project.name}-{service_of(case).name}") for case in cases}
    jobs = {each.name for case in cases for each in case.depends_on if each.condition == COMPLETED}
    before = _before_service(options, loaded, project.name)
    source = before[before.index("-f") + 1]
    services = [f"{name}.service" for name in names.values()]
    text = target_text(f"Services of {project.name}", services, wanted_by=wanted_by(options), source=source)
    found: Units = {target: text}
    for case in cases:
        service = service_of(case)
        needs = [(each.required, f"{names[each.name]}.service") for each in case.depends_on if each.name in names]
        unit = ServiceUnit(
            name=f"{names[service.name]}.service",
            description=f"Service {service.name} of {project.name}",
            command=(own_program(), "up", *before, *_FLAGS, "--exit-code-from", service.name, service.name),
            before=tuple(pulls([case])),
            environment=environment(),
            is_job=service.name in jobs,
            notifies=service.name not in jobs,
            needs=tuple(name for is_required, name in needs if is_required),
            after=tuple(name for _, name in needs),
            target=target,
            grace=case.container.stop_grace_period,
            restart=case.container.restart if service.name not in jobs else None,
            source=source,
        )
        found[unit.name] = service_text(unit, is_users=options.user)
    return found


def _before_service(options: argparse.Namespace, loaded: LoadedCases, project: str) -> list[str]:
    """The options that say which project it is, with absolute paths. Raises UsageError without a file."""
    given = project_options(options)
    files = given.files or tuple(word for word in options.words if is_file(word))
    if not files:
        from mydocker.specs.load.project_files import find_project

        found = find_project(given, os.environ)
        files = found.paths if found else ()
    words = ["-p", project]
    for file in lasting(files):
        words += ["-f", file]
    words += ["--project-directory", absolute(given.directory)] if given.directory else []
    for name in given.env_files or filter(None, os.environ.get(ENV_FILES, "").split(",")):
        words += ["--env-file", absolute(name)]
    return [*words, *_choices(given, loaded)]


def _choices(given: ProjectOptions, loaded: LoadedCases) -> list[str]:
    """The options that say which parts of the files count: also by the profiles of $COMPOSE_PROFILES and of .env."""
    profiles = [word for profile in sorted(loaded.active) for word in ("--profile", profile)]
    return [*profiles, "--ignore", ",".join(given.ignored)] if given.ignored else profiles


def _install(units: Units, options: argparse.Namespace) -> None:
    """Write UNITS. Raises HostError if a file is there that 'mydocker unit' has not written, or has written for another
    file that still exists, or --directory is in none that is there."""
    directory = absolute(options.directory) if options.directory else _directory(options)
    if options.directory and not os.path.isdir(os.path.dirname(directory)):
        raise HostError(f"cannot write {directory}: no directory {os.path.dirname(directory)} is there")
    paths = {os.path.join(directory, name): text for name, text in units.items()}
    for path, text in paths.items():
        if os.path.lexists(path) and (other := _other(path, text)):
            raise HostError(f"{path} is there already, {other}", hint="remove it, or use --directory")
    written = directory
    try:
        os.makedirs(directory, exist_ok=True)
        for path, text in paths.items():
            written = path
            with unfinished(path) as temporary, open(temporary, "x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise HostError(f"cannot write {written}: {(error.strerror or '').lower()}") from None
    for path in paths:
        print(path)
    manager = "systemctl --user" if options.user else "systemctl"
    action = "start" if options.test and not options.timer else "enable --now"
    say(f"now: {manager} daemon-reload && {manager} {action} {next(iter(units))}")
    if options.user:
        say("for units that run while you are not logged in: loginctl enable-linger")


def _directory(options: argparse.Namespace) -> str:
    if not options.user:
        return _SYSTEM
    return f"{xdg_or_home(os.environ, 'XDG_CONFIG_HOME', '.config')}/systemd/user"


def _other(path: str, text: str) -> str:
    """Why the file PATH is not to be replaced by TEXT; empty if it may be."""
    foreign = "and not by 'mydocker unit'"
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            there = file.read() if os.path.isfile(path) and not os.path.islink(path) else ""
    except OSError:
        return foreign
    if not there.startswith(HEAD):
        return foreign
    source = _source(there)
    return f"for {source}" if source and source != _source(text) and os.path.exists(source) else ""


def _source(text: str) -> str:
    """The file that the unit TEXT is for, if it names one."""
    lines = [line for line in text.splitlines() if line.startswith(_SOURCE)]
    return lines[0].removeprefix(_SOURCE).replace("%%", "%") if lines else ""
