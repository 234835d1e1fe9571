"""Facts: what the expectations of a spec ask to be looked at in its container, and what is found, fit for JSON.

What looks is imported by who looks: most specs ask for nothing of that, and a worker forks for each container.
"""

from __future__ import annotations

from mydocker.errors import HostError, MydockerError, is_limit_of_host
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.specs.model.container import ContainerSpec

INSPECTION = 120.0  # seconds: more than the largest file that is hashed takes


def needs_inspection(spec: ContainerSpec) -> bool:
    """Whether anything of its container must be looked at once it has ended."""
    return bool(_paths(spec)) or _wants_changes(spec)


def inspect(spec: ContainerSpec, view: ContainerView, report: Callable[[dict[str, Any]], None]) -> None:
    """REPORT the facts that SPEC requires. As an ordinary user, look with the container's own ids.

    In a separate process, which can be killed: a volume may lie on a file system that never responds. Raises HostError
    if that takes more than INSPECTION seconds.
    """
    from mydocker import idmap

    try:
        idmap.perform(view.plan.rootless, lambda: report(_facts(spec, view)), limit=INSPECTION)
    except TimeoutError:
        raise HostError(f"the inspection of the container's files did not end within {INSPECTION:g} s") from None


def _facts(spec: ContainerSpec, view: ContainerView) -> dict[str, Any]:
    facts = file_facts(spec, view)
    if _wants_changes(spec):
        from mydocker.runtime.inspect.changes import list_changes

        try:
            facts["changes"] = list_changes(view)
        except (OSError, MydockerError) as error:
            facts["changes problem"] = _words(error)
    return facts


def file_facts(spec: ContainerSpec, view: ContainerView) -> dict[str, Any]:
    """Those of the files, each as `files PATH`."""
    from mydocker.runtime.inspect.file import inspect_file
    from mydocker.runtime.plan.expand_variables import expanded_path

    facts: dict[str, Any] = {}
    for path, wanted in _paths(spec).items():
        place = expanded_path(path, view.plan.environment) if spec.expand else path
        try:
            facts[f"files {path}"] = inspect_file(view.root, place, frozenset(wanted), ownership=view.ownership)
        except (OSError, MydockerError) as error:
            facts[f"files {path}"] = {"problem": _words(error)}
    return facts


def _words(error: OSError | MydockerError) -> str:
    """Why something could not be inspected. A host that is short of something has no part in a verdict: that is raised
    again."""
    if isinstance(error, MydockerError):
        return error.message
    if is_limit_of_host(error):
        raise error
    return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)


def _paths(spec: ContainerSpec) -> dict[str, set[str]]:
    """The files to look at, and what of each is asked for."""
    paths: dict[str, set[str]] = {}
    for check in spec.expect.of("files") if spec.expect else ():
        paths.setdefault(check.about[1], set()).add(check.about[2])
    return paths


def _wants_changes(spec: ContainerSpec) -> bool:
    return bool(spec.expect and spec.expect.of("changes"))
