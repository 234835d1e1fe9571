"""What containers have written and what their trees are, while they run and after: with no keeper, a container's
writable layer is still in its directory.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, nullcontext

from mydocker import idmap, kernel
from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.copy.session import Tree, tree_of
from mydocker.runtime.image_file import ImageMount
from mydocker.runtime.image_file.attach import attach
from mydocker.runtime.inspect.container_view import ContainerView
from mydocker.runtime.inspect.running_container import open_image, open_running
from mydocker.runtime.launch import plan_launch
from mydocker.runtime.plan.operations import mount_overlay
from mydocker.runtime.plan.root import LayeredRoot, image_directory, overlay_options
from mydocker.runtime.user_namespace.outside import scratch_by_numbers
from mydocker.services.containers import Container, directory, look, start
from mydocker.services.listing import stored
from mydocker.services.listing.stored import Foreground

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mydocker.idmap import IdMap
    from mydocker.image.store import Store
    from mydocker.runtime.plan import LaunchPlan


@contextmanager
def tree(store: Store, text: str, *, environ: Mapping[str, str]) -> Iterator[Tree]:
    """The tree of the container that TEXT means, whether it runs or not. Raises LaunchError, ImageError."""
    found = look.find_any(store, text)
    if isinstance(found, Foreground) or (found.is_alive and found.state.pid):
        with open_running(look.run_directory(store, found)) as view:
            yield tree_of(view)
        return
    with directory.changing(found.directory):  # while it is mounted here, nobody starts it
        if stored.has_keeper(found.directory):
            raise LaunchError(f"container {text} is being started", hint="try it again")
        plan = plan_of(found, store=store, environ=environ)
        with ImageMount(plan.image_file) if plan.image_file else nullcontext() as image:
            source = image.source if image else None
            yield Tree(enter=lambda: _mounted(plan, f"{found.directory}/scratch", source))


@contextmanager
def view(store: Store, text: str, *, environ: Mapping[str, str]) -> Iterator[ContainerView]:
    """A view of the container that TEXT means, to compare its tree with its image; of which only what it wrote is known
    if it does not run."""
    found = look.find_any(store, text)
    if isinstance(found, Foreground) or (found.is_alive and found.state.pid):
        with open_running(look.run_directory(store, found)) as running, ExitStack() as opened:
            if running.plan.image_file:
                user = running.namespaces.get("user")
                running = running.replace(image=open_image(running.plan.image_file, opened, user=user))
            yield running
        return
    plan = plan_of(found, store=store, environ=environ)
    with ExitStack() as opened:
        scratch = os.open(f"{found.directory}/scratch", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, scratch)
        if plan.own_ids:
            scratch = scratch_by_numbers(scratch, plan.own_ids)
            opened.callback(os.close, scratch)
        stopped = ContainerView(root=-1, scratch=scratch, process=-1, begun=-1, namespaces={}, plan=plan)
        if plan.image_file:
            stopped = stopped.replace(image=open_image(plan.image_file, opened, ids=plan.rootless))
        yield stopped


def plan_of(container: Container, *, store: Store, environ: Mapping[str, str]) -> LaunchPlan:
    """The plan by which CONTAINER, which does not run, would start again."""
    return plan_launch(
        container.config.spec,
        start.image_of(container, store=store, environ=environ),
        store=store,
        container_id=container.config.id,
        scratch=f"{container.directory}/scratch",
    )


def _mounted(plan: LaunchPlan, scratch: str, image: int | None) -> int:
    """In a helper process: the root of the container of PLAN as it would be at its next start, but for its volumes;
    mounted in namespaces of this process alone. IMAGE is what the file of its image is mounted with, if it is one."""
    if not isinstance(plan.root, LayeredRoot) or plan.root.in_memory:
        raise LaunchError("what this container wrote was in memory, and is gone")
    if plan.rootless:
        idmap.enter(plan.rootless)
    idmap.unshare(kernel.CLONE_NEWNS)
    kernel.set_propagation("/", kernel.MS_REC | kernel.MS_PRIVATE)
    if plan.own_ids:
        _show_by_numbers(scratch, plan.own_ids)
    for name in ("upper", "work"):
        os.makedirs(f"{scratch}/{name}", exist_ok=True)
    lowerdirs = plan.root.lowerdirs
    if image is not None:
        attach(image, scratch)
        lowerdirs = (image_directory(scratch),)
    options = overlay_options(user_xattrs=plan.root.user_xattrs, stays=True)
    place = "/tmp" if os.path.isdir("/tmp") else "/"  # in this mount namespace alone
    mount_overlay(lowerdirs, scratch, place, options)
    return os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _show_by_numbers(scratch: str, ids: IdMap) -> None:
    """Mount directory SCRATCH over itself with the owners that a container with IDS sees, as its image has them."""
    directory = os.open(scratch, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mount = scratch_by_numbers(directory, ids)
    kernel.attach(mount, directory)
    os.close(mount)
    os.close(directory)
