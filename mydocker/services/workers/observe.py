"""Facts: what is inspected in a container for the expectations of its spec, fit for JSON.

The inspecting modules are imported where they are used: most specs need none, and a worker forks for each container.
"""

from __future__ import annotations

from mydocker.errors import HostError, MydockerError, is_limit_of_host
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.specs.model import ContainerSpec

INSPECTION = 120.0  # seconds: more than the largest file that is hashed takes


def needs_inspection(spec: ContainerSpec) -> bool:
    """Whether anything of its container must be inspected once it has ended."""
    return bool(_paths(spec)) or _expects_changes(spec)


def inspect(spec: ContainerSpec, view: ContainerView, report: Callable[[dict[str, Any]], None]) -> None:
    """REPORT the facts that SPEC requires. As an ordinary user, inspect with the container's ids.

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
    if _expects_changes(spec):
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
    for path, attributes in _paths(spec).items():
        expanded = expanded_path(path, view.plan.environment) if spec.expand else path
        try:
            facts[f"files {path}"] = inspect_file(view.root, expanded, frozenset(attributes), ownership=view.ownership)
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
    """The files to inspect, and which attributes of each."""
    paths: dict[str, set[str]] = {}
    for check in spec.expect.of("files") if spec.expect else ():
        paths.setdefault(check.about[1], set()).add(check.about[2])
    return paths


def _expects_changes(spec: ContainerSpec) -> bool:
    return bool(spec.expect and spec.expect.of("changes"))
