"""Resource limits of the command's process (getrlimit(2)), set while it may still raise them."""

from __future__ import annotations

import resource

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.specs.values.ulimit import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Mapping


def apply(limits: Mapping[str, tuple[int, int]]) -> None:
    """Set LIMITS, name -> (soft, hard), on this process."""
    for name, both in limits.items():
        try:
            resource.setrlimit(NUMBERS[name], both)
        except (ValueError, OSError):  # Python has a ValueError for EPERM
            _, most = resource.getrlimit(NUMBERS[name])
            raise LaunchError(
                f"ulimit {name}: the hard limit {both[1]} is above {most}, which mydocker may not raise on this host",
                hint="set a lower limit, or give mydocker CAP_SYS_RESOURCE",
            ) from None


def allow(limits: Mapping[str, tuple[int, int]]) -> None:
    """Let descendants in a user namespace set LIMITS, as far as this process may: they raise no hard limit."""
    for name, (_, hard) in limits.items():
        soft, most = resource.getrlimit(NUMBERS[name])
        if most != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or hard > most):
            try:
                resource.setrlimit(NUMBERS[name], (soft, hard))
            except (ValueError, OSError):  # `apply` says it
                continue
