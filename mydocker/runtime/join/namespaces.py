"""The pid and IPC namespaces of another container, which one shares with it: `--pid container:A`, `ipc: service:A`.

A process enters a pid namespace with its children only (setns(2)), so the child is cloned from there. The other
container's end is that of all processes in its pid namespace (pid_namespaces(7)).
"""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.kernel.enter import Inside
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.inspect.running import read_link
from mydocker.runtime.network.joined_container import find, open_namespace, shares

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.specs.model import ContainerSpec


def find_joined(spec: ContainerSpec, containers: str, *, rootless: bool, network: str) -> dict[str, str]:
    """Namespace to the run directory of the container that SPEC shares it with; one that has the host's is left out.

    NETWORK is the run directory of the container whose network it shares. An ordinary user's container has to be in the
    user namespace that owns the others, so there it must be that container for all. Raises LaunchError.
    """
    found = {}
    for kind, mode in spec.joined_namespaces.items():
        run_dir = find(containers, mode.partition(":")[2])
        if rootless and run_dir != network:
            raise LaunchError(
                f"an ordinary user's container shares {kind} with another one only together with its network",
                hint=f"add --network {mode}, in a file network_mode, or run as root",
            )
        if not shares(run_dir, kind):
            found[kind] = run_dir
            if kind == "pid" and not rootless:
                _refuse_tracers(run_dir)
    return found


def _refuse_tracers(run_dir: str) -> None:
    """Refuse the pid namespace of a container with RUN_DIR that may trace processes: until it executes its command, the
    child there is one of mydocker's, with all that the host grants. With SYS_ADMIN as well, it is no prison anyway."""
    with open(f"/proc/{int(read_link(run_dir, 'process'))}/status") as file:
        bounding = next(int(line.split()[1], 16) for line in file if line.startswith("CapBnd:"))
    if bounding & kernel.CAP_SYS_PTRACE and not bounding & kernel.CAP_SYS_ADMIN:
        raise LaunchError(
            f"the pid namespace of container {os.path.basename(run_dir)} cannot be shared: that one has SYS_PTRACE",
            hint="it could take over mydocker, which starts the command in there",
        )


def in_pid_namespace(run_dir: str, clone: Callable[[], tuple[int, int]]) -> tuple[int, int]:
    """What CLONE returns, which clones a child in the pid namespace of the container with RUN_DIR. Raises LaunchError
    if that one has ended."""
    with Inside("pid", open_namespace(run_dir, "pid")):
        return clone()
