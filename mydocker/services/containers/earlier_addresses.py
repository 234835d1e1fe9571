"""The addresses that a container had when it ran before: it gets them again, where they are free.

Programs keep the address of a name: nginx, for one, resolves those of its upstreams when it starts, and never again.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.runtime.plan import LaunchPlan


def with_earlier_addresses(plan: LaunchPlan, addresses: Mapping[str, str]) -> LaunchPlan:
    """PLAN, whose networks have the ADDRESSES of the last run, by network."""
    if not addresses or not plan.networks:
        return plan
    networks = tuple(each.replace(earlier=addresses.get(each.name, "")) for each in plan.networks)
    return plan.replace(networks=networks)
