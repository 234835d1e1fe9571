"""Which network a container gets that names none: a private one where this host can give it, else the host's."""

from __future__ import annotations

import os

from mydocker.errors import HostError
from mydocker.programs import PATH
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model import BRIDGE, NAMESPACES

if TYPE_CHECKING:
    from mydocker.runtime.plan.host import Host
    from mydocker.specs.model import ContainerSpec

_ROOTLESS, TUN = ("pasta", "slirp4netns"), "/dev/net/tun"
NET_ADMIN = 1 << 12  # linux/capability.h
BRIDGES = "/sys/module/bridge"  # missing if the kernel has none, or loads that module for the first one


def settle(spec: ContainerSpec, host: Host) -> tuple[ContainerSpec, str]:
    """SPEC with a network mode other than `default`, unless it keeps the host's network; then, why that is so."""
    if spec.network_mode != "default":
        return spec, ""
    reason = refusal(host)
    if reason:
        _refuse_sysctls(spec, reason)
        _refuse_ports(spec, reason)
        return spec.replace(networks=()), reason
    namespaces = with_own_network(spec.namespaces)
    mode = BRIDGE if not spec.networks or spec.networks[0].name == BRIDGE else "networks"
    return spec.replace(network_mode=mode, namespaces=namespaces), ""


def with_own_network(namespaces: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in NAMESPACES if name == "net" or name in namespaces)


def _refuse_sysctls(spec: ContainerSpec, reason: str) -> None:
    """On the host's network, a parameter of the network would be the machine's."""
    for name in spec.sysctls:
        if name.startswith("net."):
            raise HostError(f"sysctl {name} needs a network of the container's own, and here it has none: {reason}")


def _refuse_ports(spec: ContainerSpec, reason: str) -> None:
    """On the host's network, a port is open under its own number, on the addresses that the program chooses."""
    for port in spec.ports:
        if port.published not in (None, port.target) or port.host_ip not in ("", "0.0.0.0", "::"):
            raise HostError(
                f"port {port.target} cannot be published as {port.host_ip or 'port'} {port.published}: {reason}",
                hint=f"on the host's network, a port is open under its own number: {port.target}",
            )


def refusal(host: Host) -> str:
    """Why this host cannot give a container a network of its own; empty if it can. It is tried only if the kernel has
    made no bridge yet."""
    if host.rootless:
        if not any(map(_is_installed, _ROOTLESS)):
            return "an ordinary user needs pasta (package passt) or slirp4netns"
        if not os.access(TUN, os.R_OK | os.W_OK):
            return f"an ordinary user needs {TUN}, which is missing or closed to this one"
    elif not host.capabilities & NET_ADMIN:
        return "CAP_NET_ADMIN is missing"
    elif not host.owns_network:
        return "root's user namespace does not own the host's network"
    if not _is_installed("nft"):
        return "the program nft is not installed (package nftables)"
    return "" if os.path.isdir(BRIDGES) else _tried(host)


def _tried(host: Host) -> str:
    from mydocker.runtime.network.trial import lacking

    return lacking(host.ids)


def _is_installed(program: str) -> bool:
    return any(os.access(f"{directory}/{program}", os.X_OK) for directory in PATH.split(":"))
