"""What is left of networks where the cleanup process of a run was killed as well."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest
from lab.command import Command
from lab.networks import Host
from lab.processes import wait_for

from mydocker.kernel.processes import has_ended
from mydocker.runtime.network.upkeep import strays

pytestmark = pytest.mark.root


@pytest.fixture
def left(mydocker: Command) -> Iterator[str]:
    """The bridge of a network, whose one container was killed with all of mydocker's processes."""
    assert mydocker("pull", "-q", "alpine").code == 0
    interface = _leave(mydocker)
    yield interface
    subprocess.run(["ip", "link", "delete", interface], capture_output=True)
    for family in ("inet", "bridge"):
        subprocess.run(["nft", "delete", "table", family, f"mydocker-{interface}"], capture_output=True)


@pytest.fixture
def left_there(host: Host) -> str:
    """The same on a host of its own: `prune` of other tests would remove it from this one."""
    return _leave(host.command)


def _leave(mydocker: Command) -> str:
    assert mydocker("network", "create", "web").code == 0
    run = mydocker.start("run", "--network", "web", "alpine", "sh", "-c", "echo ready; exec sleep 1000")
    assert run.stdout and run.stdout.readline() == b"ready\n"
    [network] = json.loads(mydocker("network", "inspect", "web").stdout)
    interface: str = network["Options"]["com.docker.network.bridge.name"]
    _kill_tree(run.pid)
    run.communicate()
    of_bridge = [*mydocker.prefix, "ip", "-o", "link", "show", "master", interface]
    wait_for(lambda: not subprocess.run(of_bridge, capture_output=True, check=True).stdout)  # the container's end
    return interface


def _kill_tree(pid: int) -> None:
    """PID, and then its children: the container, and the cleanup process, which has no time for anything."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in children:
        os.kill(int(each), signal.SIGSTOP)
    pidfds = [os.pidfd_open(int(each)) for each in (str(pid), *children)]
    for pidfd in pidfds:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    for pidfd in pidfds:
        assert has_ended(pidfd, 100)  # and the lock of the run's directory is free
        os.close(pidfd)


def _own(mydocker: Command, interface: str) -> list[str]:
    """The strays of this store; other tests may have some just now."""
    found = strays.find(f"{mydocker.store}/networks")
    return [str(each) for each in found if interface in each.name or each.directory.startswith(str(mydocker.store))]


def test_strays_are_listed_and_removed(mydocker: Command, left: str) -> None:
    [address] = os.listdir(mydocker.store / "networks/web/leases")
    expected = [f"address {address} of network web", f"bridge {left} of network web"]
    assert _own(mydocker, left) == expected
    findings = json.loads(mydocker("doctor", "--format", "json").stdout)["findings"]
    [finding] = [each for each in findings if each["name"] == "strays"]
    assert finding["state"] == "weaker" and all(each in finding["detail"] for each in expected)
    # the run directory is there, too, and what it lists would go with it
    shutil.rmtree(mydocker.store / "containers")
    done = mydocker("prune", "--dry-run")
    assert done.code == 0 and set(expected) <= set(done.stdout.decode().splitlines())
    assert _own(mydocker, left) == expected
    done = mydocker("prune")
    assert done.code == 0 and set(expected) <= set(done.stdout.decode().splitlines())
    assert _own(mydocker, left) == [] and not _is_there(left) and left not in _firewall()
    assert os.listdir(mydocker.store / "networks/web/leases") == []


def test_the_next_container_of_any_network_leaves_none(mydocker: Command, left: str) -> None:
    assert mydocker("run", "--network", "none", "alpine", "true").code == 0
    assert not _is_there(left) and left not in _firewall()
    assert os.listdir(mydocker.store / "networks/web/leases") == []


def test_a_bridge_of_a_store_that_is_gone_is_removed_from_another_one(
    host: Host, left_there: str, tmp_path: pathlib.Path
) -> None:
    host.command.store.rename(tmp_path / "gone")
    host.command.store.mkdir()
    done = host.command("prune")
    assert done.code == 0 and f"bridge {left_there} of network web" in done.stdout.decode().splitlines()
    assert not any(host.traces().values())


def test_a_firewall_without_a_bridge_is_removed(host: Host, left_there: str) -> None:
    shutil.rmtree(host.command.store / "containers")
    host.run("ip", "link", "delete", left_there)
    stray = f"firewall {left_there}"
    assert stray in host.command("doctor").stdout.decode() and any(left_there in x for x in host.traces()["tables"])
    assert stray in host.command("prune").stdout.decode().splitlines()
    assert not any(host.traces().values())


def test_strays_of_another_store_are_left_to_it(mydocker: Command, left: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "other").mkdir()
    other = {"MYDOCKER_ROOT": str(tmp_path / "other")}
    assert left.encode() not in mydocker("prune", env=other).stdout and _is_there(left)
    done = mydocker("doctor", env=other)
    assert f"bridge {left} of network web".encode() in done.stdout


@pytest.mark.parametrize(
    "words", [("unshare", "--user", "--map-root-user"), ()], ids=["root of a user namespace", "user"]
)
def test_who_cannot_remove_those_of_the_host_does_not_look_at_them(
    left: str, second_user: Command, words: tuple[str, ...]
) -> None:
    doctor = replace(second_user, prefix=[*second_user.prefix, *words])
    findings = json.loads(doctor("doctor", "--format", "json").stdout)["findings"]
    assert [each["state"] for each in findings if each["name"] == "strays"] == ["ok"]


def test_what_is_used_is_no_stray(mydocker: Command) -> None:
    assert mydocker("network", "create", "web").code == 0
    run = mydocker.start("run", "-i", "--network", "web", "alpine", "sh", "-c", "echo ready; cat")
    assert run.stdout and run.stdout.readline() == b"ready\n"
    [network] = json.loads(mydocker("network", "inspect", "web").stdout)
    interface = network["Options"]["com.docker.network.bridge.name"]
    assert _own(mydocker, interface) == []
    assert mydocker("prune").code == 0 and _is_there(interface) and interface in _firewall()
    assert run.communicate(timeout=120) == (b"", b"")
    assert _own(mydocker, interface) == []  # what is kept for the next container is removed in time


def _is_there(interface: str) -> bool:
    return os.path.exists(f"/sys/class/net/{interface}")


def _firewall() -> str:
    return subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
