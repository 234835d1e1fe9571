"""What `mydocker config` prints of Compose files as they are written, and of what they need: variables, images."""

from __future__ import annotations

import hashlib
import json
import os

from mydocker.cli.common import warn
from mydocker.cli.project.options import project_options
from mydocker.errors import UsageError
from mydocker.image.open_source import open_source
from mydocker.image.platforms import digest_at
from mydocker.image.registry.short_names import resolved
from mydocker.nearest import did_you_mean
from mydocker.record import TYPE_CHECKING
from mydocker.services.project.run import described
from mydocker.specs.load.project_files import find_project
from mydocker.specs.load.written import written_project
from mydocker.specs.nodes.yaml import write_documents

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

    from mydocker.specs.load.project_files import ProjectFiles
    from mydocker.specs.model.case import CaseSpec

MODEL = {  # options that print the files as they are written
    "no_interpolate": "leave variables as they are, and paths",
    "no_path_resolution": "leave relative paths as they are",
    "no_normalize": "print Compose files as they are written, over each other",
    "no_env_resolution": "the same: leave env_file as it is",
}


def wants_model(options: argparse.Namespace) -> bool:
    """Whether OPTIONS have one of MODEL."""
    return any(getattr(options, name) for name in MODEL)


def _project(options: argparse.Namespace) -> ProjectFiles:
    """Raises UsageError if there is no Compose file."""
    project = find_project(project_options(options), os.environ)
    if project is None:
        raise UsageError("no Compose file in this directory or above it", hint="name one with -f")
    return project


def model_text(options: argparse.Namespace) -> str:
    """The Compose files as they are written, over each other; with names of services, these alone."""
    project = _project(options)
    written = written_project(project, keeps_variables=options.no_interpolate)
    data = written.data(paths=not options.no_interpolate and not options.no_path_resolution)
    services: dict[str, Any] = data.get("services") or {}
    for name in options.files:
        if name not in services:
            raise UsageError(f"no such service: {name}{did_you_mean(name, services)}")
    if options.files:
        data["services"] = {name: services[name] for name in services if name in options.files}
    if options.format == "json":
        from mydocker.specs.nodes.yaml import escape

        return json.dumps(escape(data), indent=2, ensure_ascii=False) + "\n"
    return write_documents([data])


def environment_lines(options: argparse.Namespace) -> list[str]:
    """The variables that are there for the files, NAME=VALUE."""
    return [f"{name}={value}" for name, value in sorted(_project(options).scope.environ.items())]


def variable_rows(options: argparse.Namespace) -> list[tuple[str, bool, str, str]]:
    """The variables that the files use: name, whether it is needed, its default, and what stands for it if it is
    set."""
    found = written_project(_project(options), keeps_variables=True).variables()
    return [(each.name, each.is_needed, each.default, each.alternate) for each in found.values()]


def hash_lines(cases: Sequence[CaseSpec], names: str) -> list[str]:
    """For each of the services NAMES, joined by commas, or all if that is `*`: its name, and a hash of what it is. It
    changes when `up` would create the container anew."""
    known = {case.name or "": case for case in cases}
    chosen = sorted(known) if names == "*" else names.split(",")
    for name in chosen:
        if name not in known:
            raise UsageError(f"no such service: {name}{did_you_mean(name, known)}")
    return [f"{name} {hashlib.sha256(described(known[name].container).encode()).hexdigest()}" for name in chosen]


def with_digests(cases: Sequence[CaseSpec]) -> list[CaseSpec]:
    """CASES with the digests that registries have for their images; those that are built stay. Raises ImageError,
    RegistryError."""
    return [case if case.build else case.replace(container=_pinned(case)) for case in cases]


def _pinned(case: CaseSpec) -> Any:
    image = case.container.image
    if image is None or image.location or image.digest:
        return case.container
    reference = resolved(image, environ=os.environ)
    with open_source(reference, environ=os.environ, warn=lambda words: warn(f"warning: {words}")) as source:
        return case.container.replace(image=reference.replace(digest=digest_at(reference, source)))


def digests_text(cases: Sequence[CaseSpec]) -> str:
    """A Compose file that lies over those of CASES, with the digests of their images."""
    pinned = [case for case in with_digests(cases) if case.container.image and not case.build]
    services = {case.name: {"image": str(case.container.image)} for case in pinned}
    return write_documents([{"services": services}])
