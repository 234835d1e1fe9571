"""What a builder leaves of a build that was interrupted: working containers in its own store, which it no longer
knows the end of.

Each container's file of buildah has the options of its build, among them the secrets that it may read; the one that
only this build had says whose it is. Containers of other builds stay.
"""

from __future__ import annotations

import json
import os

from mydocker import programs
from mydocker.errors import HostError
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mydocker.runtime.build.builders import Builder

_STATE = "userdata/buildah.json"


def remove_working_containers(builder: Builder, mark: str, environ: Mapping[str, str]) -> None:
    """Remove the working containers of the build of BUILDER that had the secret called MARK. What cannot be removed
    stays: this is about an interrupt, which must not become another error."""
    if not builder.remove:
        return
    try:
        for container in _marked(*_place(json.loads(_answer(builder, builder.info, environ))), mark):
            _answer(builder, (*builder.remove, container), environ)
    except (HostError, OSError, ValueError, KeyError, TypeError):
        return


def _answer(builder: Builder, words: tuple[str, ...], environ: Mapping[str, str]) -> bytes:
    return programs.run(builder.name, *builder.storage, *words, environment=environ, path=environ["PATH"])


def _place(info: Mapping[str, Mapping[str, str]]) -> tuple[str, str]:
    """The root of the builder's store, and its driver, which buildah and Podman call differently."""
    place = {name.lower(): value for name, value in info["store"].items()}
    return place["graphroot"], place["graphdrivername"]


def _marked(root: str, driver: str, mark: str) -> Iterator[str]:
    directory = f"{root}/{driver}-containers"
    for name in os.listdir(directory):
        path = f"{directory}/{name}/{_STATE}"
        if os.path.isfile(path):
            with open(path) as file:
                if f'"id={mark},' in file.read():
                    yield name
