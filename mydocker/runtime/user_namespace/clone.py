"""The first process of a container with a user namespace of its own, and the helper that makes it.

mydocker ── fork(2) ──> the helper, root of the host, which mounts what only that may (host_part.py)
    └─────── clone(2), CLONE_PARENT, by the helper ──> the child, in new namespaces, with a copy of the helper's mounts
"""

from __future__ import annotations

import os

from mydocker import idmap, kernel
from mydocker.kernel.enter import enter_namespace
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network.joined_container import open_namespace
from mydocker.runtime.network.rootless.inside import clone_by_helper
from mydocker.runtime.streams import give_streams
from mydocker.runtime.user_namespace.host_part import build
from mydocker.runtime.user_namespace.part import HostPart

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
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)  # the child's memory is the host's, until it executes the command
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
    namespace that owns the others, and gives the right to enter them (choose.py: it is one)."""
    run_dirs = {**plan.joined_namespaces, **({"net": plan.joined} if plan.joined else {})}
    kinds = ("user", *run_dirs) if run_dirs else ()
    first = next(iter(run_dirs.values()), "")
    return [(kind, open_namespace(run_dirs.get(kind, first), kind)) for kind in kinds]


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
