"""Which network containers get here by default, and what of this host keeps them from a private one, or from others."""

from __future__ import annotations

import os

from mydocker import programs
from mydocker.errors import HostError, MydockerError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import DEFAULT, trial
from mydocker.runtime.network.default_mode import NET_ADMIN, TUN, refusal
from mydocker.runtime.network.firewall import ruleset
from mydocker.runtime.network.networks import load
from mydocker.runtime.network.trial import attempt

if TYPE_CHECKING:
    from mydocker.runtime.plan.host import Host

_MODULES = "load the kernel modules bridge, veth and nf_tables"
_IN_A_CONTAINER = "inside another container, start that one with --cap-add NET_ADMIN"


def default_network(host: Host) -> tuple[bool, str, str | None]:
    """Whether containers get a private network on HOST; what they get, and what would help."""
    reason = refusal(host) or attempt(_bring_up, ids=host.ids)
    if not reason:
        return True, "containers get a private network (bridge) unless --network is set", None
    return False, f"containers share the host's network unless --network is set: {reason}", _remedy(host)


def _remedy(host: Host) -> str:
    """All that is missing, as one thing alone would not help."""
    missing = [_lacking("nft")]
    if host.rootless:
        missing.append(_lacking("slirp4netns") and _lacking("pasta"))
        missing.append(None if os.access(TUN, os.R_OK | os.W_OK) else f"sudo modprobe tun && sudo chmod 666 {TUN}")
    elif not host.capabilities & NET_ADMIN:
        missing.append(_IN_A_CONTAINER)
    elif not host.owns_network:
        missing.append("create a network namespace together with the user namespace")
    return "; ".join(filter(None, missing)) or _MODULES


def _lacking(program: str) -> str | None:
    """How to install PROGRAM; None if it is there."""
    try:
        programs.find(program)
    except HostError as error:
        return error.hint or error.message
    return None


def _bring_up() -> None:
    """What a network is made of, and the firewall, in a network namespace that ends with this process."""
    ruleset.load(trial.bring_up())


def obstacle(networks: str) -> tuple[str, str] | None:
    """A firewall of this host that drops what containers send, and that mydocker does not change: what it is, and the
    line that lets them pass. NETWORKS is the directory of networks."""
    try:
        subnet = load(networks, DEFAULT).subnet.network
    except MydockerError:
        subnet = trial.NETWORK.subnet.network
    if _legacy_drops():
        lines = [f"sudo iptables-legacy -I FORWARD {option} {subnet} -j ACCEPT" for option in ("-s", "-d")]
        return "the chain FORWARD of iptables-legacy drops what containers send", "; ".join(lines)
    if _has_firewalld(subnet):
        line = f"sudo firewall-cmd --permanent --zone=trusted --add-source={subnet} && sudo firewall-cmd --reload"
        return "firewalld rejects what containers send, unless their addresses are in a zone that lets it pass", line
    return None


def _legacy_drops() -> bool:
    """Whether tables of the older kind, which nft does not show, drop what is forwarded."""
    try:
        return b"-P FORWARD DROP" in programs.run("iptables-legacy", "-S", "FORWARD")
    except HostError:  # not installed, or not permitted
        return False


def _has_firewalld(subnet: str) -> bool:
    """Whether it runs, and SUBNET is not in its zone that lets everything pass."""
    try:
        sources = programs.run("firewall-cmd", "--zone=trusted", "--list-sources").decode(errors="replace")
    except HostError:  # not installed, or not running
        return False
    return subnet not in sources.split()
