"""Which limits of a container this host can apply, without creating anything."""

from __future__ import annotations

from mydocker.errors import UnenforceableLimitError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.cgroup.controllers import demands
from mydocker.runtime.cgroup.hierarchy import choose
from mydocker.specs.model import ContainerSpec

if TYPE_CHECKING:
    from collections.abc import Callable

_TOGETHER = (  # fields whose limits one controller applies
    ("mem_limit", "memswap_limit", "mem_reservation", "mem_swappiness", "oom_kill_disable"),
    ("cpus", "cpu_quota", "cpu_period"),
    ("cpu_shares",),
    ("cpuset",),
    ("pids_limit",),
    ("blkio_config",),
)
LIMITS = tuple(name for names in _TOGETHER for name in names)


def with_enforceable_limits(
    spec: ContainerSpec, *, rootless: bool, dropped: Callable[[UnenforceableLimitError], None]
) -> ContainerSpec:
    """SPEC without the limits that this host has no cgroup for; DROPPED is called with why, for each controller. Raises
    LaunchError for limits that no kernel can apply."""
    unset = {name: getattr(ContainerSpec, name) for name in LIMITS}
    for names in _TOGETHER:
        values = {name: getattr(spec, name) for name in names}
        if all(values[name] == unset[name] for name in names):
            continue
        try:
            choose(demands(spec.replace(**{**unset, **values})), name="mydocker", rootless=rootless)
        except UnenforceableLimitError as error:
            dropped(error)
            spec = spec.replace(**{name: unset[name] for name in names})
    return spec
