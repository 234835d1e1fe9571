"""The commands of Compose on the containers of a project: `mydocker compose stop [SERVICE...]`.

Each takes the options BEFORE the command, which say which project is meant, and what comes after it. What they do to a
container, the command of the same name does; the names of services become those of containers.
"""

from __future__ import annotations

import json
import os
import sys

from mydocker.cli.commands import command_module
from mydocker.cli.common import complain, say
from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import show
from mydocker.cli.project.members import Members, is_terminal, members, options_first, split
from mydocker.errors import MydockerError, UsageError
from mydocker.image.store import Store
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import PROJECT, RUNNING, directory
from mydocker.services.project.plan import SCALE_LIMIT, chosen, followers, is_only_built

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mydocker.services.containers import Container

    Command = Callable[[list[str], list[str]], int]


_ENDING = ("stop", "restart")
_BEGINNING = ("start", "restart")


def _members(before: list[str]) -> Members:
    return members(before, Store.open(os.environ))


def _call(name: str, argv: list[str]) -> int:
    command: Callable[[list[str]], int] = getattr(command_module(name), f"{name}_command")
    return command(argv)


def _parser(name: str) -> Parser:
    parser: Callable[[], Parser] = command_module(name).parser  # type: ignore[attr-defined]  # each command has one
    return parser()


def on_each(name: str, is_meant: Callable[[Container], bool], *, backwards: bool = False) -> Command:
    """The command NAME on the containers of services for which IS_MEANT is true, those that need others first if
    BACKWARDS."""

    def run(before: list[str], argv: list[str]) -> int:
        options, services = split(_parser(name), argv)
        if "-h" in options or "--help" in options:
            return _call(name, ["--help"])
        containers = [each for each in _members(before).of(services) if is_meant(each)]
        if name in _ENDING:
            _prepare_end(containers)
        found = [each.config.title for each in containers]
        status = _call(name, [*options, *(reversed(found) if backwards else found)]) if found else 0
        if name in _BEGINNING and not status:
            _complete_start(containers)
        return status

    return run


def _complete_start(containers: Iterable[Container]) -> None:
    """Execute `post_start` in those of CONTAINERS that have it. Raises LaunchError for one that fails."""
    for each in containers:
        if each.config.spec.post_start:
            from mydocker.services.project.hooks import run_hooks

            run_hooks(directory.read(each.directory), "post_start", store=Store.open(os.environ), show=_write)


def _write(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.flush()


def _prepare_end(containers: Iterable[Container]) -> None:
    """Execute `pre_stop` in those of CONTAINERS that run and have it."""
    for each in containers:
        if each.config.spec.pre_stop and each.is_alive:
            from mydocker.services.project.hooks import before_stop

            before_stop(each, store=Store.open(os.environ), say=say)


def on_one(name: str) -> Command:
    """The command NAME on the container of the service that is its first word."""

    def run(before: list[str], argv: list[str]) -> int:
        options, container, words = _on_container(name, before, argv)
        return _call(name, [*options, container, *words])

    return run


def _on_container(name: str, before: list[str], argv: list[str]) -> tuple[list[str], str, list[str]]:
    """ARGV of command NAME: its options, the container of the service that is meant, and what follows."""
    options, [service, *words] = _options_first(name, argv)
    index, options = _take(options, "--index")
    number = whole_number(index, SCALE_LIMIT) if index else None
    if index and not number:
        raise UsageError(f"--index {index!r}: expected a number, from 1 on")
    return options, _members(before).one(service, number).config.title, words


def _options_first(name: str, argv: list[str]) -> tuple[list[str], list[str]]:
    """The options of command NAME in ARGV, and those of Compose; then the service, and what follows it."""
    parser = _parser(name)
    parser.add_argument("--index", metavar="NUMBER", help="the container of this number of the service")
    parser.add_argument("-T", "--no-tty", "--no-TTY", action="store_true", help="no terminal, also if there is one")
    return options_first(parser, argv)


def _take(options: list[str], flag: str) -> tuple[str, list[str]]:
    """The value of FLAG in OPTIONS, and the others."""
    for at, word in enumerate(options):
        if word == flag:
            return options[at + 1], options[:at] + options[at + 2 :]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2], options[:at] + options[at + 1 :]
    return "", options


def _exec(before: list[str], argv: list[str]) -> int:
    """With a terminal if there is one, unless -T is set, as Compose has it."""
    options, container, words = _on_container("exec", before, argv)
    own = [word for word in options if word not in ("-T", "--no-tty", "--no-TTY")]
    interactive = [] if "-d" in own or "--detach" in own else ["-it" if own == options and is_terminal() else "-i"]
    return _call("exec", [*interactive, *own, container, *words])


def _rm(before: list[str], argv: list[str]) -> int:
    """Those that have ended; with --stop, the others too."""
    parser = Parser(
        "compose rm", usage="[OPTIONS] [SERVICE...]", summary="Remove containers of services that have ended"
    )
    parser.add_argument("-f", "--force", action="store_true", help="accepted: nobody is asked")
    parser.add_argument("-s", "--stop", action="store_true", help="stop those that run first")
    parser.add_argument("-v", "--volumes", action="store_true", help="accepted: volumes without a name go anyway")
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="a service of the Compose file")
    options = parser.parse_args(argv)
    found = _members(before).of(options.services)
    status = 0
    if options.stop and (alive := [each.config.title for each in found if each.is_alive]):
        _prepare_end(found)
        status = _call("stop", alive[::-1])
    gone = [each.config.title for each in found if options.stop or not each.is_alive]
    return _call("rm", gone[::-1]) or status if gone else status


def _restart(before: list[str], argv: list[str]) -> int:
    """Services that are to follow another one (`depends_on`, restart) are restarted after it."""
    parser = _parser("restart")
    parser.add_argument("--no-deps", action="store_true", help="leave alone what is to follow them")
    options, services = split(parser, argv)
    if {"-h", "--help"} & {*options}:
        parser.parse_args(["--help"])
    if services and "--no-deps" not in options:
        found = _members(before)
        found.of(services)
        services = [*services, *followers(found.project, services)]
    own = [word for word in options if word != "--no-deps"]
    return on_each("restart", _is_any)(before, [*own, *services])


def _port(before: list[str], argv: list[str]) -> int:
    parser = Parser("compose port", usage="SERVICE PORT", summary="Print where a port of a service is published")
    parser.add_argument("--index", type=int, metavar="NUMBER", help="of this container of the service (default: first)")
    parser.add_argument("--protocol", default="tcp", choices=("tcp", "udp"), help="tcp or udp")
    parser.add_argument("service", metavar="SERVICE", help="a service of the Compose file")
    parser.add_argument("port", metavar="PORT", help="the port in the container")
    options = parser.parse_args(argv)
    container = _members(before).one(options.service, options.index)
    from mydocker.cli.commands.port import published

    places = published(container.config.title, f"{options.port.partition('/')[0]}/{options.protocol}")
    print(places[0][1])  # one, whatever the number of addresses is: scripts take the text as it is
    return 0


def _cp(before: list[str], argv: list[str]) -> int:
    """A word SERVICE:PATH means a path in the container of that service."""
    options, words = split(_parser("cp"), argv)
    if {"-h", "--help"} & {*options}:
        return _call("cp", ["--help"])
    found = _members(before)
    return _call("cp", [*options, *(_with_container(word, found) for word in words)])


def _with_container(word: str, found: Members) -> str:
    service, colon, path = word.partition(":")
    return f"{found.one(service).config.title}:{path}" if colon and service in found.services else word


def _build(before: list[str], argv: list[str]) -> int:
    from mydocker.cli.project.build import build_services

    return build_services([*before, *argv])


def _pull(before: list[str], argv: list[str]) -> int:
    parser = _parser("pull")
    parser.add_argument("--include-deps", action="store_true", help="pull what the services depend on, too")
    parser.add_argument("--ignore-pull-failures", action="store_true", help="go on, and report no failure")
    parser.add_argument("--ignore-buildable", action="store_true", help="pull no image that can be built")
    options, services = split(parser, argv)
    if {"-h", "--help"} & {*options}:
        parser.parse_args(["--help"])
    found = _members(before)
    found.of(services)
    cases = list(found.project.services) if found.project else []
    if found.project and services:
        cases = chosen(found.project, services, with_dependencies="--include-deps" in options)
    passed = [case for case in cases if not (is_only_built(case) or ("--ignore-buildable" in options and case.build))]
    images = dict.fromkeys(str(case.container.image) for case in passed if case.container.image)
    own = [word for word in options if word not in _OF_PULL]
    if "--ignore-pull-failures" in options:
        return _pull_all(own, images)
    return max([_call("pull", [*own, image]) for image in images], default=0)


_OF_PULL = ("--include-deps", "--ignore-pull-failures", "--ignore-buildable")


def _pull_all(options: list[str], images: Iterable[str]) -> int:
    """Each of IMAGES that can be pulled; 0. What cannot is named."""
    for image in images:
        try:
            _call("pull", [*options, image])
        except MydockerError as error:
            complain(error)
    return 0


def _scale(before: list[str], argv: list[str]) -> int:
    """As `up -d` with --scale, of these services."""
    parser = Parser("compose scale", usage="SERVICE=NUMBER...", summary="Run so many containers of services")
    parser.add_argument("--no-deps", action="store_true", help="do not start what the services depend on")
    parser.add_argument("counts", nargs="+", metavar="SERVICE=NUMBER", help="a service and its number of containers")
    options = parser.parse_args(argv)
    words = [word for count in options.counts for word in ("--scale", count)]
    names = [count.partition("=")[0] for count in options.counts]
    return _call("up", [*before, "-d", *["--no-deps"] * options.no_deps, *words, *names])


def _images(before: list[str], argv: list[str]) -> int:
    from mydocker.cli.project.images import list_images

    return list_images(lambda: _members(before), argv)


def _ls(before: list[str], argv: list[str]) -> int:
    """The projects that have containers, whichever files are here."""
    parser = Parser("compose ls", usage="[OPTIONS]", summary="List the projects that have containers")
    parser.add_argument("-a", "--all", action="store_true", help="also those of which none runs")
    parser.add_argument("-q", "--quiet", action="store_true", help="print names only")
    parser.add_argument("--format", choices=("table", "json"), help="table (default), or json")
    parser.add_argument("--filter", action="append", default=[], metavar="name=TEXT", help="only those with TEXT in it")
    options = parser.parse_args(argv)
    texts = [_filtered(text) for text in options.filter]
    projects: dict[str, list[str]] = {}
    for each in directory.listed(Store.open(os.environ)):
        if PROJECT in each.config.labels:
            projects.setdefault(each.config.labels[PROJECT], []).append(each.state.status)
    counts = {
        name: ", ".join(f"{state}({states.count(state)})" for state in sorted({*states}))
        for name, states in sorted(projects.items())
        if (options.all or RUNNING in states) and all(text in name for text in texts)
    }
    if options.quiet:
        print(*counts, sep="\n", end="\n" if counts else "")
    elif options.format == "json":
        print(json.dumps([{"Name": name, "Status": count} for name, count in counts.items()]))
    else:
        show(["NAME", "STATUS"], [[name, count] for name, count in counts.items()])
    return 0


def _filtered(text: str) -> str:
    key, equals, value = text.partition("=")
    if key != "name" or not equals:
        raise UsageError(f"--filter {text!r}: expected name=TEXT")
    return value


def _top(before: list[str], argv: list[str]) -> int:
    if {"-h", "--help"} & {*argv}:
        return _call("top", ["--help"])
    for each in filter(_is_alive, _members(before).of(argv)):
        print(each.config.title, flush=True)
        _call("top", [each.config.title])
    return 0


def _services_of(before: list[str], argv: list[str]) -> int:
    from mydocker.cli.project.list import list_containers

    return list_containers(lambda: _members(before), argv)


def _logs(before: list[str], argv: list[str]) -> int:
    from mydocker.cli.project.logs import show_logs

    return show_logs(lambda: _members(before), argv)


def _run(before: list[str], argv: list[str]) -> int:
    from mydocker.cli.project.one_off import run_once

    return run_once(before, argv)


def _is_any(container: Container) -> bool:
    return True


def _is_alive(container: Container) -> bool:
    return container.is_alive


def _is_idle(container: Container) -> bool:
    return not container.is_alive


COMMANDS: dict[str, Command] = {
    "attach": on_one("attach"),
    "build": _build,
    "commit": on_one("commit"),
    "cp": _cp,
    "exec": _exec,
    "images": _images,
    "export": on_one("export"),
    "kill": on_each("kill", _is_alive, backwards=True),
    "logs": _logs,
    "ls": _ls,
    "pause": on_each("pause", _is_alive, backwards=True),
    "port": _port,
    "ps": _services_of,
    "pull": _pull,
    "restart": _restart,
    "rm": _rm,
    "run": _run,
    "scale": _scale,
    "start": on_each("start", _is_idle),
    "stats": on_each("stats", _is_alive),
    "stop": on_each("stop", _is_any, backwards=True),
    "top": _top,
    "unpause": on_each("unpause", _is_alive),
    "wait": on_each("wait", _is_any),
}
