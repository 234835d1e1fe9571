"""The name server of a container of the default network that joins one with names while it runs."""

from __future__ import annotations

import os
import pathlib
import signal
import time

import pytest
from lab import dns
from lab.command import Result
from lab.networks import Container, Host
from lab.processes import wait_for

from mydocker.kernel.processes import has_ended

pytestmark = pytest.mark.root

_SERVED = ("nameserver 127.0.0.11", "options ndots:0")


@pytest.fixture
def net(host: Host) -> Host:
    """A host with networks, and with a file of its own in place of /etc/resolv.conf."""
    for words in ("web", "closed --internal"):
        assert host.command("network", "create", *words.split()).code == 0
    own = host.command.directory / "resolv.conf"
    own.write_text("search example.org\nnameserver 192.0.2.9\n")
    host.do(f"mount --bind {own} /etc/resolv.conf")
    return host


def _resolv_conf(container: Container) -> tuple[str, ...]:
    return tuple(container.sh("cat /etc/resolv.conf").splitlines())


def _connect(net: Host, network: str, container: str) -> None:
    assert net.command("network", "connect", network, container) == Result(b"", b"", 0)


def _servers(net: Host) -> list[int]:
    """The processes of name servers that containers have got since they run."""
    links = [each / "name_server" for each in (net.command.store / "containers").iterdir()]
    return [int(os.readlink(link).split()[0]) for link in links if link.is_symlink()]


def _server(net: Host) -> int:
    """The only one."""
    [process] = _servers(net)
    return process


def test_names_resolve_at_once(net: Host) -> None:
    with net.container("--network", "web", "--name", "db") as db, net.container("--name", "app") as app:
        before = _resolv_conf(app)
        assert before == ("search example.org", "nameserver 192.0.2.9")
        _connect(net, "web", "app")
        assert _resolv_conf(app) == (_SERVED[0], before[0], _SERVED[1])
        assert dns.Client(app.inside).ask("db").data == (db.address,)
        assert app.sh("ping -c 1 -w 100 -W 100 db | head -1") == f"PING db ({db.address}): 56 data bytes\n"
        [address] = app.addresses("eth1")
        assert dns.Client(db.inside).ask("app").data == (address,)
    net.wait_until_clean()
    assert net.leases() == []


def test_it_stays_when_the_network_is_left(net: Host) -> None:
    """As with Docker; and is the same one when another network is joined."""
    with net.container("--network", "web", "--name", "db") as db, net.container("--name", "app") as app:
        _connect(net, "web", "app")
        assert dns.Client(app.inside).ask("db").data == (db.address,)
        process = _server(net)
        assert net.command("network", "disconnect", "web", "app").code == 0
        assert dns.Client(app.inside).ask("db").data == ()
        assert _resolv_conf(app)[0] == _SERVED[0]
        _connect(net, "closed", "app")
        _connect(net, "web", "app")
        assert _server(net) == process
        assert dns.Client(app.inside).ask("db").data == (db.address,)


def test_what_it_may(net: Host) -> None:
    """The same as every name server: it has no privileges, and holds nothing of the one who has connected."""
    with net.container("--name", "app") as app:
        _connect(net, "web", "app")
        process = pathlib.Path(f"/proc/{_server(net)}")
        wait_for(lambda: b"mydocker-names" in (process / "cmdline").read_bytes())
        assert dns.Client(app.inside).ask("app").data
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
        assert {status["CapPrm"], status["CapEff"], status["CapAmb"]} == {"0" * 16}
        assert (status["Uid"].split(), status["NoNewPrivs"], status["PPid"]) == (["65534"] * 4, "1", "1")
        links = sorted(os.readlink(each.path) for each in os.scandir(process / "fd"))
        files = sorted(link.rpartition("/")[2] for link in links if "/containers/" in link)
        assert files == ["forwarding", "hosts"]
        rest = sorted(link.partition(":")[0] for link in links if "/containers/" not in link)
        assert rest == sorted([*["/dev/null"] * 3, "socket", "socket", "anon_inode", "anon_inode"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_the_container(net: Host, number: int) -> None:
    with net.container("--name", "app") as app:
        _connect(net, "web", "app")
        with open(os.pidfd_open(_server(net)), "rb") as pidfd:
            os.kill(app.process.pid, number)
            assert has_ended(pidfd.fileno(), 100)
    net.wait_until_clean()


def test_it_stands_still(net: Host) -> None:
    """It keeps no container's network namespace."""
    with net.container("--name", "app") as app:
        _connect(net, "web", "app")
        os.kill(process := _server(net), signal.SIGSTOP)
        with open(os.pidfd_open(process), "rb") as pidfd:
            assert app.end() == (b"", b"")
            assert has_ended(pidfd.fileno())
    net.wait_until_clean()


def test_servers_of_its_own(net: Host) -> None:
    """Those that `--dns` sets are asked from the container's network."""
    words = ("--name", "app", "--dns", "192.0.2.77", "--dns-option", "ndots:3", "--dns-search", ".")
    with net.container("--network", "web", "--name", "db") as db, net.container(*words) as app:
        _connect(net, "web", "app")
        assert _resolv_conf(app) == (_SERVED[0], "options ndots:3")
        assert dns.Client(app.inside).ask("db").data == (db.address,)
        spaces = [os.stat(f"/proc/{pid}/ns/net") for pid in (_server(net), app.pid)]
        assert os.path.samestat(*spaces)


def test_a_file_that_the_container_has_changed_stays(net: Host) -> None:
    with net.container("--name", "app") as app:
        wait_for(lambda: [*(net.command.store / "containers").glob("*/plan")])
        time.sleep(0.05)  # the clock of file systems has steps of some milliseconds
        app.sh("echo nameserver 192.0.2.44 > /etc/resolv.conf")
        _connect(net, "web", "app")
        assert _resolv_conf(app) == ("nameserver 192.0.2.44",)
        assert _servers(net) == []


def test_a_file_of_the_host_stays(net: Host) -> None:
    own = net.command.directory / "own.conf"
    own.write_text("nameserver 192.0.2.44\n")
    with net.container("--name", "app", "-v", f"{own}:/etc/resolv.conf") as app:
        _connect(net, "web", "app")
        assert _resolv_conf(app) == ("nameserver 192.0.2.44",)
    assert own.read_text() == "nameserver 192.0.2.44\n"


def test_a_container_that_has_the_port(net: Host) -> None:
    """Its names are in /etc/hosts alone then."""
    with net.container("--network", "web", "--name", "db") as db, net.container("--name", "app") as app:
        before = _resolv_conf(app)
        with app.inside():
            taken = dns.socket.socket(dns.socket.AF_INET, dns.socket.SOCK_DGRAM)
            taken.bind(("127.0.0.11", 65353))
        _connect(net, "web", "app")
        taken.close()
        assert _resolv_conf(app) == before
        assert f"{db.address}\tdb" in app.sh("cat /etc/hosts")


def test_who_shares_the_network(net: Host) -> None:
    """A container in the network of another one reads the same file."""
    with (
        net.container("--network", "web", "--name", "db") as db,
        net.container("--name", "app") as app,
        net.container("--network", "container:app", "--read-only") as guest,
    ):
        before = _resolv_conf(guest)
        assert before == _resolv_conf(app)
        _connect(net, "web", "app")
        assert _resolv_conf(guest) == _resolv_conf(app) != before
        assert dns.Client(guest.inside).ask("db").data == (db.address,)


def test_nothing_is_forwarded_from_an_internal_network(net: Host) -> None:
    with net.container("--network", "closed", "--name", "db") as db, net.container("--name", "app") as app:
        _connect(net, "closed", "app")
        [forwarding] = (net.command.store / "containers").glob(f"{app.sh('hostname').strip()}/forwarding")
        assert forwarding.read_bytes() == b"1", "by the network that it was started in"
        assert net.command("network", "disconnect", "bridge", "app").code == 0
        assert forwarding.read_bytes() == b""
        assert dns.Client(app.inside).ask("db").data == (db.address,)
        assert dns.Client(app.inside).ask("example.org").code == dns.SERVFAIL


def test_containers_in_the_background(net: Host) -> None:
    """Also when it starts again, by which it has a name server as every other one."""
    try:
        for words in (("--network", "web", "--name", "db"), ("--name", "app")):
            assert net.command("run", "-d", *words, "alpine", "sleep", "1000").code == 0
        _connect(net, "web", "app")
        for _ in range(2):
            found = net.command("exec", "app", "nslookup", "-timeout=100", "-retry=20", "-type=a", "db.")
            assert found.code == 0 and b"\nAddress: " in found.stdout, found
            assert net.command("restart", "-t", "0", "app").code == 0
    finally:
        net.command("rm", "-f", "db", "app")
    net.wait_until_clean()


def test_a_container_that_is_about_to_end_leaves_nothing(net: Host) -> None:
    """It ends while it is connected, at any moment."""
    for number in range(8):
        with net.container("--name", name := f"server{number}") as server:
            connecting = net.command.start("network", "connect", "web", name)
            while connecting.poll() is None and _clock(connecting.pid) <= number * 0.05:
                time.sleep(0.005)
            os.kill(server.process.pid, signal.SIGKILL if number % 2 else signal.SIGTERM)
            _, stderr = connecting.communicate(timeout=240)
            assert b"Traceback" not in stderr and connecting.returncode in (0, 1, 125), stderr
    net.wait_until_clean()
    assert net.leases() == []


def _clock(pid: int) -> float:
    """Seconds of processor time that process PID has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
