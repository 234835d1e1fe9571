"""Networks that a file defines, made when the first of its containers starts."""

from __future__ import annotations

import os

from mydocker.errors import NetworkError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network.lifecycle import Addresses, create
from mydocker.runtime.network.subnets import parse_subnet

if TYPE_CHECKING:
    from mydocker.runtime.network import Subnet
    from mydocker.specs.model.parts import NetworkDefinition


def make(networks: str, name: str, definition: NetworkDefinition) -> None:
    """Make network NAME in directory NETWORKS as DEFINITION says; nothing if another process was faster. Raises as
    `create` does."""
    try:
        create(
            networks,
            name,
            addresses=Addresses(
                subnet=_subnet(definition.subnet, definition.gateway, definition.ip_range),
                subnet6=_subnet(definition.subnet6, definition.gateway6, ""),
                ipv6=definition.ipv6,
            ),
            internal=definition.internal,
            labels=definition.labels,
            options=definition.options,
            transient=True,
        )
    except NetworkError:
        if not os.path.isdir(f"{networks}/{name}"):
            raise


def _subnet(text: str, gateway: str, ip_range: str) -> Subnet | None:
    return parse_subnet(text, gateway or None, ip_range=ip_range or None) if text else None
