"""What of a container is our own: its namespaces and names, and what it leaves. See tests/parity for the rest."""

from __future__ import annotations

import os
import pathlib

import pytest
from lab.command import Command, Result
from lab.processes import sleeping

from mydocker.runtime.launch import new_id

pytestmark = pytest.mark.root

NAMESPACES = ["cgroup", "ipc", "mnt", "net", "pid", "uts"]


def _sh(mydocker: Command, script: str, *options: str) -> str:
    """The output of SCRIPT, which must succeed silently."""
    done = mydocker("run", *options, "alpine", "sh", "-c", script)
    assert (done.stderr, done.code) == (b"", 0), done
    return done.stdout.decode()


@pytest.mark.parametrize(
    ("options", "shared"),
    [
        ((), set()),
        (("--network", "none"), set()),
        (("--network", "host"), {"net"}),
        (("--namespaces", "mount,pid"), {"cgroup", "ipc", "net", "uts"}),
    ],
)
def test_namespaces(alpine: Command, options: tuple[str, ...], shared: set[str]) -> None:
    links = _sh(alpine, " ".join(f"readlink /proc/self/ns/{name};" for name in NAMESPACES), *options).split()
    host = [os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES]
    assert {name for name, a, b in zip(NAMESPACES, links, host, strict=True) if a == b} == shared


NO_SIGNALS = b"SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"


def test_mounts_do_not_reach_the_host(alpine: Command, tmp_path: pathlib.Path) -> None:
    """CAP_SYS_ADMIN is not given, so the check is of what mydocker itself mounts."""
    before = pathlib.Path("/proc/self/mountinfo").read_text()
    assert alpine("run", "-v", f"{tmp_path}:/mnt", "alpine", "true").code == 0
    assert pathlib.Path("/proc/self/mountinfo").read_text() == before


WRITABLE = ["/tmp", "/root", "/dev", "/dev/shm", "/memory", "/named", "/unnamed", "/bound", "/copied"]
NODES = """
for place; do for node in 'null c 1 3' 'tun c 10 200' 'disk b 7 0'; do
    mknod $place/my-$node; head -c1 $place/my-${node%% *} 2>&1 | sed 's/.*: //'; rm $place/my-${node%% *}
done; done"""


@pytest.mark.parametrize("rights", [(), ("--privileged",)])
def test_a_device_node_of_its_own_opens_nothing(
    alpine: Command, tmp_path: pathlib.Path, rights: tuple[str, ...]
) -> None:
    """Wherever it can write: MKNOD is granted as Docker grants it, and would else reach the host's disks."""
    volumes = ["-v", "nodes:/named", "-v", "/unnamed", "-v", f"{tmp_path}:/bound", "-v", f"{tmp_path}:/copied:O"]
    done = alpine(
        "run", *rights, "--tmpfs", "/memory:exec,suid", *volumes, "alpine", "sh", "-c", NODES, "sh", *WRITABLE
    )
    assert done == Result(b"Permission denied\n" * 3 * len(WRITABLE), b"", 0)


@pytest.mark.parametrize("rights", [(), ("--privileged",)])
def test_the_devices_that_are_given_open(alpine: Command, rights: tuple[str, ...]) -> None:
    """They are mounts of their own, which the options of /dev do not touch."""
    script = "for name in null zero full random urandom given; do : < /dev/$name && : > /dev/$name; done"
    assert _sh(alpine, script, "--device", "/dev/null:/dev/given", *rights) == ""


def test_names_resolve(alpine: Command) -> None:
    """With a network of its own /etc/hosts knows localhost and the container; with the host's it is the host's."""
    hosts = _sh(alpine, "cat /etc/hosts", "--network", "none", "-h", "box").splitlines()
    assert ["127.0.0.1", "localhost"] in [line.split()[:2] for line in hosts]
    assert any("box" in line.split() for line in hosts)
    resolvers = [line for line in pathlib.Path("/etc/resolv.conf").read_text().splitlines() if "nameserver" in line]
    assert [line for line in _sh(alpine, "cat /etc/resolv.conf").splitlines() if "nameserver" in line] == resolvers


FULL_NAMES = {  # options -> the container's own line of /etc/hosts, without the address
    ("-h", "web", "--domainname", "example.org"): "web.example.org web",
    ("-h", "web.example.org"): "web.example.org web",
    ("-h", "web.example.org", "--domainname", "example.net"): "web.example.org.example.net web.example.org web",
    ("-h", "web"): "web",
}


@pytest.mark.parametrize("options", FULL_NAMES)
def test_the_full_name_of_a_container(alpine: Command, options: tuple[str, ...]) -> None:
    """libnetwork writes the full name and its first part; glibc takes the first name on the line for `hostname -f`."""
    names = FULL_NAMES[options]
    hosts = _sh(alpine, "cat /etc/hosts", "--network", "none", *options).splitlines()
    assert hosts[-1] == f"127.0.1.1\t{names}"
    on_this_tree = ["--rootfs", "/", "--network", "none", *options, "hostname", "-f"]
    assert alpine("run", *on_this_tree) == Result(f"{names.split()[0]}\n".encode(), b"", 0)


@pytest.mark.parametrize("network", ["none", "host", ""])
def test_the_domain_name_is_the_containers_alone(alpine: Command, network: str) -> None:
    before = pathlib.Path("/proc/sys/kernel/domainname").read_text()
    options = ["--domainname", "example.org", *(["--network", network] if network else [])]
    assert _sh(alpine, "cat /proc/sys/kernel/domainname", *options) == "example.org\n"
    assert pathlib.Path("/proc/sys/kernel/domainname").read_text() == before


def test_a_caller_with_odd_habits_leaves_no_mark(alpine: Command) -> None:
    """SIGCHLD ignored, signals blocked, an umask, extra descriptors: a container starts clean all the same."""
    odd = [
        "python3", "-c",
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); signal.signal(15, signal.SIG_IGN);"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [2, 15, 17]); os.umask(0o77); fd = os.open('/etc', 0);"
        "os.dup2(fd, 9); os.set_inheritable(9, True); os.execv(sys.argv[1], sys.argv[1:])",
    ]  # fmt: skip
    run = Command(alpine.program, alpine.environment, alpine.directory, odd, alpine.store)
    assert run("run", "alpine", "sh", "-c", "umask; ls /proc/1/fd; true") == Result(b"0022\n0\n1\n2\n", b"", 0)
    assert run("run", "alpine", "grep", "-E", "Sig(Blk|Ign)", "/proc/1/status") == Result(NO_SIGNALS, b"", 0)


def test_nothing_is_left_behind(alpine: Command) -> None:
    mark = f"1{os.getpid()}"
    assert alpine("run", "alpine", "sh", "-c", f"sleep {mark} & echo x > /etc/x").code == 0
    assert os.listdir(alpine.store / "containers") == []
    assert sleeping(mark) == []


def test_no_host_name_looks_like_an_address() -> None:
    """Of twelve decimal digits, one in 281 would."""
    numbers = iter([bytes.fromhex("123456789012" + "ab" * 26), bytes.fromhex("12345678901a" + "ab" * 26)])
    assert new_id(lambda size: next(numbers)).startswith("12345678901a")
    assert len({new_id() for _ in range(100)}) == 100
