"""Published ports: who reaches them, under which addresses, what the container sees, and ports that are taken."""

from __future__ import annotations

import pathlib
import re
import socket
import threading
from contextlib import ExitStack, closing

import pytest
from lab.machines import TCP, UDP, ask, listen, refused
from lab.networks import ADDRESS, ADDRESS6, OUTSIDE, Host, Site
from lab.processes import wait_for

pytestmark = pytest.mark.root

GATEWAY = "10.88.0.1"


@pytest.mark.parametrize("kind", [TCP, UDP], ids=["TCP", "UDP"])
@pytest.mark.parametrize("bridge_filter", ["0", "1"])
def test_who_asks(site: Site, kind: socket.SocketKind, bridge_filter: str) -> None:
    """The outside is seen as itself over IPv4, everybody else as the host's address in the network. It is the same
    where a bridge goes through the firewall (br_netfilter), as with Docker on the host."""
    word = "8080:80" + ("/udp" if kind == UDP else "")
    host = site.host
    host.do(f"echo {bridge_filter} > /proc/sys/net/bridge/bridge-nf-call-iptables")
    with host.container("-p", word) as one, host.container() as other, listen(one, 80, kind) as server:
        assert ask(site.outside, ADDRESS, 8080, server) == OUTSIDE
        assert ask(site.outside, ADDRESS6, 8080, server) == GATEWAY
        assert ask(host, ADDRESS, 8080, server) in (GATEWAY, ADDRESS)
        for address in ("127.0.0.1", "::1", ADDRESS6, GATEWAY):
            assert ask(host, address, 8080, server) == GATEWAY, address
        for address in (ADDRESS, GATEWAY):
            assert ask(other, address, 8080, server) == GATEWAY, address
            assert ask(one, address, 8080, server) == GATEWAY, address
    host.wait_until_clean()


def test_a_container_of_another_network(site: Site) -> None:
    site.host.command("network", "create", "--ipv6", "other")
    with ExitStack() as stack:
        one = stack.enter_context(site.host.container("-p", "8080:80"))
        two = stack.enter_context(site.host.container("--network", "other"))
        server = stack.enter_context(listen(one, 80))
        assert ask(two, ADDRESS, 8080, server) == GATEWAY
        assert ask(two, ADDRESS6, 8080, server) == GATEWAY


@pytest.mark.parametrize("kind", [TCP, UDP], ids=["TCP", "UDP"])
def test_one_address(site: Site, kind: socket.SocketKind) -> None:
    """It answers there, and nowhere else."""
    end = "/udp" if kind == UDP else ""
    site.host.run("ip", "address", "add", "192.0.2.2/24", "dev", "uplink")
    words = ("-p", f"127.0.0.1:7001:1{end}", "-p", f"192.0.2.2:7002:2{end}", "-p", f"[::1]:7003:3{end}")
    words += ("-p", f"[{ADDRESS6}]:7004:4{end}")
    expected = {7001: ["127.0.0.1"], 7002: ["192.0.2.2"], 7003: ["::1"], 7004: [ADDRESS6]}
    with site.host.container(*words) as container:
        for port, addresses in expected.items():
            with listen(container, port - 7000, kind) as server:
                for address in addresses:
                    ask(site.host, address, port, server)
                    if address in ("192.0.2.2", ADDRESS6):
                        ask(site.outside, address, port, server)
                if kind == TCP:
                    for address in {"127.0.0.1", "192.0.2.2", "::1", ADDRESS, ADDRESS6} - {*addresses}:
                        assert refused(site.host, address, port), (address, port)
                        if address not in ("127.0.0.1", "::1"):
                            assert refused(site.outside, address, port), (address, port)


def ports_of(host: Host) -> list[int]:
    """The ports that are listened to on HOST."""
    return sorted({int(port) for port in re.findall(r"LISTEN.*?[\]0-9*]:(\d+)", host.run("ss", "-Hlnt"))})


def test_a_range_and_ports_that_are_chosen(site: Site) -> None:
    """A range is one port for each of the container's, or the first that is free for one; 0, and a port of the
    container alone, are chosen."""
    host = site.host
    with ExitStack() as stack:
        enter = stack.enter_context
        one = enter(host.container("-p", "7100-7102:80-82"))
        assert ports_of(host) == [7100, 7101, 7102]
        for number in range(3):
            with listen(one, 80 + number) as server:
                ask(site.outside, ADDRESS, 7100 + number, server)
        two = enter(host.container("-p", "7101-7110:80"))
        assert ports_of(host) == [7100, 7101, 7102, 7103]
        with listen(two, 80) as server:
            ask(site.outside, ADDRESS, 7103, server)
        three = enter(host.container("-p", "80", "-p", "0:81"))
        chosen = [port for port in ports_of(host) if port > 7103]
        assert len(chosen) == 2
        with listen(three, 80) as first, listen(three, 81) as second:
            peers = []
            for port in chosen:
                with site.outside.inside():
                    client = enter(socket.create_connection((ADDRESS, port), timeout=100))
                peers.append(client.getsockname()[1])
            accepted = [enter(closing(server.accept()[0])) for server in (first, second)]
            assert sorted(each.getpeername()[1] for each in accepted) == sorted(peers)
    assert ports_of(host) == []


def test_all_that_is_exposed(site: Site) -> None:
    with site.host.container("-P", "--expose", "80", "--expose", "81/tcp", "-p", "7200:82") as container:
        ports = ports_of(site.host)
        assert len(ports) == 3 and 7200 in ports
        with listen(container, 82) as server:
            ask(site.outside, ADDRESS, 7200, server)


@pytest.mark.parametrize(
    ("taken", "word"),
    [
        (("0.0.0.0", TCP), "7300:80"),
        (("127.0.0.1", TCP), "7300:80"),
        ((ADDRESS, TCP), "7300:80"),
        (("::1", TCP), "7300:80"),
        ((ADDRESS6, TCP), f"[{ADDRESS6}]:7300:80"),
        (("0.0.0.0", UDP), "7300:80/udp"),
        (("127.0.0.1", TCP), "127.0.0.1:7300:80"),
    ],
)
def test_a_port_in_use(host: Host, taken: tuple[str, socket.SocketKind], word: str) -> None:
    """An error before the container starts, whatever else is published; nothing is left of it."""
    address, kind = taken
    with host.inside():
        holder = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    with holder:
        holder.bind((address, 7300))
        if kind == TCP:
            holder.listen()
        done = host.command("run", "-p", "7299:79", "-p", word, "alpine", "echo", "started")
        assert (done.code, done.stdout) == (125, b""), done
        assert b"7300" in done.stderr and b"in use" in done.stderr
        assert ports_of(host) == ([7300] if kind == TCP else [])
    host.wait_until_clean()
    assert host.leases() == []


def test_another_port_on_the_same_address(host: Host) -> None:
    """UDP and TCP are apart; so are two addresses."""
    words = ["127.0.0.1:7300:80", f"{ADDRESS}:7300:80", "7300:80/udp"]
    with ExitStack() as stack:
        containers = [stack.enter_context(host.container("-p", word)) for word in words]
        for container, address, kind in zip(containers, ("127.0.0.1", ADDRESS, ADDRESS), (TCP, TCP, UDP), strict=True):
            ask(host, address, 7300, stack.enter_context(listen(container, 80, kind)))


def test_ten_for_one_port(host: Host) -> None:
    """One gets it, and it is the one that is reached; the others do not start."""
    words = ("run", "-p", "7400:80", "alpine", "sh", "-c", "echo started; exec sleep 1000")
    processes = [host.command.start(*words) for _ in range(10)]
    wait_for(lambda: sum(process.poll() is not None for process in processes) == 9)
    [winner] = [process for process in processes if process.poll() is None]
    assert winner.stdout and winner.stdout.readline() == b"started\n"
    for process in processes:
        if process is not winner:
            assert process.returncode == 125
            assert process.communicate()[0] == b""
    winner.terminate()
    winner.communicate(timeout=240)
    host.wait_until_clean()
    assert host.leases() == []


def test_a_flow_of_datagrams_goes_on_to_the_next_container(site: Site) -> None:
    """A client that keeps its port reaches whoever has the published one by then, not the address of the dead."""
    with site.outside.inside():
        client = socket.socket(socket.AF_INET, UDP)
    with client:
        client.connect((ADDRESS, 7500))
        for number in range(3):
            with site.host.container("-p", "7500:80/udp") as container, listen(container, 80, UDP) as server:
                client.send(b"%d" % number)
                data, peer = server.recvfrom(100)
                assert (data, peer[0]) == (b"%d" % number, OUTSIDE)
                assert container.address == f"10.88.0.{2 + number}"


def test_datagrams_before_the_container_listens(site: Site) -> None:
    """They are lost, or not, but those that follow arrive, and so do the answers."""
    with site.outside.inside():
        client = socket.socket(socket.AF_INET, UDP)
    client.settimeout(100)
    with client, site.host.container() as other:
        assert other.address == "10.88.0.2"
        client.connect((ADDRESS, 7500))
        client.send(b"nobody")
        with site.host.container("-p", "7500:80/udp") as container, listen(container, 80, UDP) as server:
            client.settimeout(0.01)
            stop = threading.Event()

            def go_on() -> None:
                while not stop.wait(0.05):
                    try:
                        client.send(b"go on")
                    except ConnectionRefusedError:
                        continue

            thread = threading.Thread(target=go_on)
            thread.start()
            data, peer = server.recvfrom(100)
            stop.set()
            thread.join()
            client.settimeout(100)
            server.sendto(b"answer", peer)
            assert (data, client.recv(100)) == (b"go on", b"answer")


def test_connections_end_with_the_container(site: Site) -> None:
    """The port is free at once, and another container gets it; connections of the first one are over."""
    with ExitStack() as stack:
        for number in range(3):
            with site.host.container("-p", "7600:80") as container, listen(container, 80) as server:
                for address in (ADDRESS, ADDRESS6):
                    with site.outside.inside():
                        client = stack.enter_context(closing(socket.create_connection((address, 7600), timeout=100)))
                    stack.enter_context(closing(server.accept()[0]))
                    client.send(b"%d" % number)
            assert ports_of(site.host) == []


def test_the_relay_has_no_privileges(site: Site) -> None:
    with site.host.container("-p", "7700:80") as container:
        relay = container.helper("mydocker-ports")
        lines = pathlib.Path(f"/proc/{relay}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert status["CapEff"] == status["CapPrm"] == "0" * 16
        assert status["Uid"].split() == ["65534"] * 4
        assert status["NoNewPrivs"] == "1"


def test_many_connections(site: Site) -> None:
    """Each gets its own answer, by the kernel and by the relay."""
    with site.host.container("-p", "7800:80") as container, listen(container, 80) as server:

        def serve() -> None:
            for _ in range(400):
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(100)
                    connection.sendall(connection.recv(100))

        thread = threading.Thread(target=serve)
        thread.start()
        for number in range(200):
            for address in (ADDRESS, ADDRESS6):
                with site.outside.inside(), socket.create_connection((address, 7800), timeout=100) as client:
                    client.sendall(b"%d" % number)
                    assert client.recv(100) == b"%d" % number
        thread.join(timeout=100)
