from __future__ import annotations

import fcntl
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from lab.processes import wait_for

from mydocker.errors import NetworkError, UsageError
from mydocker.runtime.network import Lease, Network, Subnet, leases, lifecycle
from mydocker.runtime.network.lifecycle import Addresses


class Owners:
    """Run directories with a lock, as containers have them."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.locks: dict[str, int] = {}

    def new(self, name: str) -> str:
        path = self.directory / name
        path.mkdir(parents=True)
        self.locks[str(path)] = os.open(path, os.O_RDONLY)
        fcntl.flock(self.locks[str(path)], fcntl.LOCK_SH)
        return str(path)

    def die(self, run_dir: str) -> None:
        os.close(self.locks.pop(run_dir))


@pytest.fixture
def owners(tmp_path: pathlib.Path) -> Iterator[Owners]:
    made = Owners(tmp_path / "containers")
    yield made
    for run_dir in list(made.locks):
        made.die(run_dir)


Make = Callable[..., Network]


@pytest.fixture
def make(tmp_path: pathlib.Path) -> Make:
    def make(network: str, gateway: str, *, network6: str | None = None) -> Network:
        subnet6 = Subnet(network=network6, gateway=network6.replace("/64", "1")) if network6 else None
        addresses = Addresses(subnet=Subnet(network=network, gateway=gateway), subnet6=subnet6)
        return lifecycle.create(str(tmp_path / "networks"), "web", addresses=addresses)

    return make


def _take(tmp_path: pathlib.Path, network: Network, run_dir: str, **options: str) -> Lease:
    directory = str(tmp_path / "networks" / network.name)
    return leases.take(directory, network, run_dir, container_id="0123456789abcdef" * 4, index=0, **options)  # type: ignore[arg-type]


def test_a_lease_has_all_that_follows_from_an_address(tmp_path: pathlib.Path, make: Make, owners: Owners) -> None:
    network, run_dir = make("10.90.0.0/24", "10.90.0.1", network6="fd00:1::/64"), owners.new("a")
    directory = str(tmp_path / "networks/web")
    lease = leases.take(directory, network, run_dir, container_id="0123456789abcdef" * 4, index=11, aliases=("db",))
    assert lease == Lease(
        directory=directory,
        network=network,
        address="10.90.0.2",
        address6="fd00:1::a5a:2",
        mac="02:42:0a:5a:00:02",
        aliases=("db",),
        interface="eth11",
        veth="md0123456789abb",
    )
    assert len(lease.veth) == 15  # IFNAMSIZ - 1
    assert os.readlink(f"{directory}/leases/10.90.0.2") == run_dir
    assert leases.live(directory) == [("10.90.0.2", run_dir)]
    other = _take(tmp_path, network, run_dir, address="10.90.0.77", mac="02:00:00:00:00:01")
    assert (other.address, other.mac, other.address6) == ("10.90.0.77", "02:00:00:00:00:01", "fd00:1::a5a:4d")


def test_a_container_can_be_in_so_many_networks(tmp_path: pathlib.Path, make: Make, owners: Owners) -> None:
    network, run_dir = make("10.90.0.0/24", "10.90.0.1"), owners.new("a")
    for index in (-1, 36):
        with pytest.raises(UsageError, match="36 networks at most"):
            leases.take(str(tmp_path / "networks/web"), network, run_dir, container_id="0" * 64, index=index)


def test_no_address_is_used_again_at_once(tmp_path: pathlib.Path, make: Make, owners: Owners) -> None:
    network = make("10.90.0.0/29", "10.90.0.3")
    found = []
    for number in range(12):
        run_dir = owners.new(str(number))
        lease = _take(tmp_path, network, run_dir)
        found.append(int(lease.address.rpartition(".")[2]))
        leases.release(lease, run_dir)
    assert found == [1, 2, 4, 5, 6, 1, 2, 4, 5, 6, 1, 2]
    assert os.listdir(tmp_path / "networks/web/leases") == []


@pytest.mark.parametrize(
    ("ip_range", "expected"),
    [("10.90.0.0/30", [2, 3, 2]), ("10.90.0.8/30", [8, 9, 10]), ("10.90.0.252/30", [252, 253, 254])],
)
def test_addresses_come_from_the_range_of_the_network(
    tmp_path: pathlib.Path, make: Make, owners: Owners, ip_range: str, expected: list[int]
) -> None:
    network = make("10.90.0.0/24", "10.90.0.1")
    network = network.replace(subnet=network.subnet.replace(ip_range=ip_range))
    found = []
    for name in ("a", "b", "c"):
        lease = _take(tmp_path, network, run_dir := owners.new(name))
        found.append(int(lease.address.rpartition(".")[2]))
        leases.release(lease, run_dir)
    assert found == expected
    assert _take(tmp_path, network, owners.new("d"), address="10.90.0.77").address == "10.90.0.77"


@pytest.mark.parametrize("last", ["", "x", "\xff", "10.91.0.7\n", "10.90.0.255\n", "10.90.0.0\n", "1" * 100])
def test_damage_of_the_last_address_is_no_error(tmp_path: pathlib.Path, make: Make, owners: Owners, last: str) -> None:
    network = make("10.90.0.0/24", "10.90.0.1")
    (tmp_path / "networks/web/last").write_text(last, encoding="latin-1")
    assert _take(tmp_path, network, owners.new("a")).address == "10.90.0.2"
    assert _take(tmp_path, network, owners.new("b")).address == "10.90.0.3"


def test_a_network_without_a_free_address_is_an_error(tmp_path: pathlib.Path, make: Make, owners: Owners) -> None:
    network = make("10.90.0.0/30", "10.90.0.1")
    lease = _take(tmp_path, network, first := owners.new("a"))
    for _ in range(2):
        with pytest.raises(NetworkError, match=r"no address is left in network web \(subnet 10.90.0.0/30\)"):
            _take(tmp_path, network, owners.new(os.urandom(4).hex()))
    owners.die(first)  # without giving it back
    assert _take(tmp_path, network, second := owners.new("b")).address == lease.address == "10.90.0.2"
    assert leases.live(lease.directory) == [("10.90.0.2", second)]


def test_who_lost_its_address_cannot_give_it_back(tmp_path: pathlib.Path, make: Make, owners: Owners) -> None:
    network = make("10.90.0.0/30", "10.90.0.1")
    lease = _take(tmp_path, network, first := owners.new("a"))
    owners.die(first)
    _take(tmp_path, network, second := owners.new("b"))
    leases.release(lease, first)
    assert leases.release_all(lease.directory, first) == []
    assert leases.live(lease.directory) == [("10.90.0.2", second)]
    assert leases.release_all(lease.directory, second) == ["10.90.0.2"]
    leases.release(lease, second)
    assert leases.live(lease.directory) == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("10.90.0.1", "10.90.0.1 is the gateway's in the subnet of network web, 10.90.0.0/24"),
        ("10.90.0.0", "10.90.0.0 is the network address of"),
        ("10.90.0.255", "10.90.0.255 is the broadcast address of"),
        ("10.90.1.1", "10.90.1.1 is outside of"),
        ("10.89.255.255", "10.89.255.255 is outside of"),
        ("10.90.0.02", "'10.90.0.02' is not an IPv4 address"),
        ("fd00::1", "'fd00::1' is not an IPv4 address"),
        ("../x", "'../x' is not an IPv4 address"),
        ("", "'' is not an IPv4 address"),
    ],
)
def test_addresses_that_no_container_can_have(
    tmp_path: pathlib.Path, make: Make, owners: Owners, address: str, message: str
) -> None:
    network = make("10.90.0.0/24", "10.90.0.1")
    with pytest.raises(UsageError, match=re.escape(message)):
        _take(tmp_path, network, owners.new("a"), address=address)
    assert os.listdir(tmp_path / "networks/web/leases") == []


def test_a_chosen_address_is_its_owner_s_until_that_dies(tmp_path: pathlib.Path, make: Make, owners: Owners) -> None:
    network = make("10.90.0.0/24", "10.90.0.1")
    _take(tmp_path, network, first := owners.new("a"), address="10.90.0.9")
    second = owners.new("b")
    with pytest.raises(NetworkError, match=r"address 10.90.0.9 is in use in network web") as caught:
        _take(tmp_path, network, second, address="10.90.0.9")
    assert caught.value.hint == "container a has it"
    owners.die(first)
    assert _take(tmp_path, network, second, address="10.90.0.9").address == "10.90.0.9"
    assert leases.live(str(tmp_path / "networks/web")) == [("10.90.0.9", second)]


def test_a_chosen_ipv6_address_is_its_owner_s_until_that_dies(
    tmp_path: pathlib.Path, make: Make, owners: Owners
) -> None:
    network = make("10.90.0.0/24", "10.90.0.1", network6="fd00:1::/64")
    lease = _take(tmp_path, network, first := owners.new("a"), address6="fd00:1:0::0009")
    assert (lease.address, lease.address6) == ("10.90.0.2", "fd00:1::9")
    assert leases.live(lease.directory) == [("10.90.0.2", first)]
    second = owners.new("b")
    with pytest.raises(NetworkError, match="address fd00:1::9 is in use in network web"):
        _take(tmp_path, network, second, address6="fd00:1::9")
    with pytest.raises(NetworkError, match="address 10.90.0.2 is in use"):
        _take(tmp_path, network, second, address="10.90.0.2", address6="fd00:1::a")
    assert sorted(os.listdir(f"{lease.directory}/leases")) == ["10.90.0.2", "fd00:1::9"]
    owners.die(first)
    lease = _take(tmp_path, network, second, address6="fd00:1::9")
    leases.release(lease, second)
    assert os.listdir(f"{lease.directory}/leases") == ["10.90.0.2"]  # that of the dead
    assert leases.remove_stale(lease.directory) == ["10.90.0.2"]


@pytest.mark.parametrize(
    ("address6", "message"),
    [
        ("fd00:2::1", "fd00:2::1 is outside of the subnet of network web, fd00:1::/64"),
        ("fd00:1::1", "fd00:1::1 is the router's in"),
        ("fd00:1::", "fd00:1:: is the router's in"),
        ("fd00:1::a5a:7", "is reserved for a container by its IPv4 address in"),
        ("10.90.0.7", "'10.90.0.7' is not an IPv6 address"),
        ("../x", "'../x' is not an IPv6 address"),
    ],
)
def test_ipv6_addresses_that_no_container_can_have(
    tmp_path: pathlib.Path, make: Make, owners: Owners, address6: str, message: str
) -> None:
    network = make("10.90.0.0/24", "10.90.0.1", network6="fd00:1::/64")
    with pytest.raises(UsageError, match=re.escape(message)):
        _take(tmp_path, network, owners.new("a"), address6=address6)
    with pytest.raises(UsageError, match="network web has no IPv6"):
        _take(tmp_path, network.replace(subnet6=None), owners.new("b"), address6="fd00:1::9")
    assert os.listdir(tmp_path / "networks/web/leases") == []


def test_stale_leases_are_removed_and_no_others(tmp_path: pathlib.Path, make: Make, owners: Owners) -> None:
    network, directory = make("10.90.0.0/24", "10.90.0.1"), tmp_path / "networks/web"
    runs = [owners.new(str(number)) for number in range(4)]
    for run_dir in runs:
        _take(tmp_path, network, run_dir)
    owners.die(runs[1])
    owners.die(runs[2])
    os.rmdir(runs[2])
    (directory / "leases" / "damage").write_text("")
    assert leases.live(str(directory)) == [("10.90.0.2", runs[0]), ("10.90.0.5", runs[3])]
    assert leases.remove_stale(str(directory)) == ["10.90.0.3", "10.90.0.4", "damage"]
    assert sorted(os.listdir(directory / "leases")) == ["10.90.0.2", "10.90.0.5"]
    assert leases.remove_stale(str(directory)) == leases.remove_stale(str(tmp_path / "nonesuch")) == []
    assert leases.live(str(tmp_path / "nonesuch")) == []


def test_addresses_are_listed_by_their_numbers(tmp_path: pathlib.Path, make: Make, owners: Owners) -> None:
    network, run_dir = make("10.90.0.0/16", "10.90.0.1"), owners.new("a")
    for address in ("10.90.0.100", "10.90.10.2", "10.90.0.9", "10.90.2.1"):
        _take(tmp_path, network, run_dir, address=address)
    found = [address for address, _ in leases.live(str(tmp_path / "networks/web"))]
    assert found == ["10.90.0.9", "10.90.0.100", "10.90.2.1", "10.90.10.2"]


def test_a_network_that_is_gone_is_named(tmp_path: pathlib.Path, make: Make, owners: Owners) -> None:
    network = make("10.90.0.0/16", "10.90.0.1")
    lifecycle.remove(str(tmp_path / "networks"), "web")
    for address in (None, "10.90.0.2"):
        with pytest.raises(NetworkError, match="network web has been removed"):
            _take(tmp_path, network, owners.new(str(address)), **({"address": address} if address else {}))


PRELUDE = """
import fcntl, os, random, signal, sys, time
from mydocker.errors import NetworkError
from mydocker.runtime.network import leases, networks

where, containers = sys.argv[1:3]
network = networks.load(os.path.dirname(where), os.path.basename(where))

def begin():
    'A run directory with its lock, at a number that the kernel closes after those of the oracle.'
    run_dir = f'{containers}/{os.urandom(6).hex()}'
    os.mkdir(run_dir)
    low = os.open(run_dir, os.O_RDONLY)
    lock = fcntl.fcntl(low, fcntl.F_DUPFD, 100)
    os.close(low)
    fcntl.flock(lock, fcntl.LOCK_SH)
    return run_dir, lock

def take(run_dir, **options):
    name = os.path.basename(run_dir)
    return leases.take(where, network, run_dir, container_id=name * 6, index=0, **options)
"""

STORM = """
ready, go = os.pipe(), os.pipe()
for _ in range(200):
    if os.fork() == 0:
        os.close(go[1])
        run_dir, lock = begin()
        os.write(ready[1], b'.')
        os.read(go[0], 1)
        os.write(1, f'{take(run_dir).address}\\n'.encode())
        signal.pause()
waiting = 200
while waiting:
    waiting -= len(os.read(ready[0], 200))
os.close(go[1])  # all at once
signal.pause()
"""


def test_200_containers_at_once_get_200_addresses(tmp_path: pathlib.Path, make: Make) -> None:
    make("10.90.0.0/16", "10.90.0.1")
    with _script(tmp_path, STORM) as storm:
        assert storm.stdout
        found = {storm.stdout.readline().strip() for _ in range(200)}
        held = leases.live(str(tmp_path / "networks/web"))
        os.killpg(storm.pid, 9)
    assert len(found) == 200 and "" not in found
    assert {address for address, _ in held} == found and len({owner for _, owner in held}) == 200
    last = (tmp_path / "networks/web/last").read_text()
    assert len(last) == 16 and last.strip() in found


# Who has an address also locks oracle/<address>, with a lock of another kind (fcntl(2)), which the kernel ends before
# that of the run directory. If it is locked already, two have the address at once.
CHURN = """
def work():
    random.seed(os.getpid())
    while True:
        run_dir, lock = begin()
        try:
            lease = take(run_dir, **({'address': '10.90.0.3'} if random.random() < 0.3 else {}))
        except NetworkError:
            os.close(lock)
            os.rmdir(run_dir)
            time.sleep(random.random() * 0.002)
            continue
        oracle = os.open(f'{containers}/../oracle/{lease.address}', os.O_RDWR | os.O_CREAT)
        try:
            fcntl.lockf(oracle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.write(1, f'twice {lease.address}\\n'.encode())
        os.write(1, b'taken\\n')
        time.sleep(random.random() * 0.004)
        end = random.random()
        if end < 0.3:
            os.kill(os.getpid(), signal.SIGKILL)
        os.close(oracle)
        if end < 0.6:
            os.close(lock)  # it dies, and what it had is given back late, perhaps twice
            if end < 0.45:
                leases.release(lease, run_dir)
                leases.release_all(where, run_dir)
        else:
            leases.release(lease, run_dir)
            os.close(lock)
        if end > 0.8:
            os.rmdir(run_dir)

def tidy():
    while True:
        leases.remove_stale(where)
        leases.live(where)

def start(what):
    pid = os.fork()
    if pid == 0:
        what()
    return pid

workers = {start(work) for _ in range(12)}
tidiers = [start(tidy) for _ in range(2)]
killed = 0
until = time.monotonic() + 200
while killed < 400 and time.monotonic() < until:
    pid, _ = os.waitpid(-1, 0)
    workers.discard(pid)
    killed += 1
    workers.add(start(work))
    if random.random() < 0.3:
        os.kill(random.choice(sorted(workers)), signal.SIGKILL)
os.write(1, f'killed {killed}\\n'.encode())
os.killpg(0, signal.SIGKILL)
"""


def test_no_two_that_live_ever_have_one_address(tmp_path: pathlib.Path, make: Make, owners: Owners) -> None:
    """5 addresses, 12 that want one, many of which die at any moment, and others who tidy up after them."""
    network = make("10.90.0.0/29", "10.90.0.1")
    (tmp_path / "oracle").mkdir()
    with _script(tmp_path, CHURN) as churn:
        lines = churn.communicate()[0].splitlines()
    assert [line for line in lines if line.startswith("twice")] == []
    assert "killed 400" in lines and lines.count("taken") >= 300
    directory = str(tmp_path / "networks/web")
    wait_for(lambda: leases.live(directory) == [])  # they end on their own time
    taken = {_take(tmp_path, network, owners.new(f"last{number}")).address for number in range(5)}
    assert len(taken) == 5  # none was lost


@pytest.mark.root
def test_a_lease_takes_few_system_calls(tmp_path: pathlib.Path, make: Make, owners: Owners) -> None:
    make("10.90.0.0/16", "10.90.0.1")
    code = (
        "os.getppid()\n"
        "with networks.HeldNetwork(os.path.dirname(where), 'web') as held:\n"
        "    lease = take('/nonesuch')\n"
        "os.getppid()\n"
        "leases.release(lease, '/nonesuch')\n"
        "os.getppid()\n"
    )
    trace = tmp_path / "trace"
    with _script(tmp_path, code, prefix=["strace", "-qq", "-o", str(trace)]) as script:
        assert script.wait() == 0
    calls = [line.partition("(")[0] for line in trace.read_text().splitlines() if not line.startswith(("mmap", "brk"))]
    marks = [number for number, call in enumerate(calls) if call == "getppid"]
    joining, leaving = calls[marks[0] + 1 : marks[1]], calls[marks[1] + 1 : marks[2]]
    assert len(joining) <= 22, joining
    assert len(leaving) <= 6, leaving


def _script(tmp_path: pathlib.Path, code: str, *, prefix: list[str] | None = None) -> subprocess.Popen[str]:
    """CODE after PRELUDE, in a process group of its own."""
    (tmp_path / "containers").mkdir(exist_ok=True)
    words = [sys.executable, "-P", "-c", PRELUDE + code, str(tmp_path / "networks/web"), str(tmp_path / "containers")]
    return subprocess.Popen([*(prefix or []), *words], stdout=subprocess.PIPE, text=True, start_new_session=True)


def test_an_earlier_address_is_taken_if_it_is_free(tmp_path: pathlib.Path, make: Make, owners: Owners) -> None:
    network = make("10.90.0.0/24", "10.90.0.1")
    assert _take(tmp_path, network, owners.new("a")).address == "10.90.0.2"
    assert _take(tmp_path, network, owners.new("b"), earlier="10.90.0.77").address == "10.90.0.77"
    taken, gateway, outside, malformed = "10.90.0.77", "10.90.0.1", "10.91.0.5", "x"
    for number, earlier in enumerate((taken, gateway, outside, malformed)):
        assert _take(tmp_path, network, owners.new(f"c{number}"), earlier=earlier).address == f"10.90.0.{3 + number}"
    chosen = _take(tmp_path, network, owners.new("d"), earlier="10.90.0.99", address="10.90.0.100")
    assert chosen.address == "10.90.0.100"
