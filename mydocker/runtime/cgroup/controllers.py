"""Limits as the kernel takes them: for each controller, the files of a cgroup and the values to write to them.

cgroup v1 and v2 differ in names and notation only (kernel documentation "Control Group v2" and "cgroup-v1");
the meaning of each limit is that of `docker run`.
"""

from __future__ import annotations

import os

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.cgroup.demand import Demand, Setting
from mydocker.specs.values.quantity import SHARES, UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.specs.model import ContainerSpec

PERIOD = 100_000  # microseconds, in which a quota of processor time is counted; the kernel's default


def demands(spec: ContainerSpec) -> tuple[Demand, ...]:
    """The limits of SPEC; empty if it has none. Raises LaunchError for limits that no kernel can apply."""
    limits: list[Demand] = []
    if spec.mem_limit:
        limits.append(
            _memory(spec.mem_limit, spec.memswap_limit or 2 * spec.mem_limit, swap_set=bool(spec.memswap_limit))
        )
    elif (spec.memswap_limit or 0) > 0:
        raise LaunchError("a limit on memory and swap needs a limit on memory too")
    limits += _memory_pressure(spec)
    if spec.cpus:
        limits.append(_processors(spec.cpus))
    elif spec.cpu_quota or spec.cpu_period:
        limits.append(_quota(spec.cpu_quota, spec.cpu_period or PERIOD))
    if spec.cpu_shares:
        limits.append(_shares(spec.cpu_shares))
    if spec.cpuset:
        limits.append(_processor_set(spec.cpuset))
    if spec.pids_limit:
        count = (Setting(file="pids.max", value=str(spec.pids_limit)),)
        limits.append(Demand(controller="pids", limit="processes", v1=count, v2=count))
    if spec.blkio_config:
        from mydocker.runtime.cgroup.block_devices import block_demand

        limits.append(block_demand(spec.blkio_config))
    return tuple(limits)


def _memory_pressure(spec: ContainerSpec) -> Iterator[Demand]:
    """What happens when memory is short. Of these settings, v2 has the reservation alone, as memory that is protected;
    in v1 it is what the container shrinks to (Documentation/admin-guide/cgroup-v1/memory.rst, "Soft limits")."""
    old: list[Setting] = []
    new: tuple[Setting, ...] = ()
    if spec.mem_reservation:
        old.append(Setting(file="memory.soft_limit_in_bytes", value=str(spec.mem_reservation)))
        new = (Setting(file="memory.low", value=str(spec.mem_reservation)),)
    if spec.mem_swappiness is not None:
        old.append(Setting(file="memory.swappiness", value=str(spec.mem_swappiness)))
    if spec.oom_kill_disable:
        old.append(Setting(file="memory.oom_control", value="1"))
    if old:
        yield Demand(controller="memory", limit="memory", v1=tuple(old), v2=new)


def _shares(shares: int) -> Demand:
    """v1 counts from 2 to 262144, v2 from 1 to 10000; the ends of the two ranges are the same, as in runc."""
    low, high = SHARES
    weight = 1 + (shares - low) * 9999 // (high - low)
    return Demand(
        controller="cpu",
        limit="the share of processor time",
        v1=(Setting(file="cpu.shares", value=str(shares)),),
        v2=(Setting(file="cpu.weight", value=str(weight)),),
    )


def _memory(memory: int, both: int, *, swap_set: bool) -> Demand:
    """v1 counts memory and swap together, v2 swap alone. A kernel without swap accounting has no file for either,
    which matters only if the spec sets that limit."""
    swap = "max" if both == UNLIMITED else str(both - memory)
    return Demand(
        controller="memory",
        limit="memory",
        v1=(
            Setting(file="memory.limit_in_bytes", value=str(memory)),
            Setting(file="memory.memsw.limit_in_bytes", value=str(both), optional=not swap_set),
        ),
        v2=(
            Setting(file="memory.max", value=str(memory)),
            Setting(file="memory.swap.max", value=swap, optional=not swap_set),
        ),
    )


def _processors(cpus: float) -> Demand:
    present = os.cpu_count() or 1
    if cpus > present:
        raise LaunchError(f"{cpus:g} processors are more than the {present} of this machine")
    return _quota(round(cpus * PERIOD), PERIOD)


def _quota(quota: int | None, period: int) -> Demand:
    """Both in microseconds; no QUOTA is no limit."""
    return Demand(
        controller="cpu",
        limit="processor time",
        v1=(
            Setting(file="cpu.cfs_period_us", value=str(period)),
            Setting(file="cpu.cfs_quota_us", value=str(quota or -1)),
        ),
        v2=(Setting(file="cpu.max", value=f"{quota or 'max'} {period}"),),
    )


def _processor_set(cpus: tuple[int, ...]) -> Demand:
    setting = (Setting(file="cpuset.cpus", value=",".join(map(str, cpus))),)
    return Demand(controller="cpuset", limit="processors to run on", v1=setting, v2=setting)
