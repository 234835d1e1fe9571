"""What network a container gets that names none."""

from __future__ import annotations

import pytest

from mydocker.errors import HostError
from mydocker.kernel import netlink
from mydocker.runtime.network import default_mode
from mydocker.runtime.network.default_mode import settle
from mydocker.runtime.plan.host import Host
from mydocker.specs.model import NAMESPACES, ContainerSpec
from mydocker.specs.model.parts import NetworkAttachment

POWERLESS = Host(
    uid=0,
    gid=0,
    capabilities=0,
    cgroup2=True,
    store_on_overlay=False,
    ids=None,
    shared_ipc=(),
)
ABLE = POWERLESS.replace(capabilities=(1 << 41) - 1)
SPEC = ContainerSpec(namespaces=tuple(name for name in NAMESPACES if name != "net"))


@pytest.mark.parametrize(
    ("networks", "mode"),
    [((), "bridge"), (("bridge",), "bridge"), (("p_default",), "networks"), (("a", "b"), "networks")],
)
def test_networks_of_its_own(networks: tuple[str, ...], mode: str) -> None:
    spec = SPEC.replace(networks=tuple(NetworkAttachment(name=name) for name in networks))
    settled, reason = settle(spec, ABLE)
    assert (settled.network_mode, settled.namespaces, settled.networks, reason) == (mode, NAMESPACES, spec.networks, "")


def test_a_host_that_gives_none_keeps_its_parameters() -> None:
    """There a parameter of the network would be the machine's."""
    assert settle(SPEC.replace(sysctls={"kernel.msgmax": "1"}), POWERLESS)[1] == "CAP_NET_ADMIN is missing"
    with pytest.raises(HostError, match=r"net\.core\.somaxconn needs a network of the container's own"):
        settle(SPEC.replace(sysctls={"net.core.somaxconn": "1"}), POWERLESS)
    assert settle(SPEC.replace(sysctls={"net.core.somaxconn": "1"}), ABLE)[0].network_mode == "bridge"


@pytest.mark.root
def test_a_kernel_that_has_made_no_bridge_yet_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has none is in test_guest_modules.py."""
    monkeypatch.setattr(default_mode, "BRIDGES", "/nonexistent")
    assert settle(SPEC, ABLE)[0].network_mode == "bridge"
    monkeypatch.setattr(netlink, "add_bridge", lambda name, mac: netlink.add_veth)
    mode, reason = settle(SPEC, ABLE)[0].network_mode, settle(SPEC, ABLE)[1]
    assert mode == "default" and reason.startswith("the kernel has no bridges, or no veth interfaces: ")
