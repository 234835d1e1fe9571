"""Faults: processes that are killed, firewalls that are emptied, stores that go or fill up. Nothing is left behind."""

from __future__ import annotations

import fcntl
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest
from lab.command import Command
from lab.machines import ask, listen
from lab.networks import ADDRESS, OUTSIDE, READY, Container, Host, Site, children
from lab.processes import mentioning, within

from mydocker.runtime.network import lifecycle
from mydocker.runtime.network.lifecycle import Addresses
from mydocker.runtime.network.subnets import parse_subnet

pytestmark = pytest.mark.root

SOON = 200  # seconds; it takes one, on a machine with nothing else to do


def reaches_outside(container: Container) -> bool:
    return container.succeeds("busybox", "ping", "-c", "1", "-w", "100", "-W", "100", OUTSIDE)


def listening(host: Host) -> list[str]:
    return re.findall(r"(?:LISTEN|UNCONN).*?[\]0-9*]:(\d+) ", host.run("ss", "-Hlntu"))


def kill(*pids: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def assert_nothing_left(host: Host, mark: str) -> None:
    """No process, interface, table, socket, address or directory, after a moment."""
    checks = {
        "kernel": lambda: not any(host.traces().values()),
        "sockets": lambda: listening(host) == [],
        "leases": lambda: host.leases() == [],
        "directories": lambda: os.listdir(host.command.store / "containers") == [],
        "processes": lambda: mentioning(mark) == [],  # last: one that begins another is not seen in between
    }
    for name, check in checks.items():
        assert within(SOON, check), (name, mentioning(mark), host.traces(), listening(host), host.leases())


@pytest.fixture
def mark() -> str:
    return f"{time.monotonic_ns() % 10**8:08}"


@pytest.mark.parametrize("victims", ["mydocker", "relay", "cleanup process", "mydocker, relay", "container"])
def test_a_killed_process(site: Site, mark: str, victims: str) -> None:
    """Whoever it is, what is left goes by itself once the container has ended."""
    host = site.host
    container = host.container("-p", "8080:80", "-p", "8081:81/udp", script=f"echo ready; exec sleep {mark}")
    relay, helpers = container.helper("mydocker-ports"), container.helpers
    [cleanup] = [pid for title, pid in helpers.items() if title != "mydocker-ports"]
    known = {"mydocker": container.process.pid, "relay": relay, "cleanup process": cleanup}
    known["container"] = container.pid
    kill(*(known[name] for name in victims.split(", ")))
    if "mydocker" not in victims and victims != "container":
        assert reaches_outside(container)
        container.end()
    else:
        container.process.communicate(timeout=240)
    if victims == "cleanup process":
        assert within(SOON, lambda: mentioning(mark) == [])
        assert host.command("run", "alpine", "true").code == 0
    assert_nothing_left(host, mark)


def test_all_killed_at_once(site: Site, mark: str) -> None:
    """Then it is the next command that finds what is left."""
    host = site.host
    container = host.container("-p", "8080:80", script=f"echo ready; exec sleep {mark}")
    everybody = [container.process.pid, *children(container.process.pid)]
    kill(*everybody)
    container.process.communicate(timeout=240)
    assert within(SOON, lambda: mentioning(mark) == [] and listening(host) == [])
    assert host.command("run", "-p", "8080:80", "alpine", "true").code == 0
    assert_nothing_left(host, mark)


def test_a_port_that_another_container_has_by_now(site: Site, mark: str) -> None:
    """Of a container that was killed with all its helpers, only what is its own is removed, however late."""
    host = site.host
    first = host.container("-p", "8080:80", "-p", f"{ADDRESS}:8081:81", script=f"echo ready; exec sleep {mark}")
    [run_dir] = (host.command.store / "containers").iterdir()
    lock = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_SH)  # so nobody takes it for dead
    kill(first.process.pid, *children(first.process.pid))
    first.process.communicate(timeout=240)
    assert within(SOON, lambda: mentioning(mark) == [] and listening(host) == [])
    with host.container("-p", "8080:80", "-p", f"{ADDRESS}:8081:81") as second:
        os.close(lock)
        assert host.command("run", "alpine", "true").code == 0
        assert not run_dir.exists() and host.leases() == [second.address]
        for port in (80, 81):
            with listen(second, port) as server:
                assert ask(site.outside, ADDRESS, 8000 + port, server) == OUTSIDE
    assert_nothing_left(host, mark)


@pytest.mark.parametrize("seed", range(8))
def test_killed_at_any_moment(site: Site, mark: str, seed: int) -> None:
    """Several that start, and are killed within the time that a start takes; sometimes with their cleanup processes."""
    host, chance = site.host, random.Random(seed)
    words = ("run", "--network", "many", "-p", "80", "alpine", "sleep", mark)
    host.command("network", "create", "many")
    with ExitStack() as stack:
        started = []
        for _ in range(6):
            process = stack.enter_context(
                host.command.start(
                    *words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
            time.sleep(chance.random() * 0.3)
            started.append(process)
        for process in started:
            time.sleep(chance.random() * 0.1)
            helpers = children(process.pid) if process.poll() is None and chance.random() < 0.5 else []
            kill(process.pid, *helpers)
    assert within(SOON, lambda: mentioning(mark) == [])
    done = host.command("run", "--network", "many", "alpine", "true")
    assert (done.code, done.stderr) == (0, b"")
    assert_nothing_left(host, mark)
    assert host.command("network", "rm", "many").code == 0


def test_a_network_that_is_removed_while_it_is_used(host: Host) -> None:
    """It is refused, and the network stays; afterwards nothing is in the way."""
    host.command("network", "create", "used")
    with host.container("--network", "used") as container:
        done = host.command("network", "rm", "used")
        assert (done.code, done.stdout) == (1, b"")
        assert b"in use" in done.stderr
        with host.container("--network", "used") as other:
            assert other.succeeds("busybox", "ping", "-c", "1", "-w", "100", "-W", "100", container.address)
    assert host.command("network", "rm", "used").code == 0
    assert not any(host.traces().values())
    assert host.command("run", "--network", "used", "alpine", "true").code == 125


def test_a_store_that_goes_while_it_is_used(host: Host) -> None:
    """What the kernel has of the network goes with the last container all the same."""
    with host.container("--network", "bridge"):
        shutil.rmtree(host.command.store / "networks")
    host.wait_until_clean()


def test_a_firewall_that_is_emptied(site: Site) -> None:
    """As restarting nftables does: the next container has all of it again, and so have those that run."""
    host = site.host
    with host.container("-p", "8081:81") as first:
        host.run("nft", "flush", "ruleset")
        with host.container("-p", "8080:80") as second:
            rules = host.run("nft", "list", "ruleset")
            for container, ports in ((first, "8081 : {} . 81"), (second, "8080 : {} . 80")):
                assert f"tcp . {ports.format(container.address)}" in rules
            assert reaches_outside(second)
            assert reaches_outside(first)
            third = host.container()
            third.end()
    host.wait_until_clean()
    assert host.leases() == []


@pytest.mark.parametrize("options", [(), ("-p", "80")])
def test_who_has_left_is_forgotten_while_others_are_there(site: Site, options: tuple[str, ...]) -> None:
    """Also in a batch, whose cleanup process goes on."""
    host = site.host
    (host.command.directory / "x.smoke.yaml").write_text("image: alpine\ncommand: [cat]\nmatrix: {N: [1, 2, 3]}\n")
    with host.container() as there:
        for _ in range(3):
            assert host.command("run", *options, "alpine", "true").code == 0
        assert host.command("test", "-j", "1", "x.smoke.yaml", cwd=host.command.directory).code == 0

        def veths() -> set[str]:
            rules = host.run("nft", "list", "ruleset")
            return set(re.findall(r'"(md[0-9a-f]{12}0)"', rules))

        assert within(SOON, lambda: len(veths()) == 1), veths()
        assert reaches_outside(there)
        assert len(host.leases()) == 1
    host.wait_until_clean()


def test_a_bridge_that_is_deleted(site: Site) -> None:
    """The next container has one again."""
    host = site.host
    with host.container():
        [bridge, _] = host.traces()["links"]
        host.run("ip", "link", "del", bridge)
        with host.container() as second:
            assert reaches_outside(second)
    host.wait_until_clean()


def test_no_address_is_left(host: Host) -> None:
    lifecycle.create(
        f"{host.command.store}/networks", "small", addresses=Addresses(subnet=parse_subnet("10.99.0.0/30"))
    )
    with host.container("--network", "small") as only:
        assert only.address == "10.99.0.2"
        done = host.command("run", "--network", "small", "alpine", "true")
        assert (done.code, done.stdout) == (125, b"")
        assert b"no address is left in network small (subnet 10.99.0.0/30)" in done.stderr
    with host.container("--network", "small") as another:
        assert another.address == "10.99.0.2"


def test_two_stores_that_were_made_apart(host: Host, tmp_path: pathlib.Path) -> None:
    """Both have chosen the same subnet while neither was up; at the same time they have different ones."""
    other = Other(host, tmp_path / "other")
    first = host.command("run", "alpine", "hostname", "-i")
    host.wait_until_clean()
    second = other.command("run", "alpine", "hostname", "-i")
    assert (first.stdout.split(b".")[:2], second.stdout.split(b".")[:2]) == ([b"10", b"88"], [b"10", b"88"])
    host.wait_until_clean()
    with host.container() as one, Container(other.command, "alpine", "sh", "-c", "echo ready; sleep 1000") as two:
        assert one.address.split(".")[1] != two.address.split(".")[1]
        assert reaches_outside(one) and reaches_outside(two)
    host.wait_until_clean()


@pytest.mark.parametrize("is_copy", [False, True])
def test_two_stores_with_one_path(site: Site, tmp_path: pathlib.Path, is_copy: bool) -> None:
    """Of two mount namespaces, so that their default networks have one bridge, or of a store and its copy. Each has a
    bridge of its own in the end, and leaves that of the other alone."""
    host, path = site.host, "/var/lib/mydocker"
    subprocess.run(["cp", "-a", host.command.store, tmp_path / "other"], check=True)
    host.do(f"mkdir -p {path}; mount --bind {host.command.store} {path}")
    command = replace(host.command, environment={**host.command.environment, "MYDOCKER_ROOT": path})
    if is_copy:
        assert command("run", "alpine", "true").code == 0
        host.wait_until_clean()
        subprocess.run(["cp", "-a", host.command.store / "networks", tmp_path / "other"], check=True)
    enter = ["unshare", "--mount", "sh", "-euc", f'mount --bind {tmp_path}/other {path}; exec "$@"', "sh"]
    other = replace(command, prefix=[*command.prefix, *enter])
    script = ("alpine", "sh", "-c", READY)
    with Container(command, *script) as first:
        with Container(other, *script) as second:
            bridges = [name for name in host.traces()["links"] if name == "mydocker0" or name.startswith("md-")]
            assert len(bridges) == 2 and first.address.split(".")[1] != second.address.split(".")[1]
            for each in (first, second):
                assert reaches_outside(each)
            with Container(other, *script) as third:
                assert third.address.split(".")[1] == second.address.split(".")[1]
                assert reaches_outside(third)
            assert command("run", "alpine", "true").code == 0
            assert b"ok       strays" in other("doctor").stdout
        assert within(SOON, lambda: len(host.traces()["links"]) == 2)
        assert reaches_outside(first)
        assert other("run", "alpine", "ping", "-c", "1", "-w", "100", "-W", "100", OUTSIDE).code == 0
    host.wait_until_clean()


def test_a_bridge_of_another_store_in_the_way(site: Site, tmp_path: pathlib.Path) -> None:
    """While containers are in the network, its bridge cannot have another name."""
    host = site.host
    with host.container() as first:
        [bridge, _] = sorted(host.traces()["links"], key=len)
        host.run("ip", "link", "set", bridge, "alias", f"1:1 {tmp_path}/networks/bridge")
        done = host.command("run", "alpine", "true")
        assert done.code == 125 and b"is that of another store\nhint: " in done.stderr
        assert reaches_outside(first)
    host.wait_until_clean()  # nobody uses it any more, whosever it is


class Other:
    """The same host with another store."""

    def __init__(self, host: Host, store: pathlib.Path) -> None:
        subprocess.run(["cp", "-a", host.command.store, store], check=True)
        shutil.rmtree(store / "networks", ignore_errors=True)
        words = {**host.command.environment, "MYDOCKER_ROOT": str(store)}
        self.command = Command(host.command.program, words, host.command.directory, host.command.prefix, store)


def test_a_full_disk(site: Site, tmp_path: pathlib.Path) -> None:
    """A start is refused with its reason, and what was there before it goes at its end, without room to write."""
    host, place = site.host, tmp_path / "small"
    place.mkdir()
    host.do(f"mount -t tmpfs -o size=24m tmpfs {place}; cp -a {host.command.store} {place}/store")
    store = place / "store"
    words = {**host.command.environment, "MYDOCKER_ROOT": str(store)}
    full = Command(host.command.program, words, host.command.directory, host.command.prefix, store)
    with Container(full, "-p", "8080:80", "alpine", "sh", "-c", "echo ready; exec sleep 1000"):
        host.do(f"dd if=/dev/zero of={place}/filler bs=64k 2>/dev/null || true")
        done = full("run", "alpine", "echo", "started")
        assert (done.code, done.stdout) in ((125, b""), (0, b"started\n"))
        assert b"Traceback" not in done.stderr
        assert done.code == 0 or b"o space left on device" in done.stderr
    host.wait_until_clean()
    assert listening(host) == []


def test_two_hundred_at_once(host: Host) -> None:
    """Each has an address of its own, and all of them are given back."""
    script = "hostname -i; cat"
    started = [host.command.start("run", "-i", "alpine", "sh", "-c", script) for _ in range(200)]
    found = set()
    for process in started:
        assert process.stdout
        found.add(process.stdout.readline())
    for process in started:
        out, errors = process.communicate(timeout=240)
        assert (out, errors, process.returncode) == (b"", b"", 0)
    assert len(found) == 200
    host.wait_until_clean()
    assert host.leases() == []
