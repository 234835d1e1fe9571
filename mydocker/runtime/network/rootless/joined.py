"""The network of another container of the same ordinary user, for one that joins it.

A network namespace belongs to a user namespace, without whose rights nobody can enter it, bind a low port in it or show
it in /sys. So the container that joins begins in the user namespace of the other one: as all of root's containers, they
share one, and nothing else but the network.
"""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.errors import ErrorReport
from mydocker.kernel.enter import enter_namespace
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import joined_container
from mydocker.runtime.network.rootless.inside import DONE, FAILED, REFUSED, clone_by_helper, write_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from mydocker.idmap import IdMap


def clone_joined(run_dir: str, ids: IdMap, namespaces: int, child: Callable[[], object]) -> tuple[int, int]:
    """As kernel.clone, but in the user and network namespaces of the container with RUN_DIR, whose ids are IDS: (pid,
    pidfd) of a child of this process, which calls CHILD.

    Raises LaunchError if that one has ended, or has other ids, and OSError, HostError as `clone_inside`.
    """
    opened: list[int] = []
    try:
        opened += [joined_container.open_users(run_dir, ids)]
        opened += [joined_container.open_network(run_dir)]
        return clone_by_helper(lambda pipe, parent: _clone(opened, namespaces, child, pipe, parent))
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _clone(
    entered: list[int], namespaces: int, child: Callable[[], object], pipe: tuple[int, int], parent: int
) -> NoReturn:
    """In the helper: its parent becomes that of the process it clones."""
    reader, writer = pipe
    report = FAILED
    try:
        try:
            for descriptor in entered:
                enter_namespace(descriptor)
            kernel.die_with_parent(parent)  # only now: new credentials clear it
            try:
                pid, pidfd = kernel.clone(namespaces | kernel.CLONE_PARENT)
            except OSError as error:
                os.write(writer, REFUSED + str(error.errno).encode())
                os._exit(0)
            if pid == 0:
                os.close(reader)
                os.close(writer)
                child()
                os._exit(0)
            os.close(pidfd)
            os.write(writer, f"{pid}\n".encode())
            report = DONE
        except BaseException as error:
            report = FAILED + ErrorReport.of(error).encode()
        write_report(writer, report)
    finally:
        os._exit(0)
