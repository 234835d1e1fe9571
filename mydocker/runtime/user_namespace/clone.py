"""The first process of a container with a user namespace of its own, and the helper that makes it.

mydocker ── fork(2) ──> the helper, root of the host, which mounts what only that may (host_part.py)
    └─────── clone(2), CLONE_PARENT, by the helper ──> the child, in new namespaces, with a copy of the helper's mounts
"""

from __future__ import annotations

import os

from mydocker import idmap, kernel
from mydocker.kernel.enter import enter_namespace
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network.joined_container import open_namespace, shares
from mydocker.runtime.network.rootless.inside import clone_by_helper
from mydocker.runtime.plan.operations import attach
from mydocker.runtime.streams import give_streams
from mydocker.runtime.user_namespace.host_part import HostPart, build

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from mydocker.runtime.launch.child import ChildFds
    from mydocker.runtime.plan import LaunchPlan


def clone_mapped(
    plan: LaunchPlan, fds: ChildFds, namespaces: int, child: Callable[[ChildFds], NoReturn]
) -> tuple[int, int]:
    """As kernel.clone, for PLAN, which has ids of its own: (pid, pidfd) of a child of this process, which calls CHILD
    with FDS and the part that is done. Raises LaunchError, HostError, OSError; then there is no child."""
    others = _others(plan)
    kinds = {kind for kind, _ in others}
    done: list[HostPart] = []

    def enter() -> None:
        kernel.unshare(kernel.CLONE_NEWNS)
        viewed = fds.view_sender is not None
        part = build(plan, leases=fds.leases, resolver=fds.resolver, image=fds.image, is_viewed=viewed)
        done.append(part)
        give_streams(fds.streams, _root_owner(plan))
        _take_limits(plan)
        for _, descriptor in others:
            enter_namespace(descriptor)

    def begin() -> None:
        child(fds.replace(built=done[0], network=None, ipc=None, host_network=None))

    def map_ids(pid: int) -> None:
        assert plan.own_ids is not None
        if "user" not in kinds:
            idmap.write(pid, plan.own_ids)

    flags = namespaces if "user" in kinds else namespaces | kernel.CLONE_NEWUSER
    try:
        return clone_by_helper(flags, begin, enter=enter, then=map_ids)
    finally:
        for _, descriptor in others:
            os.close(descriptor)


def _others(plan: LaunchPlan) -> list[tuple[str, int]]:
    """The namespaces of other containers that the child begins in: each kind, with a descriptor. First the user
    namespace of the one that owns the others, if it has one, which gives the right to enter them."""
    run_dirs = {**plan.joined_namespaces, **({"net": plan.joined} if plan.joined else {})}
    owners = [run_dir for run_dir in run_dirs.values() if not shares(run_dir, "user")]
    users = [("user", open_namespace(owners[0], "user"))] if owners else []
    return [*users, *((kind, open_namespace(run_dir, kind)) for kind, run_dir in run_dirs.items())]


def _root_owner(plan: LaunchPlan) -> tuple[int, int]:
    owner = plan.own_ids.outside(0, 0) if plan.own_ids else None
    assert owner is not None  # as words.py has checked
    return owner


def _take_limits(plan: LaunchPlan) -> None:
    """What only the host's root may set: later processes have it from this one."""
    if plan.oom_score_adj is not None:
        from mydocker.runtime.command import oom_score

        oom_score.apply(plan.oom_score_adj)
    if plan.ulimits:
        from mydocker.runtime.command import rlimits

        rlimits.allow(plan.ulimits)


def attach_root(fds: ChildFds) -> int:
    """In the child: a descriptor of the root of the tree, at its place. The current directory is one in which it may
    make others to mount on."""
    assert fds.built is not None
    root = fds.built.root
    attach(os.dup(root), os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    return root
