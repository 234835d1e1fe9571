from __future__ import annotations

import calendar
import fcntl
import os
import pathlib
import re
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from mydocker.errors import HostError, NetworkError, StoreError, UsageError
from mydocker.runtime.network import Network, Subnet, leases, lifecycle, networks
from mydocker.runtime.network.lifecycle import Addresses


def test_a_network_is_what_was_asked_for(tmp_path: pathlib.Path) -> None:
    subnet = Subnet(network="10.90.1.0/24", gateway="10.90.1.254")
    subnet6 = Subnet(network="fd00:1::/64", gateway="fd00:1::1")
    made = lifecycle.create(
        str(tmp_path / "networks"),
        "web",
        addresses=Addresses(subnet=subnet, subnet6=subnet6),
        internal=True,
        labels={"é": "x\n"},
        options={"com.docker.network.driver.mtu": "1400"},
    )
    assert made == networks.load(str(tmp_path / "networks"), "web")
    assert made.as_dict() == {
        "name": "web",
        "id": made.id,
        "interface": f"md-{made.id[:10]}",
        "subnet": subnet,
        "subnet6": subnet6,
        "internal": True,
        "mtu": 1400,
        "labels": {"é": "x\n"},
        "options": {"com.docker.network.driver.mtu": "1400"},
        "created": made.created,
        "transient": False,
        "automatic": False,
    }
    assert abs(time.time() - _seconds(made.created)) < 60
    assert (tmp_path / "networks").stat().st_mode & 0o777 == 0o700


def test_the_subnets_of_networks_do_not_overlap(tmp_path: pathlib.Path) -> None:
    names = [lifecycle.create(str(tmp_path), f"n{i}", taken=lambda: ["10.89.1.0/24"]).subnet.network for i in range(3)]
    assert names == ["10.89.0.0/24", "10.89.2.0/24", "10.89.3.0/24"]
    assert _default(tmp_path).subnet.network == "10.88.0.0/16"
    with pytest.raises(UsageError, match=r"subnet 10.89.0.0/16 overlaps that of network n0"):
        _create(tmp_path, "x", "10.89.0.0/16")
    with pytest.raises(UsageError, match=r"subnet 10.88.7.0/24 overlaps that of network bridge"):
        _create(tmp_path, "x", "10.88.7.0/24")
    assert networks.names(str(tmp_path)) == ["bridge", "n0", "n1", "n2"]


def test_ipv6_is_on_request(tmp_path: pathlib.Path) -> None:
    assert lifecycle.create(str(tmp_path), "without", taken=list).subnet6 is None
    made = lifecycle.create(str(tmp_path), "with", addresses=Addresses(ipv6=True), taken=list)
    assert made.subnet6 and made.subnet6.network.startswith("fd") and made.automatic
    assert networks.load(str(tmp_path), "with") == made
    clash = Addresses(subnet6=made.subnet6)
    with pytest.raises(UsageError, match="overlaps that of network with"):
        lifecycle.create(str(tmp_path), "x", addresses=clash, taken=list)


def test_no_container_can_get_the_address_of_the_gateway(tmp_path: pathlib.Path) -> None:
    """What follows from an IPv4 address are the last 32 bits of the IPv6 one."""
    subnet = Subnet(network="10.90.0.0/24", gateway="10.90.0.1")
    subnet6 = Subnet(network="fd00::/64", gateway="fd00::a5a:7")
    with pytest.raises(UsageError, match="gateway fd00::a5a:7: a container would have this address"):
        lifecycle.create(str(tmp_path), "web", addresses=Addresses(subnet=subnet, subnet6=subnet6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"com.docker.network.driver.mtu": "x"}, "expected a number from 68 to 65535"),
        ({"com.docker.network.driver.mtu": "67"}, "expected a number from 68 to 65535"),
        ({"com.docker.network.driver.mtu": "65536"}, "expected a number from 68 to 65535"),
        ({"com.docker.network.driver.mtu": "1400", "mtu": "1500"}, "expected a number from 68 to 65535"),
        ({"com.docker.network.driver.mut": "1400"}, "did you mean 'com.docker.network.driver.mtu'?"),
        ({"com.docker.network.bridge.enable_icc": "false"}, "enable_icc' is not supported"),
    ],
)
def test_options_that_a_bridge_does_not_have(tmp_path: pathlib.Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        lifecycle.create(str(tmp_path), "web", options=options)
    assert lifecycle.create(str(tmp_path), "web", options={"mtu": "1400"}).mtu == 1400


@pytest.mark.parametrize("name", ["bridge", "host", "none", "default"])
def test_names_with_another_meaning_are_refused(tmp_path: pathlib.Path, name: str) -> None:
    with pytest.raises(UsageError, match="reserved"):
        lifecycle.create(str(tmp_path), name)


def test_a_name_is_taken_once(tmp_path: pathlib.Path) -> None:
    first = lifecycle.create(str(tmp_path), "web", taken=list)
    with pytest.raises(NetworkError, match="there is already a network web"):
        lifecycle.create(str(tmp_path), "web", taken=list)
    assert networks.load(str(tmp_path), "web") == first


def test_the_default_network_is_made_once(tmp_path: pathlib.Path) -> None:
    taken = ["10.88.0.0/16"]
    first = lifecycle.load_or_make_default(str(tmp_path / "n"), taken=lambda: taken)
    assert (first.name, first.subnet.network, first.created) == ("bridge", "10.90.0.0/16", "")
    assert first.automatic and first.interface == f"md-{first.id[:10]}"

    def never() -> list[str]:
        raise AssertionError("what is there is loaded")

    assert lifecycle.load_or_make_default(str(tmp_path / "n"), taken=never) == first


def test_processes_that_make_the_default_network_at_once_have_the_same(tmp_path: pathlib.Path) -> None:
    code = (
        "import os, sys\nfrom mydocker.runtime.network import lifecycle\n"
        "for _ in range(40):\n"
        "    if os.fork() == 0:\n"
        "        made = lifecycle.load_or_make_default(sys.argv[1])\n"
        "        os.write(1, f'{made.id}\\n'.encode())\n"
        "        os._exit(0)\n"
        "for _ in range(40):\n    os.wait()\n"
    )
    ids = _python(code, str(tmp_path / "networks")).split()
    assert len(ids) == 40 and set(ids) == {networks.load(str(tmp_path / "networks"), "bridge").id}
    assert os.listdir(tmp_path / "networks") == ["bridge"]


def test_a_network_is_renumbered(tmp_path: pathlib.Path) -> None:
    default, other = _default(tmp_path), lifecycle.create(str(tmp_path), "web", taken=list)
    moved = lifecycle.renumber(str(tmp_path), default, taken=["10.88.0.0/16", "10.90.0.0/16"])
    assert moved == default.replace(subnet=Subnet(network="10.91.0.0/16", gateway="10.91.0.1"))
    assert networks.load(str(tmp_path), "bridge") == moved
    again = lifecycle.renumber(str(tmp_path), other, taken=[])  # its own addresses are none of another network's
    assert again.subnet == other.subnet
    with pytest.raises(HostError, match="no private subnet free"):
        lifecycle.renumber(str(tmp_path), other, taken=["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"])
    assert sorted(os.listdir(tmp_path / "web")) == ["leases", "network.json"]


def test_a_network_is_removed_with_all_of_it(tmp_path: pathlib.Path) -> None:
    lifecycle.create(str(tmp_path), "web", taken=list)
    (tmp_path / "web" / "leases" / "10.89.0.2").symlink_to(tmp_path / "gone")
    down: list[str] = []
    lifecycle.remove(str(tmp_path), "web", down=lambda _, network: down.append(network.name))
    assert (os.listdir(tmp_path), down) == ([], ["web"])
    with pytest.raises(NetworkError, match="there is no network web"):
        lifecycle.remove(str(tmp_path), "web")


def test_a_network_in_use_stays(tmp_path: pathlib.Path) -> None:
    made = lifecycle.create(str(tmp_path), "web", taken=list)
    run_dir = tmp_path / "0123456789ab"
    run_dir.mkdir()
    lock = os.open(run_dir, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    leases.take(str(tmp_path / "web"), made, str(run_dir), container_id="0123456789ab" * 4, index=0)
    with pytest.raises(NetworkError, match="network web is in use") as caught:
        lifecycle.remove(str(tmp_path), "web", down=lambda *_: pytest.fail("it is used"))
    assert caught.value.hint == "by containers 0123456789ab"
    os.close(lock)
    lifecycle.remove(str(tmp_path), "web")


def test_the_default_network_stays(tmp_path: pathlib.Path) -> None:
    made = _default(tmp_path)
    with pytest.raises(NetworkError, match="cannot be removed"):
        lifecycle.remove(str(tmp_path), "bridge")
    assert networks.load(str(tmp_path), "bridge") == made


def test_what_killed_processes_leave_is_swept(tmp_path: pathlib.Path) -> None:
    made = lifecycle.create(str(tmp_path), "web", taken=list)
    for name in (".new-0", ".removed-0"):
        (tmp_path / name / "leases").mkdir(parents=True)
    (tmp_path / "web" / "leases" / "10.89.0.2").symlink_to(tmp_path / "gone")
    assert lifecycle.sweep(str(tmp_path)) == {"web": ["10.89.0.2"]}
    assert os.listdir(tmp_path) == ["web"] and os.listdir(tmp_path / "web" / "leases") == []
    assert lifecycle.sweep(str(tmp_path)) == {} == lifecycle.sweep(str(tmp_path / "nonesuch"))
    assert networks.load(str(tmp_path), "web") == made


def test_a_creation_that_is_killed_anywhere_leaves_no_half_network(tmp_path: pathlib.Path) -> None:
    """Killed before each of its system calls that change the disk, until it gets through."""
    code = (
        "import os, sys\nfrom mydocker.runtime.network import lifecycle\n"
        "left = int(sys.argv[2])\n"
        "def hook(event, arguments):\n"
        "    global left\n"
        "    changes = event in ('os.mkdir', 'os.rename')\n"
        "    changes |= event == 'open' and 'network.json' in str(arguments[0])\n"
        "    left -= changes\n"
        "    if changes and left < 0:\n        os.kill(os.getpid(), 9)\n"
        "sys.addaudithook(hook)\n"
        "lifecycle.create(sys.argv[1], 'web', taken=list)\n"
    )
    for step in range(20):
        done = subprocess.run([sys.executable, "-P", "-c", code, str(tmp_path), str(step)], capture_output=True)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        assert networks.names(str(tmp_path)) == []
    assert step >= 4 and networks.load(str(tmp_path), "web")
    lifecycle.sweep(str(tmp_path))
    assert os.listdir(tmp_path) == ["web"]


@pytest.mark.root
def test_a_store_that_is_read_only_is_named(tmp_path: pathlib.Path) -> None:
    made = lifecycle.create(str(tmp_path / "rw"), "web", taken=list)
    (tmp_path / "ro").mkdir()
    subprocess.run(["mount", "--bind", "-o", "ro", tmp_path / "rw", tmp_path / "ro"], check=True)
    try:
        where = str(tmp_path / "ro")
        assert networks.load(where, "web") == made
        for attempt in (
            lambda: lifecycle.create(where, "other", taken=list),
            lambda: lifecycle.load_or_make_default(where, taken=list),
            lambda: lifecycle.remove(where, "web"),
            lambda: lifecycle.renumber(where, made, taken=[]),
            lambda: leases.take(f"{where}/web", made, "/x", container_id="0" * 64, index=0),
        ):
            with pytest.raises(StoreError, match="Read-only file system") as caught:
                attempt()
            assert caught.value.hint == "set MYDOCKER_ROOT to a directory that can be written"
    finally:
        subprocess.run(["umount", tmp_path / "ro"], check=True)


@pytest.mark.root
def test_a_full_store_has_no_more_in_it_after_each_attempt(tmp_path: pathlib.Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True)
    try:
        with suppress(OSError), open(tmp_path / "filler", "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        for attempt in (lifecycle.load_or_make_default, lambda where: lifecycle.create(where, "web", taken=list)):
            with pytest.raises(StoreError, match="No space left on device"):
                attempt(str(tmp_path))
        assert os.listdir(tmp_path) == ["filler"]
        (tmp_path / "filler").unlink()
        assert lifecycle.create(str(tmp_path), "web", taken=list).name == "web"
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def _create(directory: pathlib.Path, name: str, subnet: str) -> Network:
    addresses = Addresses(subnet=Subnet(network=subnet, gateway=subnet.replace(".0/", ".1/").partition("/")[0]))
    return lifecycle.create(str(directory), name, addresses=addresses, taken=list)


def _default(directory: pathlib.Path) -> Network:
    return lifecycle.load_or_make_default(str(directory), taken=list)


def _seconds(date: str) -> float:
    return calendar.timegm(time.strptime(date, "%Y-%m-%dT%H:%M:%SZ"))


def _python(code: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
