"""Looking into a container, whether a command runs it in the foreground or a keeper in the background, or it has ended
and its keeper is gone."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress

from mydocker import idmap, kernel
from mydocker.errors import LaunchError, UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.cgroup import freezer
from mydocker.runtime.copy.session import Tree, tree_of
from mydocker.runtime.inspect.container_view import ContainerView
from mydocker.runtime.inspect.processes import all_pids
from mydocker.runtime.inspect.running_container import NotRunningError, open_running
from mydocker.runtime.launch import plan_launch
from mydocker.runtime.plan.operations import mount_overlay
from mydocker.runtime.plan.root import LayeredRoot, overlay_options
from mydocker.services.containers import Container, control, directory, find, start
from mydocker.services.containers.find import Foreground

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mydocker.image.store import Store
    from mydocker.runtime.plan import LaunchPlan


def find_any(store: Store, text: str) -> Container | Foreground:
    """The container that TEXT means. NotRunningError if there is none, UsageError if there are several."""
    try:
        return find.find(store, text)
    except UsageError:
        raise
    except LaunchError as error:
        raise NotRunningError(error.message, hint=error.hint) from None


def run_directory(store: Store, found: Container | Foreground) -> str:
    """The run directory of FOUND while it runs; NotRunningError if it does not."""
    if isinstance(found, Foreground):
        return found.run_dir
    if not found.is_alive:
        raise NotRunningError(
            f"container {found.config.title} is not running", hint=f"'mydocker start {found.config.title}' starts it"
        )
    return f"{store.containers}/{found.config.short_id}"


@contextmanager
def running(store: Store, text: str, *, paused: bool = True) -> Iterator[ContainerView]:
    """A view of the running container that TEXT means, unless PAUSED is false and it is. Raises NotRunningError, and
    the errors of `open_running`."""
    found = find_any(store, text)
    run_dir = run_directory(store, found)
    if not paused and is_paused(store, found):
        raise NotRunningError(f"container {text} is paused", hint=f"'mydocker unpause {text}' lets it go on")
    with open_running(run_dir) as view:
        yield view


def pause(store: Store, text: str) -> None:
    """Pause the running container that TEXT means. Raises NotRunningError, LaunchError if it is paused, HostError."""
    found = find_any(store, text)
    with open_running(run_directory(store, found)) as view:
        freezer.freeze(view.plan, lambda: all_pids(view.process, view.namespaces))
    _tell_paused(found, paused=True)


def unpause(store: Store, text: str) -> None:
    """Let the paused container that TEXT means go on. Raises NotRunningError, and LaunchError if it is not paused."""
    found = find_any(store, text)
    if not freezer.thaw(run_directory(store, found)):
        raise LaunchError(f"container {text} is not paused")
    _tell_paused(found, paused=False)


def is_paused(store: Store, found: Container | Foreground) -> bool:
    """Whether FOUND, which runs, is paused."""
    return freezer.is_frozen(run_directory(store, found))


def _tell_paused(found: Container | Foreground, *, paused: bool) -> None:
    """Let the keeper of FOUND, if it has one, know that it has been paused, or goes on."""
    if isinstance(found, Container):
        with suppress(LaunchError):  # it has ended
            control.ask(found.directory, "paused", paused=paused)


@contextmanager
def tree(store: Store, text: str, *, environ: Mapping[str, str]) -> Iterator[Tree]:
    """The tree of the container that TEXT means, whether it runs or not. Raises LaunchError, ImageError."""
    found = find_any(store, text)
    if isinstance(found, Foreground) or (found.is_alive and found.state.pid):
        with open_running(run_directory(store, found)) as view:
            yield tree_of(view)
        return
    with directory.changing(found.directory):  # while it is mounted here, nobody starts it
        if directory.has_keeper(found.directory):
            raise LaunchError(f"container {text} is being started", hint="try it again")
        plan = plan_of(found, store=store, environ=environ)
        yield Tree(enter=lambda: _mounted(plan, f"{found.directory}/scratch"))


@contextmanager
def view(store: Store, text: str, *, environ: Mapping[str, str]) -> Iterator[ContainerView]:
    """A view of the container that TEXT means, of which only what it wrote is known if it does not run."""
    found = find_any(store, text)
    if isinstance(found, Foreground) or (found.is_alive and found.state.pid):
        with open_running(run_directory(store, found)) as running_view:
            yield running_view
        return
    plan = plan_of(found, store=store, environ=environ)
    scratch = os.open(f"{found.directory}/scratch", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield ContainerView(root=-1, scratch=scratch, process=-1, begun=-1, namespaces={}, plan=plan)
    finally:
        os.close(scratch)


def plan_of(container: Container, *, store: Store, environ: Mapping[str, str]) -> LaunchPlan:
    """The plan by which CONTAINER, which does not run, would start again."""
    return plan_launch(
        container.config.spec,
        start.image_of(container, store=store, environ=environ),
        store=store,
        environ=environ,
        container_id=container.config.id,
        scratch=f"{container.directory}/scratch",
    )


def _mounted(plan: LaunchPlan, scratch: str) -> int:
    """In a helper process: the root of the container of PLAN as it would be at its next start, but for its volumes;
    mounted in namespaces of this process alone."""
    if not isinstance(plan.root, LayeredRoot) or plan.root.in_memory:
        raise LaunchError("what this container wrote was in memory, and is gone")
    if plan.rootless:
        idmap.enter(plan.rootless)
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.set_propagation("/", kernel.MS_REC | kernel.MS_PRIVATE)
    for name in ("upper", "work"):
        os.makedirs(f"{scratch}/{name}", exist_ok=True)
    options = overlay_options(user_xattrs=plan.root.user_xattrs, stays=True)
    place = "/tmp" if os.path.isdir("/tmp") else "/"  # in this mount namespace alone
    mount_overlay(plan.root.lowerdirs, scratch, place, options)
    return os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
