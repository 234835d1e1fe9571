"""Hosts that lack what a network takes: the default falls back to the host's network, and what was asked for by name is
an error that says what is missing."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import pytest
from lab.networks import OUTSIDE, Host, Site

pytestmark = pytest.mark.root

NO_NFT = "the program nft is not installed (package nftables)"
NO_ADMIN = "CAP_NET_ADMIN is missing"
_UNPRIVILEGED = ("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--")
NOT_OWN = "root's user namespace does not own the host's network"
# root in a user namespace that has all the ids that images use: a child in the outer one writes the maps
_BELOW = (
    sys.executable,
    "-c",
    """
import ctypes, os, sys
begin, end = os.pipe()
if os.fork() == 0:
    os.close(end)
    os.read(begin, 1)
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{os.getppid()}/{name}", "w") as file:
            file.write("0 0 65536")
    os._exit(0)
assert ctypes.CDLL(None).unshare(0x10000000) == 0  # CLONE_NEWUSER
os.close(end)
os.wait()
os.execvp(sys.argv[1], sys.argv[1:])
""",
)


def hide_nft(host: Host) -> None:
    """As if its package were not installed."""
    _cover_programs(host, "mknod nft c 0 0")
    host.do("! command -v nft")


def replace_nft(host: Host, script: str) -> None:
    """By a SCRIPT, which has the real one as `$nft`."""
    place = host.command.directory
    (place / "script").write_text(f"#!/bin/sh\nnft={place}/real\n{script}\n")
    (place / "script").chmod(0o755)
    _cover_programs(host, f"cp /usr/sbin/nft {place}/real; cp {place}/script nft")


def _cover_programs(host: Host, change: str) -> None:
    """Carry out CHANGE in what covers /usr/sbin from then on."""
    place = host.command.directory
    host.do(
        f"mkdir {place}/upper {place}/work; cd {place}/upper; {change}; mount -t overlay overlay"
        f" -o lowerdir=/usr/sbin,upperdir={place}/upper,workdir={place}/work /usr/sbin"
    )


@pytest.fixture(params=["nft", "CAP_NET_ADMIN", "user namespace"])
def lacking(request: pytest.FixtureRequest, host: Host) -> tuple[Host, str]:
    """A host that lacks something, and what mydocker calls it."""
    if request.param == "nft":
        hide_nft(host)
        return host, NO_NFT
    prefix, reason = {"CAP_NET_ADMIN": (_UNPRIVILEGED, NO_ADMIN), "user namespace": (_BELOW, NOT_OWN)}[request.param]
    host.command = replace(host.command, prefix=[*host.command.prefix, *prefix])
    return host, reason


def test_the_default(lacking: tuple[Host, str]) -> None:
    """It is the host's network, and the reason is in the result."""
    host, reason = lacking
    path = host.command.directory / "result"
    done = host.command("run", "--result", str(path), "alpine", "readlink", "/proc/self/ns/net")
    assert (done.code, done.stderr) == (0, b"")
    assert done.stdout.decode().strip() == os.readlink(f"/proc/{host.pid}/ns/net")
    assert reason in path.read_text()
    assert reason in host.command("run", "--dry-run", "alpine", "true").stdout.decode()
    assert reason.split(" is ")[0].split()[-1] in host.command("doctor").stdout.decode()
    assert not any(host.traces().values()) if reason != NO_NFT else True


@pytest.mark.parametrize("options", [("--network", "bridge"), ("-p", "7900:80"), ("--network", "own")])
def test_by_name(lacking: tuple[Host, str], options: tuple[str, ...]) -> None:
    """An error before anything is started, which names what is missing; nothing is left of it."""
    host, reason = lacking
    host.command("network", "create", "own")
    done = host.command("run", *options, "alpine", "echo", "started")
    assert (done.code, done.stdout) == (125, b""), done
    assert any(word in done.stderr.decode() for word in (reason, "nft", "CAP_NET_ADMIN")), done
    assert b"Traceback" not in done.stderr
    assert host.leases() == []
    assert os.listdir(host.command.store / "containers") == []


@pytest.mark.parametrize("options", [(), ("-p", "7900:80"), ("--sysctl", "net.ipv4.conf.eth0.forwarding=1")])
def test_nft_that_fails(host: Host, options: tuple[str, ...]) -> None:
    """Its words are the error, though the start has gone on meanwhile; nothing is left of that."""
    replace_nft(host, "sleep 0.2; echo no room >&2; exit 1")
    done = host.command("run", "--network", "bridge", *options, "alpine", "echo", "started")
    assert (done.code, done.stdout) == (125, b""), done
    assert done.stderr.decode().startswith("mydocker: nft failed with status 1: no room"), done
    assert host.leases() == []
    assert os.listdir(host.command.store / "containers") == []
    host.do("umount -l /usr/sbin")  # of which a program may run still
    host.wait_until_clean()


def test_a_parameter_of_an_interface(host: Host) -> None:
    """It waits for that, however long nft takes."""
    replace_nft(host, 'sleep 0.5; exec "$nft" "$@"')
    words = ("--network", "bridge", "--sysctl", "net.ipv4.conf.eth0.rp_filter=2", "alpine")
    done = host.command("run", *words, "cat", "/proc/sys/net/ipv4/conf/eth0/rp_filter")
    assert (done.stdout, done.stderr, done.code) == (b"2\n", b"", 0)
    host.wait_until_clean()


def test_a_tree_that_cannot_be_built_before_nft_has_ended(host: Host) -> None:
    """The error is about the tree, and not about a process without a network."""
    replace_nft(host, 'sleep 0.5; exec "$nft" "$@"')
    words = ("--network", "bridge", "--mount", "type=bind,source=/etc/hostname,target=/etc", "alpine", "true")
    done = host.command("run", *words)
    assert (done.code, done.stdout) == (125, b""), done
    assert b"/etc in the container is a directory, and a file cannot be mounted there" in done.stderr, done
    assert host.leases() == []
    host.wait_until_clean()


def test_nft_that_goes_while_a_network_is_up(host: Host) -> None:
    """The bridge goes all the same."""
    with host.container("-p", "7900:80"):
        hide_nft(host)
        assert host.command("run", "--network", "none", "alpine", "true").code == 0
    host.do("umount -l /usr/sbin")  # of which a program may run still
    host.command("run", "alpine", "true")
    host.wait_until_clean()
    assert host.leases() == []


def test_a_store_that_is_read_only(site: Site) -> None:
    """Containers have networks there as well, whose state is kept where containers are."""
    host, place = site.host, site.host.command.store
    assert host.command("run", "alpine", "true").code == 0
    assert host.command("network", "create", "own").code == 0
    host.wait_until_clean()
    host.do(f"mount -t tmpfs tmpfs /run; mount --bind {place} {place}; mount -o remount,bind,ro {place}")
    with host.container("-p", "7900:80") as one, host.container() as two:
        assert one.address != two.address
        for container in (one, two):
            assert container.succeeds("busybox", "ping", "-c", "1", "-w", "100", "-W", "100", OUTSIDE)
    for name, message in (("own", b"network own cannot be used, as the store is read-only"), ("no", b"no network no")):
        done = host.command("run", "--network", name, "alpine", "true")
        assert done.code == 125 and message in done.stderr, done
    host.wait_until_clean()


@pytest.mark.parametrize("count", [60, 100])
def test_many_names(host: Host, count: int) -> None:
    """As many as the target of a link holds; more are an error that says so, and nothing is left of it."""
    host.command("network", "create", "own")
    aliases = [f"{'a' * 50}{number}" for number in range(count)]
    words = [word for alias in aliases for word in ("--network-alias", alias)]
    with host.container("--network", "own") as one:
        done = host.command("run", "--network", "own", *words, "alpine", "sh", "-c", "echo started")
        if count > 60:
            assert (done.code, done.stdout) == (125, b"")
            assert b"the container has too many names in network own: 101" in done.stderr
        else:
            with host.container("--network", "own", *words):
                assert one.sh(f"grep -o {aliases[-1]} /etc/hosts") == f"{aliases[-1]}\n"
        assert one.sh(f"grep -c {aliases[0]} /etc/hosts || true") == "0\n"
        assert len(host.leases()) == 1
