"""Containers of an ordinary user in networks: the same as root's, from the command line on."""

from __future__ import annotations

import pwd
import urllib.request

import pytest
from lab.command import Command, await_end_of_processes
from lab.machines import Machine

pytestmark = [pytest.mark.root, pytest.mark.rootless]


@pytest.fixture
def mydocker(second_user: Command, ids: bool) -> Command:
    """That of the user, with an image; before the test leaves the network that the registry is in."""
    assert second_user("pull", "-q", "alpine").code == 0
    return second_user


def _sh(mydocker: Command, script: str, *options: str) -> str:
    done = mydocker("run", *options, "alpine", "sh", "-c", script)
    assert (done.stderr, done.code) == (b"", 0), done
    return done.stdout.decode()


def test_its_own_address_and_resolver(mydocker: Command, user: pwd.struct_passwd, other: Machine, tun: None) -> None:
    lines = _sh(mydocker, "ip -4 -o address show eth0; ip route; cat /etc/resolv.conf; id -u").splitlines()
    assert lines[0].split()[3].startswith("10.") and lines[1].startswith("default via 10.")
    assert lines[-2:] == ["nameserver 169.254.1.1", "0"]
    assert not await_end_of_processes(user)


def test_names_and_a_published_port(mydocker: Command, user: pwd.struct_passwd, other: Machine, tun: None) -> None:
    assert mydocker("network", "create", "lan").code == 0
    serve = "mkdir /w; echo hello > /w/index.html; echo up; exec httpd -f -p 80 -h /w"
    words = ("run", "--name", "web", "--network", "lan", "-p", "80", "alpine", "sh", "-c", serve)
    with mydocker.start(*words) as process:
        assert process.stdout and process.stdout.readline() == b"up\n"
        assert _sh(mydocker, "until wget -q -O - http://web; do sleep 0.1; done", "--network", "lan") == "hello\n"
        place = mydocker("port", "web", "80").stdout.decode().split()[0].replace("0.0.0.0", "127.0.0.1")
        with urllib.request.urlopen(f"http://{place}", timeout=100) as response:
            assert response.read() == b"hello\n"
        process.kill()
    assert not await_end_of_processes(user)
    assert mydocker("network", "rm", "lan").code == 0


FILE = """\
services: {web: {image: alpine, command: "true"}}
networks: {default: {ipam: {config: [{subnet: 10.203.0.0/24}]}}}
"""


def test_a_subnet_is_free_again_at_once(mydocker: Command, user: pwd.struct_passwd, other: Machine, tun: None) -> None:
    """Its bridge goes with the network, not with the process that holds the user's namespaces, a second later."""
    (mydocker.directory / "compose.yaml").write_text(FILE)
    for _ in range(2):
        done = mydocker("up")
        assert (done.stdout, done.code) == (b"", 0), done
        assert mydocker("network", "create", "--subnet", "10.203.0.0/24", "lan").code == 0
        assert mydocker("run", "--network", "lan", "alpine", "true").code == 0
        assert mydocker("network", "rm", "lan").code == 0
    assert not await_end_of_processes(user)


def test_without_the_device_it_shares_the_host_s(second_user: Command) -> None:
    done = second_user("run", "--dry-run", "alpine", "true")
    assert b'"network": "host"' in done.stdout and b"an ordinary user needs /dev/net/tun" in done.stdout
    assert _sh(second_user, "ls /sys/class/net") != "lo\n"
