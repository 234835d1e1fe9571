"""Names in /etc/hosts, while containers come and go."""

from __future__ import annotations

import fcntl
import os
import pathlib
import subprocess
from contextlib import ExitStack

import pytest
from lab.networks import Container, Host
from lab.processes import wait_for

from mydocker.runtime.network import lifecycle
from mydocker.runtime.network.lifecycle import Addresses
from mydocker.runtime.network.subnets import parse_subnet

pytestmark = pytest.mark.root

LOCAL = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
LOCAL += ["fe00::0 ip6-localnet", "ff00::0 ip6-mcastprefix", "ff02::1 ip6-allnodes", "ff02::2 ip6-allrouters"]


def hosts(container: Container) -> list[str]:
    """The lines of its /etc/hosts, with one blank between words."""
    return [" ".join(line.split()) for line in container.sh("cat /etc/hosts").splitlines()]


def added(container: Container) -> list[str]:
    """Those of them that come after what every container has."""
    lines = hosts(container)
    assert lines[: len(LOCAL)] == LOCAL
    return lines[len(LOCAL) :]


def id_of(container: Container) -> str:
    return container.sh("hostname").strip()


def run_id(container: Container) -> str:
    """The beginning of its ID, whatever its host name is: that is in the path of the file's mount."""
    return container.sh("cat /proc/self/mountinfo").partition("/containers/")[2][:12]


@pytest.fixture
def networks(host: Host) -> str:
    """Where networks are on disk; `one` and `two` are there."""
    path = f"{host.command.store}/networks"
    for number, name in enumerate(("one", "two")):
        lifecycle.create(path, name, addresses=Addresses(subnet=parse_subnet(f"10.99.{number}.0/24")))
    return path


@pytest.mark.usefixtures("networks")
def test_they_come_and_go(host: Host) -> None:
    with host.container("--network", "one", "--name", "db", "--network-alias", "base") as db:
        ids = [id_of(db)]
        alone = [*LOCAL, f"10.99.0.2 {ids[0]}", f"10.99.0.2 base db {ids[0]}"]
        assert hosts(db) == alone
        with host.container("--network", "one", "--name", "web", "-h", "www") as web:
            ids.append(run_id(web))
            assert hosts(db) == [*alone, f"10.99.0.3 web www {ids[1]}"]
            own = f"10.99.0.3 web www {ids[1]}"
            assert hosts(web) == [*LOCAL, "10.99.0.3 www", own, f"10.99.0.2 base db {ids[0]}"]
            for name in ("base", "db", ids[0]):
                for container in (db, web):
                    line = container.sh(f"ping -c 1 -w 100 -W 100 {name} | head -1")
                    assert line == f"PING {name} (10.99.0.2): 56 data bytes\n"
        wait_for(lambda: hosts(db) == alone)


@pytest.mark.usefixtures("networks")
def test_each_network_has_its_own(host: Host) -> None:
    """In the files of those that share a network with it only, and by its address there."""
    with ExitStack() as stack:
        enter = stack.enter_context
        one = enter(host.container("--network", "one", "--name", "a"))
        two = enter(host.container("--network", "two", "--name", "b"))
        alone = enter(host.container("--network", "bridge", "--name", "c"))
        both = enter(host.container("--network", "one", "--network", "two", "--name", "d"))
        ids = {name: id_of(each) for name, each in (("a", one), ("b", two), ("d", both))}
        assert added(one)[1:] == [f"10.99.0.2 a {ids['a']}", f"10.99.0.3 d {ids['d']}"]
        assert added(two)[1:] == [f"10.99.1.2 b {ids['b']}", f"10.99.1.3 d {ids['d']}"]
        assert added(alone)[1:] == []
        own = [f"{address} d {ids['d']}" for address in ("10.99.0.3", "10.99.1.3")]
        assert sorted(added(both)[2:]) == sorted([*own, f"10.99.0.2 a {ids['a']}", f"10.99.1.2 b {ids['b']}"])


@pytest.mark.usefixtures("networks")
def test_what_a_container_has_written_stays(host: Host) -> None:
    """Also where it does not end its line, and where the file is changed without a new one in its place."""
    with host.container("--network", "one") as first:
        before = hosts(first)
        inode = first.sh("stat -c %i /etc/hosts")
        first.sh("printf '10.1.1.1 own\\n10.1.1.2 unended' >> /etc/hosts")
        with host.container("--network", "one", "--name", "second"):
            assert hosts(first)[:-1] == [*before, "10.1.1.1 own", "10.1.1.2 unended"]
            assert hosts(first)[-1].startswith("10.99.0.3 second ")
        wait_for(lambda: hosts(first) == [*before, "10.1.1.1 own", "10.1.1.2 unended"])
        assert first.sh("stat -c %i /etc/hosts") == inode


@pytest.mark.usefixtures("networks")
def test_a_container_that_keeps_the_lock_of_its_file(host: Host) -> None:
    """It holds up nobody who comes or goes."""
    with (
        host.container("--network", "one", "--name", "first") as first,
        open(f"/proc/{first.pid}/root/etc/hosts") as file,
    ):
        fcntl.flock(file, fcntl.LOCK_EX)
        with host.container("--network", "one", "--name", "second") as second:
            assert hosts(first)[-1].startswith("10.99.0.3 second ")
            assert second.end() == (b"", b"")
        assert len(added(first)) == 2


@pytest.mark.usefixtures("networks")
def test_a_file_that_has_grown_without_end(host: Host) -> None:
    with host.container("--network", "one") as first:
        first.sh("head -c 3000000 /dev/zero | tr '\\0' x > /etc/hosts")
        with host.container("--network", "one", "--name", "second") as second:
            assert len(added(second)) == 3
        assert first.sh("wc -c < /etc/hosts") == "3000000\n"


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--network-alias", "localhost", "--network-alias", "LocalHost"), ""),
        (("--hostname", "localhost"), ""),
        (("--network-alias", "evil.example.com"), "evil.example.com "),
    ],
    ids=["alias", "hostname", "another name"],
)
def test_names_of_the_machine_itself(host: Host, options: tuple[str, ...], expected: str) -> None:
    """What a program asks of localhost goes nowhere else, not even if nothing listens there."""
    with host.container("--network", "one") as first, host.container("--network", "one", *options) as second:
        own_id = run_id(second)
        assert added(first)[1:] == [f"10.99.0.3 {expected}{own_id}"]


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize("name", ["a\nb", "a\tb", "a b", "a#b", "a\x7fb", "a\u2028b", "", "a\x85b"])
def test_names_that_would_be_more_than_one(host: Host, name: str) -> None:
    for option in ("--network-alias", "--hostname", "--name", "--add-host"):
        value = f"{name}:10.1.1.1" if option == "--add-host" else name
        if name or option in ("--network-alias", "--add-host"):
            done = host.command("run", "--network", "one", option, value, "alpine", "true")
            assert (done.code, done.stdout) == (125, b""), done


@pytest.mark.usefixtures("networks")
def test_a_title_is_no_name(host: Host, tmp_path: pathlib.Path) -> None:
    """The name of a test case may be any text."""
    (tmp_path / "case.yaml").write_text(
        'name: "two words"\nimage: alpine\nnetwork_mode: one\ncommand: [sh, -c, "echo ready; sleep 1000"]\n'
    )
    with host.container("--network", "one") as first:
        process = host.command.start("up", str(tmp_path / "case.yaml"))
        wait_for(lambda: len(added(first)) > 1 or process.poll() is not None)
        lines = added(first)
        process.terminate()
        out = process.communicate(timeout=240)
        assert len(lines) == 2, out
        assert len(lines[1].split()) == 2, lines
        assert "words" not in lines[1]


def test_the_host_itself(host: Host) -> None:
    """`host-gateway` is the host's address in the first network, as the container reaches it."""
    with host.container("--add-host", "box:host-gateway", "--add-host", "other=10.7.7.7") as container:
        assert added(container)[:2] == ["10.88.0.1 box", "10.7.7.7 other"]
        assert container.sh("ping -c 1 -w 100 -W 100 box | grep -c '^64 bytes from 10.88.0.1'") == "1\n"


def test_a_root_that_cannot_be_written(host: Host) -> None:
    with host.container("--read-only") as container:
        assert hosts(container) == [*LOCAL, f"10.88.0.2 {id_of(container)}"]


@pytest.mark.usefixtures("networks")
def test_a_file_of_the_users(host: Host, tmp_path: pathlib.Path) -> None:
    """It is what the container sees, and nobody writes to it."""
    own = tmp_path / "own"
    own.write_bytes(b"10.9.9.9 mine\n")
    with ExitStack() as stack:
        first = stack.enter_context(host.container("--network", "one", "-v", f"{own}:/etc/hosts"))
        second = stack.enter_context(host.container("--network", "one", "--name", "second"))
        assert hosts(first) == ["10.9.9.9 mine"]
        assert added(second)[2:] == [f"10.99.0.2 {id_of(first)}"]
    assert own.read_bytes() == b"10.9.9.9 mine\n"


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize("target", ["{canary}/file", "../../../../../../..{canary}/file", "/proc/1/root{canary}/file"])
def test_an_image_with_a_link_there(host: Host, canary: pathlib.Path, tmp_path: pathlib.Path, target: str) -> None:
    """It leads to nothing of the host's."""
    rootfs = tmp_path / "rootfs"
    for name in ("bin", "etc", "proc", "dev", "sys"):
        (rootfs / name).mkdir(parents=True)
    subprocess.run(["cp", "/bin/busybox", rootfs / "bin/sh"], check=True)
    os.symlink(target.format(canary=canary), rootfs / "etc/hosts")
    script = "read line < /etc/hosts; echo $line"
    done = host.command("run", "--network", "one", "--rootfs", str(rootfs), "/bin/sh", "-c", script)
    assert (done.stdout, done.code) in ((b"127.0.0.1 localhost\n", 0), (b"", 125)), done


def test_many_at_once_know_each_other(host: Host, networks: str) -> None:
    """Whoever starts at the same time as others is in the files of all of them."""
    count = 20
    with ExitStack() as stack:
        words = ("run", "-i", "--network", "one", "alpine", "sh", "-c", "echo ready; read line")
        processes = [stack.enter_context(host.command.start(*words)) for _ in range(count)]
        for process in processes:
            assert process.stdout and process.stdout.readline() == b"ready\n"
        before = {len(path.read_text().splitlines()) for path in host.command.store.glob("containers/*/hosts")}
        assert before == {len(LOCAL) + count}
        for process in processes:
            process.communicate(b"\n", timeout=240)
    assert not list((pathlib.Path(networks) / "one" / "leases").iterdir())
