"""`--userns auto`: ranges of ids that no two containers share, and what becomes of them."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator

import pytest
from lab.busybox import PASSWD
from lab.busybox import alpine as image
from lab.command import Command, Result
from lab.oci import layer
from lab.processes import within
from lab.registry import Registry

from .conftest import FIRST, GROUPS

pytestmark = pytest.mark.root

NONE = ("--network", "none")
READ = ("cat", "/proc/self/uid_map", "/proc/self/gid_map")


def _maps(done: Result) -> list[list[int]]:
    assert (done.stderr, done.code) == (b"", 0), done
    return [[int(word) for word in line.split()] for line in done.stdout.decode().splitlines()]


def _auto(ranged: Command, *words: str, mode: str = "auto") -> list[list[int]]:
    return _maps(ranged("run", "--rm", *NONE, "--userns", mode, *words, "owned", *READ))


@pytest.fixture
def started(ranged: Command, ended: list[str]) -> Iterator[Callable[..., Result]]:
    """A function that starts a container in the background with a range; of those, none is left."""

    def start(name: str, *words: str) -> Result:
        ended.append(name)
        return ranged("run", "-d", "--name", name, *NONE, "--userns", "auto", *words, "owned", "sleep", "600")

    yield start


def _leases(alpine: Command) -> list[str]:
    """Those whose owners are there; the others go when the next one is taken."""
    return sorted(link.name for link in (alpine.store / "ids").iterdir() if link.exists())


def test_a_range_is_of_the_ids_of_containers(ranged: Command) -> None:
    assert _auto(ranged) == [[0, FIRST, 1024], [0, GROUPS, 1024]]
    assert _auto(ranged) == [[0, FIRST, 1024], [0, GROUPS, 1024]]  # it was free again
    assert _auto(ranged, mode="auto:size=3000") == [[0, FIRST, 3000], [0, GROUPS, 3000]]
    chosen = "auto:size=2000,uidmapping=5:777:1,gidmapping=0:888:2"
    assert _auto(ranged, mode=chosen) == [
        [0, FIRST, 5], [5, 777, 1], [6, FIRST + 5, 1994], [0, 888, 2], [2, GROUPS, 1998]
    ]  # fmt: skip


def test_its_size_is_that_which_the_image_needs(ranged: Command, registry: Registry) -> None:
    for name, last in (("large", 2500), ("too-large", 65600)):
        entry = f"app:x:{last}:2:app:/:/bin/sh\n".encode()
        registry.push(image(layer({"etc/passwd": PASSWD + entry})), f"library/{name}")
    large = ranged("run", "--rm", *NONE, "--userns", "auto", "large", "sh", "-c", "cat /proc/self/uid_map; id -u app")
    assert large.stdout.split() == [b"0", str(FIRST).encode(), b"2501", b"2500"], large
    done = ranged("run", "--rm", *NONE, "--userns", "auto", "too-large", "true")
    assert done.code == 125 and b"needs 65601 ids" in done.stderr and b"auto:size=65601" in done.stderr
    assert _auto(ranged, "-u", "1999") == [[0, FIRST, 2000], [0, GROUPS, 2000]]


def test_two_that_run_have_no_id_in_common(ranged: Command, started: Callable[..., Result]) -> None:
    for name in ("r1", "r2", "r3"):
        assert started(name).code == 0
    maps = [_maps(ranged("exec", name, *READ)) for name in ("r1", "r2", "r3")]
    assert maps == [[[0, FIRST + i * 1024, 1024], [0, GROUPS + i * 1024, 1024]] for i in range(3)]
    assert _auto(ranged) == [[0, FIRST + 3072, 1024], [0, GROUPS + 3072, 1024]]
    assert ranged("rm", "-f", "r2").code == 0
    assert _auto(ranged)[0] == [0, FIRST + 1024, 1024]  # what one had that is gone


def test_many_that_start_at_once_have_no_id_in_common(ranged: Command) -> None:
    script = "cat /proc/self/uid_map; cat > /dev/null"
    words = ("run", "--rm", "-i", *NONE, "--userns", "auto:size=500", "owned", "sh", "-c", script)
    running = [ranged.start(*words) for _ in range(6)]
    try:
        firsts = [int(process.stdout.readline().split()[1]) for process in running if process.stdout]
    finally:
        for process in running:
            process.communicate(timeout=240)
    assert sorted(firsts) == [FIRST + 500 * i for i in range(6)]


def test_a_container_that_stays_keeps_its_range(ranged: Command, started: Callable[..., Result]) -> None:
    for name in ("k1", "k2"):
        assert started(name).code == 0
    assert ranged("exec", "k2", "sh", "-c", "touch /mine; chown guest /mine").code == 0
    before = _maps(ranged("exec", "k2", *READ))
    for name in ("k1", "k2"):
        assert ranged("stop", "-t", "0", name).code == 0
    assert _auto(ranged)[0][1] == FIRST + 2048  # theirs are not free
    assert ranged("diff", "k2").stdout == b"A /mine\n"
    assert ranged("start", "k2").code == 0
    assert _maps(ranged("exec", "k2", *READ)) == before
    assert ranged("exec", "k2", "stat", "-c", "%u", "/mine").stdout == b"405\n"
    assert ranged("rm", "-f", "k1", "k2").code == 0
    assert _auto(ranged)[0][1] == FIRST


def test_none_is_left_of_a_run_that_was_killed(ranged: Command) -> None:
    process = ranged.start("run", *NONE, "--userns", "auto", "owned", "sh", "-c", "echo; exec sleep 600")
    assert process.stdout and process.stdout.readline() == b"\n"
    process.kill()
    process.communicate(timeout=120)
    assert within(100, lambda: _auto(ranged)[0][1] == FIRST)  # it may take a moment until all of it has ended
    assert len(_leases(ranged)) <= 4


def test_when_all_are_taken(ranged: Command, started: Callable[..., Result]) -> None:
    assert started("e1", "--hostname", "e1").code == 0
    done = ranged("run", *NONE, "--userns", "auto:size=4500", "owned", "true")
    assert done.code == 125 and b"no 4500 ids of containers are free in /etc/subuid" in done.stderr
    done = ranged("run", *NONE, "--userns", "auto:size=6000", "owned", "true")
    assert done.code == 125 and b"no 6000 ids" in done.stderr


@pytest.mark.parametrize(
    ("users", "groups", "named"),
    [
        ("", "", b"/etc/subuid has no ids for containers"),
        ("someone:700000:5000\n", "containers:700000:5000\n", b"/etc/subuid has no ids for containers"),
        ("containers:700000:5000\n", "containers:x:5000\n", b"/etc/subgid has no ids for containers"),
    ],
)
def test_a_host_that_grants_containers_no_ids(
    with_ranges: Callable[..., Command], users: str, groups: str, named: bytes
) -> None:
    done = with_ranges(users, groups)("run", *NONE, "--userns", "auto", "owned", "true")
    assert (done.stdout, done.code) == (b"", 125) and named in done.stderr, done


def test_ranges_that_have_gaps(with_ranges: Callable[..., Command], ended: list[str]) -> None:
    small = f"containers:100:500\ncontainers:{FIRST}:1500\ncontainers:{FIRST + 9000}:1024\n"
    command = with_ranges(small, small)
    ended.append("g1")
    assert command("run", "-d", "--name", "g1", *NONE, "--userns", "auto", "owned", "sleep", "600").code == 0
    assert _maps(command("exec", "g1", *READ))[0] == [0, FIRST, 1024]
    assert _auto(command)[0] == [0, FIRST + 9000, 1024]


def test_those_of_a_name(with_ranges: Callable[..., Command]) -> None:
    command = with_ranges(f"app:{FIRST}:100\napp:{FIRST + 1000}:50\n", f"app:{GROUPS}:200\nother:5:1000\n")
    done = command("run", "--rm", *NONE, "--subuidname", "app", "owned", *READ)
    assert _maps(done) == [[0, FIRST, 100], [100, FIRST + 1000, 50], [0, GROUPS, 200]]
    done = command("run", "--rm", *NONE, "--subuidname", "app", "--subgidname", "other", "owned", *READ)
    assert _maps(done)[-1] == [0, 5, 1000]


def test_containers_that_share_a_namespace_share_their_ids(ranged: Command, started: Callable[..., Result]) -> None:
    assert started("s1").code == 0
    joined = ("--network", "container:s1", "--pid", "container:s1", "--ipc", "container:s1")
    script = "cat /proc/self/uid_map; readlink /proc/1/ns/user; readlink /proc/self/ns/user; touch /dev/shm/here"
    done = ranged("run", "--rm", *joined, "--userns", "auto", "owned", "sh", "-c", script)
    _, first, _, one, other = done.stdout.split()
    assert (int(first), one, done.stderr) == (FIRST, other, b"")
    assert ranged("exec", "s1", "stat", "-c", "%u", "/dev/shm/here").stdout == b"0\n"
    other_map = ranged("run", *joined[:2], "--uidmap", "0:5000:500", "owned", "true")
    assert other_map.code == 125 and b"other user and group IDs" in other_map.stderr
    same = ("--uidmap", f"0:{FIRST}:1024", "--gidmap", f"0:{GROUPS}:1024")
    assert ranged("run", "--rm", *joined[:2], *same, "owned", "true").code == 0


def test_none_shares_a_namespace_of_a_container_with_the_host_s_ids(ranged: Command, ended: list[str]) -> None:
    ended.append("host-ids")
    assert ranged("run", "-d", "--name", "host-ids", *NONE, "owned", "sleep", "600").code == 0
    for kind in ("network", "pid"):
        done = ranged("run", f"--{kind}", "container:host-ids", "--userns", "auto", "owned", "true")
        assert done.code == 125 and b"has the host's ids" in done.stderr


def test_a_pod(ranged: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "p.pod").write_text("[Pod]\nPodName=p\nUserNS=auto\nNetwork=none\n")
    for name in ("one", "two"):
        unit = f"[Container]\nImage=docker.io/library/owned\nPod=p.pod\nContainerName={name}\nExec=sleep 600\n"
        (tmp_path / f"{name}.container").write_text(unit)
    files = ("one.container", "two.container")
    try:
        up = ranged("up", "-d", *files, cwd=tmp_path)
        assert up.code == 0, up
        namespaces = {
            ranged("exec", name, "readlink", "/proc/self/ns/user").stdout for name in ("one", "two", "p-infra")
        }
        assert len(namespaces) == 1 and b"" not in namespaces
        assert _maps(ranged("exec", "one", *READ)) == [[0, FIRST, 1024], [0, GROUPS, 1024]]
        units = ranged("config", "--to", "quadlet", *files, cwd=tmp_path).stdout.decode()
        assert units.count("UserNS=auto") == 1 and "no such setting" not in units
    finally:
        ranged("rm", "-f", "one", "two", "p-infra")
