"""The network of another container of the same ordinary user, for one that joins it.

A network namespace belongs to a user namespace, without whose rights nobody can enter it, bind a low port in it or show
it in /sys. So the container that joins begins in the user namespace of the other one: as all of root's containers, they
share one, and nothing else but the network.
"""

from __future__ import annotations

import os

from mydocker.kernel.enter import enter_namespace
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import joined_container
from mydocker.runtime.network.joined_container import open_namespace
from mydocker.runtime.network.rootless.inside import clone_by_helper

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.idmap import IdMap


def clone_joined(
    run_dir: str, ids: IdMap, namespaces: int, child: Callable[[], object], *, pid: bool = False
) -> tuple[int, int]:
    """As kernel.clone, but in the user and network namespaces of the container with RUN_DIR, whose ids are IDS, and in
    its pid namespace if PID is true: (pid, pidfd) of a child of this process, which calls CHILD.

    Raises LaunchError if that one has ended, or has other ids, and OSError, HostError as `clone_inside`.
    """
    opened: list[int] = []
    try:
        opened += [joined_container.open_users(run_dir, ids)]
        opened += [joined_container.open_network(run_dir)]
        opened += [open_namespace(run_dir, "pid")] if pid else []
        return clone_by_helper(namespaces, child, enter=lambda: _enter(opened))
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _enter(namespaces: list[int]) -> None:
    for descriptor in namespaces:
        enter_namespace(descriptor)
