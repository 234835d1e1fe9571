from __future__ import annotations

import fcntl
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from lab.processes import wait_for

from mydocker.errors import NetworkError, StoreError, UsageError
from mydocker.runtime.network import Network, Subnet, lifecycle, networks

SUBNET = Subnet(network="10.90.1.0/24", gateway="10.90.1.1")


@pytest.fixture
def made(tmp_path: pathlib.Path) -> Network:
    return lifecycle.create(str(tmp_path), "web", taken=list)


@pytest.mark.parametrize("name", ["a", "web", "0", "A_b.c-d", "a" * 255])
def test_names_that_docker_accepts(name: str) -> None:
    assert networks.is_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "-a", "_a", ".a", "a/b", "a b", "é", "a\n", "a" * 256])
def test_names_that_no_network_can_have(tmp_path: pathlib.Path, name: str) -> None:
    assert not networks.is_name(name)
    with pytest.raises(NetworkError, match="there is no network"):
        networks.load(str(tmp_path), name)
    with pytest.raises(UsageError, match="network name"):
        lifecycle.create(str(tmp_path), name, taken=list)


def test_a_network_is_found_by_its_name_and_by_its_id(tmp_path: pathlib.Path, made: Network) -> None:
    for text in ("web", made.id, made.id[:12], made.id[:1]):
        assert networks.load(str(tmp_path), text) == made
        with networks.HeldNetwork(str(tmp_path), text) as held:
            assert (held.network, held.directory) == (made, str(tmp_path / "web"))


def test_the_beginning_of_several_ids_is_refused(tmp_path: pathlib.Path, made: Network) -> None:
    other = _changed(tmp_path, made, name="other", id=made.id[:8] + "0" * 56)
    with pytest.raises(UsageError, match=f"several networks have an ID that begins with {made.id[:4]}: other, web"):
        networks.load(str(tmp_path), made.id[:4])
    assert networks.load(str(tmp_path), other.id).name == "other"


def test_a_name_comes_before_an_id(tmp_path: pathlib.Path, made: Network) -> None:
    _changed(tmp_path, made, name=made.id[:4], id="0" * 64)
    assert networks.load(str(tmp_path), made.id[:4]).id == "0" * 64


@pytest.mark.parametrize("name", ["nonesuch", "0123", "x"])
def test_a_network_that_does_not_exist_is_named(tmp_path: pathlib.Path, name: str) -> None:
    for directory in (tmp_path, tmp_path / "nonesuch"):
        with pytest.raises(NetworkError, match=f"there is no network {name}"):
            networks.load(str(directory), name)


DAMAGE: list[tuple[Any, str]] = [
    (b"", "not JSON"),
    (b'{"name": "web", "id": ', "not JSON"),
    (b"[]", "expected an object, not an array"),
    (b"\xff", "not JSON"),
    ({"name": "other"}, "it describes 'other'"),
    ({"id": "0123"}, "64 hexadecimal digits"),
    ({"id": "G" * 64}, "64 hexadecimal digits"),
    ({"interface": "a/b"}, "no valid name"),
    ({"interface": "x" * 16}, "no valid name"),
    ({"subnet": None}, "is not an IPv4 address"),
    ({"subnet": {"network": "10.0.0.0", "gateway": "10.0.0.1"}}, "is not an IPv4 network"),
    ({"subnet": {"network": "10.0.0.0/24", "gateway": "10.0.1.1"}}, "outside of its subnet"),
    ({"subnet": {"network": "10.0.0.0/24", "gateway": "10.0.0.0"}}, "outside of its subnet"),
    (
        {"subnet": {"network": "10.0.0.0/24", "gateway": "10.0.0.1", "ip_range": "10.0.1.0/24"}},
        "ip_range is outside of its subnet",
    ),
    ({"subnet6": {"network": "x", "gateway": "fd00::1"}}, "web is damaged"),
    ({"subnet6": {"network": "fd00::/64", "gateway": "123456::1"}}, "web is damaged"),
    ({"mtu": "1500"}, "mtu: expected an integer, not a string"),
    ({"labels": {"a": 1}}, "labels: expected a string, not a number"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE, ids=[message for _, message in DAMAGE])
def test_a_damaged_file_is_named_with_what_to_do(
    tmp_path: pathlib.Path, made: Network, damage: Any, message: str
) -> None:
    path = tmp_path / "web" / "network.json"
    raw = damage if isinstance(damage, bytes) else json.dumps({**json.loads(path.read_bytes()), **damage}).encode()
    path.write_bytes(raw)
    with pytest.raises(StoreError, match=message) as caught:
        networks.load(str(tmp_path), "web")
    assert str(path) in caught.value.message and caught.value.hint == "remove it: mydocker network rm web"
    with pytest.raises(StoreError, match=message), networks.HeldNetwork(str(tmp_path), "web"):
        pass
    assert networks.intact(str(tmp_path)) == []
    lifecycle.remove(str(tmp_path), "web")
    assert os.listdir(tmp_path) == []


def test_a_missing_file_is_damage(tmp_path: pathlib.Path, made: Network) -> None:
    (tmp_path / "web" / "network.json").unlink()
    with pytest.raises(StoreError, match=r"web is damaged: .*/web/network.json is missing"):
        networks.load(str(tmp_path), "web")
    lifecycle.remove(str(tmp_path), "web")
    assert os.listdir(tmp_path) == []


def test_a_file_that_never_ends_is_not_read(tmp_path: pathlib.Path, made: Network) -> None:
    path = tmp_path / "web" / "network.json"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreError, match="not a file"):
        networks.load(str(tmp_path), "web")


def test_a_held_network_cannot_be_removed(tmp_path: pathlib.Path, made: Network) -> None:
    """Until it is let go, the removal waits; a container that comes too late finds none."""
    code = "import sys\nfrom mydocker.runtime.network import lifecycle\nlifecycle.remove(sys.argv[1], 'web')"
    with networks.HeldNetwork(str(tmp_path), "web"):
        removal = subprocess.Popen([sys.executable, "-P", "-c", code, str(tmp_path)])
        wait_for(lambda: "lock_inode_wait" in pathlib.Path(f"/proc/{removal.pid}/wchan").read_text())
        assert networks.load(str(tmp_path), "web") == made and removal.poll() is None
    assert removal.wait() == 0
    with pytest.raises(NetworkError, match="there is no network web"), networks.HeldNetwork(str(tmp_path), "web"):
        pass


def test_a_network_is_held_by_many_or_by_one(tmp_path: pathlib.Path, made: Network) -> None:
    path = str(tmp_path / "web")
    with (
        networks.HeldNetwork(str(tmp_path), "web"),
        networks.HeldNetwork(str(tmp_path), "web"),
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    with networks.HeldNetwork(str(tmp_path), "web", exclusive=True), pytest.raises(BlockingIOError):
        fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_SH | fcntl.LOCK_NB)


def _changed(directory: pathlib.Path, network: Network, **changes: Any) -> Network:
    """Another network on disk."""
    changed = network.replace(**changes)
    (directory / changed.name / "leases").mkdir(parents=True)
    lifecycle._write(str(directory / changed.name / "network.json"), changed)
    return changed
