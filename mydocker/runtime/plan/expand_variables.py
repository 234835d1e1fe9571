"""Variables of the image in a spec: `$NAME` and `${NAME}` in values of `environment`, in arguments of the command and
in the paths of files that are checked.

In values of `environment` and in paths, an unknown variable is empty, as in a Dockerfile. In arguments of the
command only known variables are replaced: the rest may be meant for a shell.
"""

from __future__ import annotations

import re

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mydocker.specs.model import ContainerSpec

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})", re.ASCII)


def expanded(spec: ContainerSpec, env: Iterable[str], *, path: str) -> ContainerSpec:
    """SPEC without variables. ENV is the image's environment, NAME=VALUE each; PATH that of an image without one."""
    image = {"PATH": path, **{name: value for name, _, value in (entry.partition("=") for entry in env)}}
    environment = {
        name: value if value is None else _replaced(value, lambda name: image.get(name, ""))
        for name, value in spec.environment.items()
    }
    known = {name: value for name, value in {**image, **environment}.items() if value is not None}
    command = tuple(_replaced(argument, known.get) for argument in spec.command) if spec.command else spec.command
    return spec.replace(environment=environment, command=command)


def expanded_path(path: str, environment: Mapping[str, str]) -> str:
    """PATH with the variables of a container's ENVIRONMENT, of which an unknown one is empty."""
    return _replaced(path, lambda name: environment.get(name, "")) or "/"


def _replaced(text: str, lookup: Callable[[str], str | None]) -> str:
    def value(match: re.Match[str]) -> str:
        replacement = lookup(match[1] or match[2])
        return match[0] if replacement is None else replacement

    return _VARIABLE.sub(value, text)
