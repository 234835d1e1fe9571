"""Limits of services that this host cannot apply: such a service starts without them.

Docker and Podman warn and go on, too, where an ordinary user has no cgroups, and many published files have limits.
"""

from __future__ import annotations

import os

from mydocker.record import TYPE_CHECKING
from mydocker.runtime.cgroup.enforceable import LIMITS, with_enforceable_limits
from mydocker.specs.model import ContainerSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mydocker.errors import UnenforceableLimitError
    from mydocker.services.project import Instance


def limited(instances: Iterable[Instance], say: Callable[[str], None]) -> list[Instance]:
    """INSTANCES with the limits that this host can apply; SAY gets a warning for each of the others."""
    return [_limited(each, say) for each in instances]


def _limited(instance: Instance, say: Callable[[str], None]) -> Instance:
    if all(getattr(instance.spec, name) == getattr(ContainerSpec, name) for name in LIMITS):
        return instance

    def dropped(error: UnenforceableLimitError) -> None:
        say(f"warning: {instance.title} starts without this limit: {error.message} (hint: {error.hint})")

    spec = with_enforceable_limits(instance.spec, rootless=os.geteuid() != 0, dropped=dropped)
    return instance.replace(spec=spec)
