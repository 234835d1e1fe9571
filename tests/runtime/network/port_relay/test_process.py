"""The relay's process: what it may, what it holds, and that it never outlives its owner."""

from __future__ import annotations

import os
import pathlib
import select
import signal
import socket
from collections.abc import Callable

import pytest
from lab.machines import Machine
from lab.processes import within

from mydocker.errors import HostError
from mydocker.kernel.signals import STOPPING
from mydocker.runtime.network import PublishedPort
from mydocker.runtime.network.port_relay import reserve
from mydocker.runtime.network.port_relay.process import PortRelay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import Relayed, Site

pytestmark = pytest.mark.root


def _status(pid: int) -> dict[str, str]:
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_it_has_no_privileges_and_only_its_own_descriptors(publish: Callable[..., Relayed]) -> None:
    inherited = os.open("/etc/passwd", os.O_RDONLY)
    try:
        pid = publish().process.pid
    finally:
        os.close(inherited)
    status = _status(pid)
    assert {status["CapPrm"], status["CapEff"], status["CapAmb"]} == {"0" * 16}
    assert (status["Uid"].split(), status["Groups"], status["NoNewPrivs"]) == (["65534"] * 4, "", "1")
    links = [os.readlink(each.path) for each in os.scandir(f"/proc/{pid}/fd")]
    assert sorted(link.partition(":")[0] for link in links) == sorted(
        [*["/dev/null"] * 3, "pipe", "socket", "socket", "anon_inode"]
    )
    assert pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0") == b"mydocker-ports"


def test_signals_for_the_container_do_not_end_it(publish: Callable[..., Relayed]) -> None:
    relayed = publish()
    assert os.getpgid(relayed.process.pid) == relayed.process.pid
    for number in STOPPING:
        os.kill(relayed.process.pid, number)
    client, inside = relayed.pair()
    with client, inside:
        client.sendall(b"x")
        assert inside.recv(1) == b"x"


def test_a_port_is_free_once_the_relay_has_ended(publish: Callable[..., Relayed], site: Site) -> None:
    relayed = publish()
    with relayed.connect() as client:
        relayed.process.close()
        with pytest.raises(ConnectionRefusedError):
            relayed.connect()
        assert client.recv(1) == b""
    with site.host.inside(), reserve([PublishedPort(target=80, port=relayed.port)]):
        pass


@pytest.mark.parametrize("lifeline_is_kept", [False, True])
def test_it_ends_when_its_owner_is_killed(site: Site, lifeline_is_kept: bool) -> None:
    """Though a fork of the owner may have inherited the lifeline."""
    reader, writer = os.pipe()
    owner = os.fork()
    if owner == 0:
        try:
            with site.host.inside():
                relay = PortRelay(reserve([PublishedPort(target=80, port=8080)]), "10.77.0.2").__enter__()
            fork = os.fork() if lifeline_is_kept else -1
            if fork:
                os.write(writer, f"{relay.pid} {fork}".encode())
            signal.pause()
        finally:
            os._exit(1)
    pid, fork = map(int, os.read(reader, 100).split())
    ended = os.pidfd_open(pid)
    os.kill(owner, signal.SIGKILL)
    os.waitpid(owner, 0)
    try:
        assert within(100, lambda: _has_ended(ended))
    finally:
        if fork > 0:
            os.kill(fork, signal.SIGKILL)
        for descriptor in (ended, reader, writer):
            os.close(descriptor)
    with site.host.inside(), reserve([PublishedPort(target=80, port=8080)]):
        pass


def _has_ended(pidfd: int) -> bool:
    """Also before it has been waited for (pidfd_open(2))."""
    return bool(select.select([pidfd], [], [], 0)[0])


def test_a_relay_that_does_not_end_is_killed(publish: Callable[..., Relayed]) -> None:
    relayed = publish()
    os.kill(relayed.process.pid, signal.SIGSTOP)
    relayed.process.close()
    with pytest.raises(ConnectionRefusedError):
        relayed.connect()


def test_a_relay_that_was_killed_is_waited_for(publish: Callable[..., Relayed]) -> None:
    relayed = publish()
    os.kill(relayed.process.pid, signal.SIGKILL)
    relayed.process.close()


def test_it_listens_on_the_host_and_connects_from_other_namespaces(site: Site) -> None:
    """As for an ordinary user's network, which is in a user namespace: the address means nothing on the host."""
    with Machine("--user", "--map-root-user") as network:
        network.run("ip", "address", "add", "10.99.0.1/24", "dev", "lo")
        with network.inside():
            server = socket.create_server(("10.99.0.1", 80))
        server.settimeout(60)
        namespaces = [network.namespace("user"), network.namespace("net")]
        with site.host.inside():
            held = reserve([PublishedPort(target=80, port=8080)])
            relay = PortRelay(held, "10.99.0.1", namespaces=namespaces)
            with relay, server, socket.create_connection(("127.0.0.1", 8080)) as client:
                inside, peer = server.accept()
                assert peer[0] == "10.99.0.1"
                with inside:
                    inside.sendall(b"hello")
                assert client.recv(100) == b"hello"
                assert _status(relay.pid)["CapPrm"] == "0" * 16
        for descriptor in namespaces:
            os.close(descriptor)


def test_namespaces_that_cannot_be_entered_are_an_error(site: Site) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    try:
        with site.host.inside(), pytest.raises(HostError, match="the host refuses: Invalid argument"):
            PortRelay(reserve([PublishedPort(target=80, port=8080)]), "10.77.0.2", namespaces=[null]).__enter__()
    finally:
        os.close(null)
    with site.host.inside(), reserve([PublishedPort(target=80, port=8080)]):
        pass
