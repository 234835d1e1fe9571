"""Facts: what is inspected in a container for the expectations of its case, fit for JSON.

The inspecting modules are imported where they are used: most specs need none, and a worker forks for each container.
"""

from __future__ import annotations

from mydocker.errors import HostError, MydockerError, is_limit_of_host
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.specs.model.expect import Expect

INSPECTION = 120.0  # seconds: more than the largest file that is hashed takes


def needs_inspection(expect: Expect | None) -> bool:
    """Whether anything of its container must be inspected once it has ended."""
    return bool(_paths(expect)) or _expects_changes(expect)


def inspect(
    expect: Expect | None, view: ContainerView, report: Callable[[dict[str, Any]], None], *, expand: bool
) -> None:
    """REPORT the facts that EXPECT requires; with EXPAND, its paths may name variables of the image. As an
    ordinary user, inspect with the container's ids.

    In a separate process, which can be killed: a volume may lie on a file system that never responds. Raises HostError
    if that takes more than INSPECTION seconds.
    """
    from mydocker import idmap

    try:
        idmap.perform(view.plan.rootless, lambda: report(_facts(expect, view, expand=expand)), limit=INSPECTION)
    except TimeoutError:
        raise HostError(f"the inspection of the container's files did not end within {INSPECTION:g} s") from None


def _facts(expect: Expect | None, view: ContainerView, *, expand: bool) -> dict[str, Any]:
    facts = file_facts(expect, view, expand=expand)
    if _expects_changes(expect):
        from mydocker.runtime.inspect.changes import list_changes

        try:
            facts["changes"] = list_changes(view)
        except (OSError, MydockerError) as error:
            facts["changes problem"] = _words(error)
    return facts


def file_facts(expect: Expect | None, view: ContainerView, *, expand: bool) -> dict[str, Any]:
    """Those of the files, each as `files PATH`."""
    from mydocker.runtime.inspect.file import inspect_file
    from mydocker.runtime.plan.expand_variables import expanded_path

    facts: dict[str, Any] = {}
    for path, attributes in _paths(expect).items():
        expanded = expanded_path(path, view.plan.environment) if expand else path
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


def _paths(expect: Expect | None) -> dict[str, set[str]]:
    """The files to inspect, and which attributes of each."""
    paths: dict[str, set[str]] = {}
    for check in expect.of("files") if expect else ():
        paths.setdefault(check.about[1], set()).add(check.about[2])
    return paths


def _expects_changes(expect: Expect | None) -> bool:
    return bool(expect and expect.of("changes"))
