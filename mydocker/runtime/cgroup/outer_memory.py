"""Whether a container that was killed may have met a memory limit that is not its own: a job's, a pod's, a unit's.

The kernel counts the processes that it kills for a limit in the cgroup of that limit, and reports them nowhere else.
Read only once a container has been killed, and not by mydocker: counting before each start would slow down all of them.
"""

from __future__ import annotations

import os

from mydocker.record import TYPE_CHECKING
from mydocker.runtime.cgroup.cgroup import oom_kills, read, was_full
from mydocker.runtime.cgroup.hierarchy import find_hierarchies

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNLIMITED = 1 << 60  # bytes; v1 writes "no limit" as the largest number of pages that fit in 63 bits


def explain_kill(inside: int = 0) -> str:
    """The nearest cgroup above that has a memory limit and has killed for it, as a message; empty if there is none.

    INSIDE is how many were killed in the container's own cgroups: v1 does not count these in the cgroups above.
    """
    for path in _current_and_above():
        limit = _limit(path)
        kills = oom_kills(path) or (inside if was_full(path) else 0)
        if limit is not None and kills:
            count = "a process" if kills == 1 else f"{kills} processes"
            return (
                f"killed from outside the container, perhaps by the memory limit of {path} "
                f"({limit / (1 << 20):.0f} MiB), for which the kernel has killed {count}"
            )
    return ""


def _current_and_above() -> Iterator[str]:
    for hierarchy in find_hierarchies():
        if hierarchy.version == 2 or "memory" in hierarchy.controllers:
            path = hierarchy.current
            while f"{path}/".startswith(f"{hierarchy.mount}/"):
                yield path
                path = os.path.dirname(path)


def _limit(path: str) -> int | None:
    """The limit in bytes of the cgroup at PATH; None if it has none."""
    text = (read(path, "memory.max") or read(path, "memory.limit_in_bytes")).strip()
    return int(text) if text.isdigit() and int(text) < _UNLIMITED else None
