"""Limits as the kernel takes them: for each controller, the files of a cgroup and the values to write to them.

cgroup v1 and v2 differ in names and notation only (kernel documentation "Control Group v2" and "cgroup-v1");
the meaning of each limit is that of `docker run`.
"""

from __future__ import annotations

import os

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.values.quantity import UNLIMITED

if TYPE_CHECKING:
    from mydocker.specs.model import ContainerSpec

PERIOD = 100_000  # microseconds, in which a quota of processor time is counted; the kernel's default


class Setting(Record):
    """VALUE to be written to FILE of a cgroup; an `optional` one is passed over where the kernel has no such file."""

    file: str
    value: str
    optional: bool = False


class Demand(Record):
    """The settings of one controller in either version, and the limit's name for messages."""

    controller: str
    limit: str
    v1: tuple[Setting, ...]
    v2: tuple[Setting, ...]


def demands(spec: ContainerSpec) -> tuple[Demand, ...]:
    """The limits of SPEC; empty if it has none. Raises LaunchError for limits that no kernel can apply."""
    limits: list[Demand] = []
    if spec.mem_limit:
        limits.append(
            _memory(spec.mem_limit, spec.memswap_limit or 2 * spec.mem_limit, swap_set=bool(spec.memswap_limit))
        )
    elif spec.memswap_limit:
        raise LaunchError("a limit on memory and swap needs a limit on memory too")
    if spec.cpus:
        limits.append(_processors(spec.cpus))
    if spec.cpuset:
        limits.append(_processor_set(spec.cpuset))
    if spec.pids_limit:
        count = (Setting(file="pids.max", value=str(spec.pids_limit)),)
        limits.append(Demand(controller="pids", limit="processes", v1=count, v2=count))
    return tuple(limits)


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
    quota = round(cpus * PERIOD)
    return Demand(
        controller="cpu",
        limit="processor time",
        v1=(
            Setting(file="cpu.cfs_period_us", value=str(PERIOD)),
            Setting(file="cpu.cfs_quota_us", value=str(quota)),
        ),
        v2=(Setting(file="cpu.max", value=f"{quota} {PERIOD}"),),
    )


def _processor_set(cpus: tuple[int, ...]) -> Demand:
    setting = (Setting(file="cpuset.cpus", value=",".join(map(str, cpus))),)
    return Demand(controller="cpuset", limit="processors to run on", v1=setting, v2=setting)
