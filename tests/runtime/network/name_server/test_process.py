"""The process of a container's name server: what it may, what it holds, and that it ends with its container."""

from __future__ import annotations

import os
import pathlib
import select
import signal
import socket
import time
from contextlib import suppress

import pytest
from lab import dns
from lab.networks import Container, Host

from mydocker.kernel.processes import has_ended
from mydocker.kernel.signals import STOPPING

pytestmark = pytest.mark.root

TITLE = "mydocker-names"


def _status(pid: int) -> dict[str, str]:
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _ask(container: Container, name: str) -> dns.Reply:
    return dns.Client(container.inside).ask(name)


@pytest.mark.parametrize("words", [(), ("--dns", "192.0.2.7"), ("-p", "127.0.0.1::80")], ids=["host's", "own", "ports"])
def test_it_has_no_privileges_and_only_its_own_descriptors(lan: Host, words: tuple[str, ...]) -> None:
    with lan.container("--network", "lan", "--name", "web", *words) as web:
        assert _ask(web, "web").data
        pid = web.helper(TITLE)
        status = _status(pid)
        assert {status["CapPrm"], status["CapEff"], status["CapAmb"]} == {"0" * 16}
        assert (status["Uid"].split(), status["Groups"], status["NoNewPrivs"]) == (["65534"] * 4, "", "1")
        links = [os.readlink(each.path) for each in os.scandir(f"/proc/{pid}/fd")]
        files = sorted(link.rpartition("/")[2] for link in links if "/containers/" in link)
        assert files == (["hosts"] if "--dns" in words else ["forwarding", "hosts"])
        rest = sorted(link.partition(":")[0] for link in links if "/containers/" not in link)
        assert rest == sorted([*["/dev/null"] * 3, "pipe", "socket", "socket", "anon_inode"])
        for number in (
            fd for fd in os.listdir(f"/proc/{pid}/fd") if "/containers/" in os.readlink(f"/proc/{pid}/fd/{fd}")
        ):
            flags = pathlib.Path(f"/proc/{pid}/fdinfo/{number}").read_text().split("flags:")[1].split()[0]
            assert int(flags, 8) & os.O_ACCMODE == os.O_RDONLY
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        for kind in ("mnt", "pid", "user", "uts", "ipc", "net"):
            shared = os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/{web.process.pid}/ns/{kind}")
            assert shared == (kind != "net" or "--dns" not in words), kind


def test_who_has_none(lan: Host) -> None:
    """In the default network, in none, in the host's, and in that of another container."""
    with lan.container("--network", "lan", "--name", "one") as one:
        assert set(one.helpers) - {TITLE} == {name for name in one.helpers if "mydocker\0run" in name}
        for network in ("bridge", "none"):
            with lan.container("--network", network) as other:
                assert TITLE not in other.helpers
                assert not other.sh("cat /proc/net/udp | grep ' 0B00007F:' || :")
        words = (
            "run",
            "--network",
            "container:one",
            "alpine",
            "sh",
            "-c",
            "cat /etc/resolv.conf; nslookup -timeout=100 -retry=20 -type=a one | tail -2",
        )
        done = lan.command(*words)
        assert done.code == 0 and b"nameserver 127.0.0.11" in done.stdout and one.address.encode() in done.stdout


def test_it_sleeps_while_nothing_happens(lan: Host) -> None:
    with lan.container("--network", "lan", "--name", "web") as web:
        with dns.Client(web.inside).socket(socket.SOCK_STREAM):
            assert _ask(web, "web").data
        before = ""
        while before != (before := _status(web.helper(TITLE))["voluntary_ctxt_switches"]):
            time.sleep(0.5)  # it learns of the end of the connection
        time.sleep(3)
        assert _status(web.helper(TITLE))["voluntary_ctxt_switches"] == before
        assert _ask(web, "web").data


def test_signals_for_the_container_do_not_end_it(lan: Host) -> None:
    with lan.container("--network", "lan", "--name", "web") as web:
        assert os.getpgid(web.helper(TITLE)) == web.helper(TITLE)
        for number in STOPPING:
            os.kill(web.helper(TITLE), number)
        assert _ask(web, "web").data


def test_it_is_killed(lan: Host) -> None:
    """Who asks learns at once that nobody serves, and the names are in /etc/hosts all the same."""
    with (
        lan.container("--network", "lan", "--name", "db") as db,
        lan.container("--network", "lan", "--name", "web") as web,
    ):
        pidfd = os.pidfd_open(web.helper(TITLE))
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        assert has_ended(pidfd, 100)  # its sockets are closed by then
        os.close(pidfd)
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with pytest.raises(ConnectionRefusedError), dns.Client(web.inside).socket(kind) as sock:
                sock.send(dns.question("db"))
                sock.recv(100)
        assert web.sh("ping -c 1 -w 100 -W 100 db | head -1") == f"PING db ({db.address}): 56 data bytes\n"
        assert _ask(db, "web").data == (web.address,)
        assert web.end() == (b"", b"")
    lan.wait_until_clean()


def test_it_stands_still(lan: Host) -> None:
    """It keeps no container from its end."""
    with lan.container("--network", "lan") as web:
        os.kill(pid := web.helper(TITLE), signal.SIGSTOP)
        assert web.end() == (b"", b"")
        assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_mydocker(lan: Host, number: int) -> None:
    with lan.container("--network", "lan") as web, open(os.pidfd_open(web.helper(TITLE)), "rb") as pidfd:
        os.kill(web.process.pid, number)
        assert select.select([pidfd], [], [], 100)[0]  # it has ended
    lan.wait_until_clean()


def test_a_container_that_cannot_start(lan: Host) -> None:
    done = lan.command("run", "--network", "lan", "alpine", "/nonesuch")
    assert done.code == 127
    assert not [title for title in _titles(lan) if title.startswith(TITLE)]
    with lan.container("--network", "lan") as web:
        assert web.helper(TITLE) and [title for title in _titles(lan) if title.startswith(TITLE)]


def _titles(host: Host) -> list[str]:
    """The command lines of all processes in the network of HOST, which is no other test's."""
    network, found = os.readlink(f"/proc/{host.pid}/ns/net"), []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            if os.readlink(process / "ns/net") == network:
                found.append((process / "cmdline").read_text(errors="replace"))
    return found


_NSLOOKUP = ("nslookup", "-timeout=100", "-retry=20", "-type=a")


@pytest.mark.parametrize("words", [("--init", "--cap-add", "SYS_PTRACE"), ("--read-only",), ("--user", "1000")])
def test_containers_of_other_kinds(lan: Host, words: tuple[str, ...]) -> None:
    done = lan.command("run", "--network", "lan", "--name", "web", *words, "alpine", *_NSLOOKUP, "web")
    assert done.code == 0 and b"Address: 10.98.0." in done.stdout, done
