"""The containers of a project that a command of Compose means: those of the services that it names, or all."""

from __future__ import annotations

import os
import sys

from mydocker.cli.common.parser import Parser
from mydocker.cli.project.options import add_project, project_options
from mydocker.errors import LaunchError, UsageError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.services.containers import NUMBER, SERVICE
from mydocker.services.project.down import containers_of, in_order
from mydocker.services.project.plan import chosen, project_of, service_of
from mydocker.specs.load.load import load_project
from mydocker.specs.load.project_files import find_project

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mydocker.image.store import Store
    from mydocker.services.containers import Container
    from mydocker.services.project import Project


class Members(Record):
    """The project called `name`, its `containers` in the order of their start, and the `services` of its files; `None`
    where there are no files."""

    name: str
    containers: tuple[Container, ...]
    project: Project | None

    @property
    def services(self) -> list[str]:
        """The names of all services that have containers, or are in the files."""
        of_files = [service_of(case).name for case in self.project.services] if self.project else []
        return [*dict.fromkeys([*of_files, *map(service_name, self.containers)])]

    def of(self, services: Sequence[str]) -> list[Container]:
        """The containers of SERVICES, by default of all. Raises UsageError for a service that there is not."""
        known = self.services
        for name in services:
            if name not in known:
                raise UsageError(f"no such service: {name}", hint=f"the services are {', '.join(known) or 'none'}")
        return [each for each in self.containers if not services or service_name(each) in services]

    def one(self, service: str, index: int | None = None) -> Container:
        """The container of SERVICE, by default the first. LaunchError if there is none, UsageError for a service that
        there is not."""
        found = self.of([service])
        wanted = [each for each in found if index is None or each.config.labels.get(NUMBER) == str(index)]
        if not wanted:
            raise LaunchError(f"service {service} has no container{f' {index}' if index is not None and found else ''}")
        return wanted[0]


def service_name(container: Container) -> str:
    return container.config.labels.get(SERVICE, "")


def members(before: Sequence[str], store: Store) -> Members:
    """Those of the project that the options BEFORE a command mean, or the files in the current directory. Raises
    UsageError if neither names one, SpecError for what is wrong in the files."""
    parser = Parser("compose")
    add_project(parser)
    options = project_options(parser.parse_args([*before]))
    files = find_project(options, os.environ)
    if files is None:
        if not options.name:
            raise UsageError("no Compose file in this directory or above it", hint="name the project with -p")
        return Members(name=options.name, containers=tuple(containers_of(store, options.name)), project=None)
    project = project_of(load_project(files, starts_nothing=True), active=files.profiles)
    order = [service_of(case).name for case in chosen(project.replace(active=frozenset("*")))]
    groups = in_order(containers_of(store, project.name), order)
    ordered = [each for group in reversed(groups) for each in _by_number(group)]
    return Members(name=project.name, containers=tuple(ordered), project=project)


def _by_number(containers: Iterable[Container]) -> list[Container]:
    return sorted(containers, key=lambda each: int(each.config.labels.get(NUMBER, "0")))


def split(parser: Parser, argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options in ARGV, which PARSER has, and the other words, which may stand between them."""
    takes_value = {flag: action.nargs != 0 for action in parser.actions for flag in action.option_strings}
    options, words = [], []
    rest = [*argv]
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        options.append(word)
        if takes_value.get(_last_flag(word, takes_value)) and rest:
            options.append(rest.pop(0))
    return options, words


def options_first(parser: Parser, argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options in ARGV before its first other word, and that word with all that follow. Raises UsageError if there
    is no word."""
    for at in range(len(argv) + 1):
        options, words = split(parser, argv[:at])
        if words:
            return options, [words[0], *argv[at:]]
    if {"-h", "--help"} & {*argv}:
        parser.parse_args(["--help"])
    raise UsageError("no service", hint=f"see '{parser.prog} --help'")


def _last_flag(word: str, takes_value: dict[str, bool]) -> str:
    """The flag of WORD that may take the next word as its value; empty if it has a value of its own."""
    if word.startswith("--") or word in takes_value:
        return word
    for at, letter in enumerate(word[1:], 1):
        if takes_value.get(f"-{letter}"):
            return f"-{letter}" if at == len(word) - 1 else ""
    return ""


def is_terminal() -> bool:
    """Whether mydocker's standard input is one."""
    return bool(sys.stdin and sys.stdin.isatty())
