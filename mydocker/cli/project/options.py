"""The options that say which Compose files there are, the same for up, check, config and explain."""

from __future__ import annotations

import os

from mydocker.cli.common import say
from mydocker.errors import SpecError, UsageError
from mydocker.nearest import did_you_mean
from mydocker.paths import usable
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.fields import FIELDS
from mydocker.specs.formats.quadlet.unit_files import BUILD, IMAGE, KINDS, NETWORK, VOLUME, kind_of
from mydocker.specs.load.load import load_files, load_project
from mydocker.specs.load.profiles import active_profiles, profiles_of_env_files, refuse_absent, take_part
from mydocker.specs.load.project_files import DEFAULT_FILES, ProjectOptions, find_project
from mydocker.specs.model.unsupported import COMPOSE_KEYS, UNSUPPORTED_KEYS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from mydocker.cli.common.parser import Parser
    from mydocker.specs.model.case import CaseSpec

_MADE = {
    NETWORK: "describes a network",
    VOLUME: "describes a volume",
    IMAGE: "names an image to pull",
    BUILD: "says how to build an image",
}
_UNSUPPORTED = " is not supported"  # in messages
_SUFFIXES = (".yaml", ".yml", ".json", *KINDS)


class LoadedCases(Record):
    """What the files have: `cases`, the profiles that are `active`, and `names`, the words that are services. `paths`
    are the files."""

    cases: tuple[CaseSpec, ...]
    active: frozenset[str]
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The files, for messages."""
        return ", ".join(self.paths)


def add_project(parser: Parser) -> None:
    """The options of `docker compose` that come before its command."""
    parser.add_argument(
        "-f",
        "--file",
        action="append",
        default=[],
        metavar="FILE",
        help="a Compose file; further ones lie over it (default: compose.yaml here or above)",
    )
    parser.add_argument("-p", "--project-name", default="", metavar="NAME", help="the name of the project")
    parser.add_argument(
        "--project-directory", default="", metavar="DIR", help="where relative paths in the files begin"
    )
    parser.add_argument(
        "--env-file", action="append", default=[], metavar="FILE", help="read variables from FILE, and not from .env"
    )
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="KEY,…",
        help="pass over these keys, with a warning, where they would be refused",
    )
    parser.add_profiles()


def project_options(options: argparse.Namespace) -> ProjectOptions:
    return ProjectOptions(
        files=tuple(options.file),
        directory=options.project_directory,
        name=options.project_name,
        env_files=tuple(options.env_file),
        profiles=tuple(options.profile),
        ignored=tuple(_ignored(options.ignore)),
    )


def _ignored(words: list[str]) -> Iterator[str]:
    """The keys in WORDS, the values of --ignore; one that no file can have is probably mistyped."""
    known = {*UNSUPPORTED_KEYS, *COMPOSE_KEYS, *(row.key for row in FIELDS)}
    for key in (key.strip() for keys in words for key in keys.split(",")):
        if key.islower() and not key.startswith("deploy.") and key not in known:  # those of Quadlet have capitals
            say(f"warning: --ignore: no file has a key {key!r}" + did_you_mean(key, known))
        yield key


def load_cases(
    options: argparse.Namespace,
    words: list[str],
    *,
    image: str | None = None,
    alone: bool = False,
    defers: bool = False,
) -> LoadedCases:
    """The containers of a command line: of the files WORDS, or of a project, of which WORDS are services.

    Words are files if one of them is, or looks like one, and there is no -f. ALONE: see `load_files`. DEFERS: what this
    machine lacks for a service is left to the caller, who knows which of them start. Raises UsageError if there are no
    words and no Compose file, SpecError.
    """
    try:
        loaded = _load_cases(options, words, image=image, alone=alone)
    except SpecError as error:
        if any(_UNSUPPORTED in text for text in error.problems):
            error.hint = "--ignore KEY,… passes over a key that is not supported: see its line, and docs/migrate.md"
        raise
    if not defers:
        names = loaded.names
        refuse_absent(
            [case for case in loaded.cases if (case.name in names if names else take_part(case, loaded.active))]
        )
    return loaded


def _load_cases(options: argparse.Namespace, words: list[str], *, image: str | None, alone: bool) -> LoadedCases:
    chosen = project_options(options)
    if words and not chosen.files and any(is_file(word) for word in words):
        environ = {**os.environ, **({"COMPOSE_PROJECT_NAME": chosen.name} if chosen.name else {})}
        if chosen.directory or chosen.env_files:
            raise UsageError("--project-directory and --env-file are for Compose files that are named with -f")
        active = active_profiles(chosen.profiles, environ) | profiles_of_env_files(words, environ)
        cases = load_files(
            words, environ=environ, image=image, warn=say, ignored=chosen.ignored, alone=alone, defers=True
        )
        return LoadedCases(cases=tuple(cases), active=active, paths=tuple(words))
    project = find_project(chosen, os.environ)
    if project is None:
        no_file = f"no file called {words[0]}, and " if words else ""
        raise UsageError(
            f"{no_file}no Compose file in this directory or above it: {', '.join(DEFAULT_FILES)}",
            hint="name one, or a spec file",
        )
    cases = load_project(project, image=image, warn=say, alone=alone, defers=True)
    return LoadedCases(cases=tuple(cases), active=project.profiles, names=tuple(words), paths=tuple(project.paths))


def refuse_no_container(loaded: LoadedCases) -> None:
    """Raise UsageError if the files of LOADED start no container, whatever the profiles: of Quadlet's, only some do."""
    if not loaded.cases:
        kinds = sorted({kind for path in loaded.paths if (kind := kind_of(path))})
        what = " and ".join(f"a {kind} file {_MADE[kind]}" for kind in kinds if kind in _MADE)
        raise UsageError(
            f"{loaded.shown}: there is no container here{f': {what}' if what else ''}",
            hint="a .container file starts one; name that, and it finds the others next to it",
        )


def is_file(word: str) -> bool:
    """Whether WORD is a file, or looks like one."""
    return word == "-" or "/" in word or word.endswith(_SUFFIXES) or os.path.isfile(usable(word))
