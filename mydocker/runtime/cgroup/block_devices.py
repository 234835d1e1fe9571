"""Limits on block devices as the kernel takes them: weights, and rates for a device by its number (kernel documentation
"Control Group v2", "IO", and "cgroup-v1", "Block IO Controller")."""

from __future__ import annotations

import os
import stat

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.cgroup.demand import Demand, Setting

if TYPE_CHECKING:
    from mydocker.specs.model.parts import BlockLimits

_RATES = {  # field -> file of v1, word of v2's io.max
    "read_bps": ("blkio.throttle.read_bps_device", "rbps"),
    "write_bps": ("blkio.throttle.write_bps_device", "wbps"),
    "read_iops": ("blkio.throttle.read_iops_device", "riops"),
    "write_iops": ("blkio.throttle.write_iops_device", "wiops"),
}


def block_demand(limits: BlockLimits) -> Demand:
    """The settings of LIMITS. Raises LaunchError for a path that is no block device of this host."""
    old: list[Setting] = []
    new: list[Setting] = []
    weights = [("", limits.weight)] if limits.weight else []
    weights += [(f"{_number(path)} ", weight) for path, weight in limits.weight_device]
    for device, weight in weights:
        one = "_device" if device else ""
        bfq = "blkio.bfq.weight"  # where the kernel has this scheduler instead of CFQ, as since Linux 5.0
        value = f"{device}{weight}"
        old.append(Setting(file=f"blkio.weight{one}", value=value, other_file=f"{bfq}{one}", other_value=value))
        common = f"{device or 'default '}{_weight(weight)}"
        new.append(Setting(file="io.weight", value=common, other_file="io.bfq.weight", other_value=value))
    for name, (file, word) in _RATES.items():
        for path, rate in getattr(limits, name):
            number = _number(path)
            old.append(Setting(file=file, value=f"{number} {rate}"))
            new.append(Setting(file="io.max", value=f"{number} {word}={rate}"))
    return Demand(
        controller="io", controller_v1="blkio", limit="reading and writing of disks", v1=tuple(old), v2=tuple(new)
    )


def _weight(weight: int) -> int:
    """10 to 1000 in v1 and with BFQ, 1 to 10000 in v2; the ends of the two ranges are the same, as in runc."""
    return 1 + (weight - 10) * 9999 // 990


def _number(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError as error:
        raise LaunchError(f"device {path}: {error.strerror}") from None
    if not stat.S_ISBLK(status.st_mode):
        raise LaunchError(f"{path} is not a block device, so reading and writing it cannot be limited")
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
