"""The files of a project: which Compose files there are, and the variables, the name and the profiles that they get.

As `docker compose` finds them: files that are named, else those of COMPOSE_FILE, else the default file of the current
directory or of one above it, with its override next to it (Docker's manual, "docker compose", "Pre-defined environment
variables", "Merge Compose files").
"""

from __future__ import annotations

import os

from mydocker.errors import UsageError
from mydocker.paths import absolute, current_directory, usable
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.formats.quadlet.unit_files import kind_of
from mydocker.specs.load.files import scope_of
from mydocker.specs.load.profiles import active_profiles
from mydocker.specs.values.project import VARIABLE, is_valid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mydocker.specs.values import Scope

DEFAULT_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDES = ("compose.override.yaml", "compose.override.yml")
OLD_OVERRIDES = ("docker-compose.override.yaml", "docker-compose.override.yml")
FILES, SEPARATOR, ENV_FILES = "COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR", "COMPOSE_ENV_FILES"


class ProjectOptions(Record):
    """What a command line says about a project: the options of `docker compose`. Paths are as they were written."""

    files: tuple[str, ...] = ()
    directory: str = ""
    name: str = ""
    env_files: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()  # keys that are passed over where they would be refused

    def __bool__(self) -> bool:
        """Whether anything is set."""
        return self != ProjectOptions()


class ProjectFiles(Record):
    """`paths` lie over each other, the first at the bottom, or are units; relative paths in them are relative to the
    directory of `scope`."""

    paths: tuple[str, ...]
    scope: Scope
    profiles: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()


def find_project(options: ProjectOptions, environ: Mapping[str, str]) -> ProjectFiles | None:
    """The files that OPTIONS and ENVIRON mean; None if they name none and there is no default file.

    Raises UsageError for a name that no project may have, for a file of variables that cannot be read, and for a
    unit among Compose files.
    """
    if options.name:
        if not is_valid(options.name):
            message = f"project name {options.name!r}: expected small letters, digits, _ and -"
            raise UsageError(message, hint="begin it with a letter or a digit")
        environ = {**environ, VARIABLE: options.name}
    start = absolute(options.directory) if options.directory else current_directory()
    env_files = options.env_files or tuple(filter(None, environ.get(ENV_FILES, "").split(",")))
    here = scope_of(os.path.join(start, "-"), environ, directory=start, env_files=env_files)
    paths = options.files or _of_variable(here.environ) or _default(start)
    if not paths:
        return None
    _refuse_mixture(paths)
    first = current_directory() if paths[0] == "-" else os.path.dirname(absolute(usable(paths[0])))
    directory = start if options.directory else first
    scope = here if directory == start else scope_of(paths[0], environ, directory=directory, env_files=env_files)
    profiles = active_profiles(options.profiles, scope.environ)
    return ProjectFiles(paths=paths, scope=scope, profiles=profiles, ignored=options.ignored)


def _refuse_mixture(paths: Sequence[str]) -> None:
    """Compose files lie over each other; a unit has nothing that could."""
    units = [path for path in paths if kind_of(path)]
    if units and len(units) < len(paths):
        raise UsageError(f"{units[0]}: a unit lies over no Compose file, and no Compose file over it")


def _of_variable(environ: Mapping[str, str]) -> tuple[str, ...]:
    separator = environ.get(SEPARATOR) or os.pathsep
    return tuple(filter(None, environ.get(FILES, "").split(separator)))


def _default(start: str) -> tuple[str, ...]:
    """The default file of the nearest directory that has one, and its override; relative to the current directory where
    it is below that."""
    directory = start
    while directory:
        for name in DEFAULT_FILES:
            path = os.path.join(directory, name)
            if os.path.isfile(path):
                overrides = (*OVERRIDES, *OLD_OVERRIDES)
                over = (each for each in overrides if os.path.isfile(os.path.join(directory, each)))
                return tuple(_shown(os.path.join(directory, each)) for each in (name, *[*over][:1]))
        parent = os.path.dirname(directory)
        directory = "" if parent == directory else parent
    return ()


def _shown(path: str) -> str:
    here = current_directory()
    return path.removeprefix(f"{here}/") if here else path
