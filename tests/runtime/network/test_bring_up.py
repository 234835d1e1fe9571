"""Networks of several stores on one host, whose bridges come up at the same time."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
from lab.command import Command, command
from lab.networks import Host
from lab.processes import within
from lab.registry import Registry

pytestmark = pytest.mark.root


@pytest.fixture
def stores(host: Host, tmp_path: pathlib.Path, registry: Registry) -> list[Command]:
    """Three stores of one host, whose routes are its own: which subnets are free is nobody else's to change."""
    made = []
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        plain = command(tmp_path / name, registry=registry.address)
        assert plain("pull", "-q", "alpine").code == 0
        made.append(replace(plain, prefix=host.enter))
    return made


def test_a_subnet_that_another_store_uses_is_replaced(stores: list[Command]) -> None:
    one, two, _ = stores
    assert two("network", "create", "web").code == 0
    subnet = _subnet(two, "web")
    assert one("network", "create", "--subnet", subnet, "same").code == 0
    with _container(one, "same") as address, _container(two, "web") as other:
        assert _subnet(one, "same") == subnet != _subnet(two, "web")
        assert address.rpartition(".")[0] == subnet.rpartition(".")[0] != other.rpartition(".")[0]
        with _container(two, "web") as third:  # into what is up
            assert third.rpartition(".")[0] == other.rpartition(".")[0]


def test_a_subnet_that_the_user_has_set_is_not_replaced(stores: list[Command]) -> None:
    one, two, _ = stores
    assert one("network", "create", "web").code == 0
    subnet = _subnet(one, "web")
    assert two("network", "create", "--subnet", subnet, "set").code == 0
    with _container(one, "web"):
        done = two("run", "--network", "set", "alpine", "true")
        assert (done.stdout, done.code) == (b"", 125)
        assert f"cannot bring up network set: this host has a route to {subnet}, in its subnet".encode() in done.stderr
    assert _subnet(two, "set") == subnet


def test_default_networks_that_come_up_at_once_get_subnets_each(host: Host, stores: list[Command]) -> None:
    """They have the same one on disk at first, as none was up when it was chosen."""
    with ExitStack() as stack:
        for mydocker in stores:
            assert mydocker("run", "--network", "bridge", "alpine", "true").code == 0
            path = mydocker.store / "networks/bridge/network.json"
            network = json.loads(path.read_text())
            host.wait_until_clean()
            network["subnet"] = {"network": "10.88.0.0/16", "gateway": "10.88.0.1", "ip_range": ""}
            path.write_text(json.dumps(network))
        runs = [_start(mydocker, "bridge") for mydocker in stores]
        addresses = [stack.enter_context(_running(run)) for run in runs]
        assert len({address.rsplit(".", 2)[0] for address in addresses}) == 3, addresses


@contextmanager
def _container(mydocker: Command, network: str) -> Iterator[str]:
    """Its address, while it lives."""
    with _running(_start(mydocker, network)) as address:
        yield address


def _start(mydocker: Command, network: str) -> subprocess.Popen[bytes]:
    return mydocker.start("run", "-i", "--network", network, "alpine", "sh", "-c", "ip -4 -o addr show eth0; cat")


@contextmanager
def _running(run: subprocess.Popen[bytes]) -> Iterator[str]:
    with run:
        assert run.stdin and run.stdout and run.stderr
        found = re.search(rb"inet ([0-9.]+)/", run.stdout.readline())
        assert found, run.stderr.read()
        yield found[1].decode()
        assert run.communicate(timeout=120) == (b"", b"") and run.returncode == 0


def test_a_store_that_is_removed_leaves_no_bridge(host: Host, stores: list[Command]) -> None:
    """Within the second that the bridge is kept for the next container."""
    mydocker = stores[0]
    while True:
        assert mydocker("run", "--network", "bridge", "alpine", "true").code == 0
        if host.traces()["links"]:
            break
    shutil.rmtree(mydocker.store)
    assert within(100, lambda: not any(host.traces().values()))


def _subnet(mydocker: Command, name: str) -> str:
    [found] = json.loads(mydocker("network", "inspect", name).stdout)
    subnet = found["IPAM"]["Config"][0]["Subnet"]
    assert isinstance(subnet, str)
    return subnet
