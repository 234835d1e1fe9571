"""What a container sees of itself, with the image's own tools: process, rights, mounts, devices, files of /etc."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping

import pytest
from lab.command import Result
from peer import Peer

pytestmark = pytest.mark.root

PROCESS = {
    "pid 1": ("echo $$", "1\n"),
    "alone": ("ps -o pid,comm | sed 1d | head -1", "    1 sh\n"),
    "umask": ("umask", "0022\n"),
    "leader of its session and group": ("cut -d' ' -f5,6 /proc/1/stat", "1 1\n"),
    "descriptors": ("ls /proc/1/fd; true", "0\n1\n2\n"),
    "standard input": ("readlink /proc/self/fd/0", "/dev/null\n"),
    "root": ("id -u; id -g", "0\n0\n"),
    "no controlling terminal": ("true 2>/dev/null </dev/tty; echo $?", "1\n"),
    "a cgroup namespace": ("cut -d: -f3 /proc/self/cgroup | sort -u", "/\n"),
    "the identity as map of users": ("awk '{print $1, $2, $3}' /proc/self/uid_map", "0 0 4294967295\n"),
    "only loopback": ("ls /sys/class/net", "lo\n"),
    "loopback is up": ("cat /sys/class/net/lo/flags", "0x9\n"),
    "oom_score_adj": ("cat /proc/self/oom_score_adj", "0\n"),
}


@pytest.mark.parametrize("name", PROCESS)
def test_process(peer: Peer, name: str) -> None:
    script, expected = PROCESS[name]
    assert peer.sh(script) == expected


def test_signals_are_as_new(peer: Peer) -> None:
    """Read without a shell, which would change them."""
    expected = b"SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
    assert peer.run(argv=("grep", "-E", "Sig(Blk|Ign)", "/proc/1/status")) == Result(expected, b"", 0)


def _held() -> int:
    status = pathlib.Path("/proc/self/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("CapBnd:")]
    return int(line.split()[1], 16)


ALL = _held()
DEFAULT = 0xA80425FB
NET_ADMIN, SYS_PTRACE, MKNOD, CHOWN = 1 << 12, 1 << 19, 1 << 27, 1
CAPABILITIES = {  # options -> bounding set, effective and permitted set
    "": (DEFAULT, DEFAULT),
    "-u nobody": (DEFAULT, 0),
    "-u 1000:1000": (DEFAULT, 0),
    "-u 0:0": (DEFAULT, DEFAULT),
    "--cap-add NET_ADMIN": (DEFAULT | NET_ADMIN, DEFAULT | NET_ADMIN),
    "--cap-add cap_net_admin --cap-add=Sys_Ptrace": (DEFAULT | NET_ADMIN | SYS_PTRACE,) * 2,
    "--cap-drop MKNOD": (DEFAULT & ~MKNOD,) * 2,
    "--cap-drop ALL": (0, 0),
    "--cap-drop all --cap-add CHOWN": (CHOWN, CHOWN),
    "--cap-add ALL": (ALL, ALL),
    "--cap-add ALL --cap-drop cap_mknod": (ALL & ~MKNOD,) * 2,
    "--privileged": (ALL, ALL),
    "--privileged -u nobody": (ALL, 0),
    "-u nobody --cap-add NET_ADMIN": (DEFAULT | NET_ADMIN, 0),
}


@pytest.mark.parametrize("options", CAPABILITIES)
def test_capabilities(peer: Peer, options: str) -> None:
    bounding, effective = CAPABILITIES[options]
    words = peer.sh("grep ^Cap /proc/1/status", *options.split()).split()
    found = {name.strip(":"): int(mask, 16) for name, mask in zip(words[::2], words[1::2], strict=True)}
    assert found == {"CapInh": 0, "CapPrm": effective, "CapEff": effective, "CapBnd": bounding, "CapAmb": 0}


FILTER = {
    "": "NoNewPrivs:\t0\nSeccomp:\t2\n",
    "--security-opt no-new-privileges": "NoNewPrivs:\t1\nSeccomp:\t2\n",
    "--security-opt seccomp=unconfined": "NoNewPrivs:\t0\nSeccomp:\t0\n",
    "--privileged": "NoNewPrivs:\t0\nSeccomp:\t0\n",
    "-u nobody": "NoNewPrivs:\t0\nSeccomp:\t2\n",
}


@pytest.mark.parametrize("options", FILTER)
def test_filter(peer: Peer, options: str) -> None:
    assert peer.sh("grep -E '^(NoNewPrivs|Seccomp):' /proc/1/status", *options.split()) == FILTER[options]


DENIED, NONE, BAD = "Operation not permitted", "Function not implemented", "Invalid argument"
CALLS = {  # options and call -> answer
    ("", "unshare 0"): DENIED,
    ("", "unshare 0x10000000"): DENIED,
    ("", "mount"): DENIED,
    ("", "bpf 0"): DENIED,
    ("", "keyctl 0"): DENIED,
    ("", "add_key"): DENIED,
    ("", "userfaultfd 0"): DENIED,
    ("", "perf_event_open"): DENIED,
    ("", "setns 0 0"): DENIED,
    ("", "clone3 0 0"): NONE,
    ("", "clone 0x10000000"): DENIED,
    ("", "personality 0xffffffff"): "ok",
    ("", "personality 0x40000"): DENIED,
    ("", "socket 40 1 0"): DENIED,
    ("", "socket 2 1 0"): "ok",
    ("", "ptrace 0"): "ok",
    ("", "chroot"): "Bad address",
    ("--cap-drop ALL", "chroot"): DENIED,
    ("--cap-add SYS_ADMIN", "unshare 0"): "ok",
    ("--cap-add SYS_ADMIN", "bpf 100"): BAD,
    ("--security-opt seccomp=unconfined", "unshare 0"): "ok",
    ("--privileged", "unshare 0"): "ok",
}


@pytest.mark.parametrize(("options", "call"), CALLS)
def test_system_calls(peer: Peer, ask: pathlib.Path, options: str, call: str) -> None:
    argv = ("/ask", *call.split())
    done = peer.run(*options.split(), "-v", f"{ask}:/ask:ro", argv=argv)
    assert done == Result(f"{CALLS[options, call]}\n".encode(), b"", 0)


Mounts = Mapping[str, tuple[str, set[str]]]


def _mounts(peer: Peer, *options: str) -> Mounts:
    """Mount point -> (file system type, options of the mount and of the file system)."""
    found = {}
    for line in peer.sh("cat /proc/self/mountinfo", *options).splitlines():
        left, _, right = line.partition(" - ")
        fstype, _, more = right.split(" ")
        found[left.split(" ")[4]] = (fstype, set(left.split(" ")[5].split(",")) | set(more.split(",")))
    return found


@pytest.fixture(scope="session")
def mounts(peer: Peer) -> Mounts:
    return _mounts(peer)


@pytest.fixture(scope="session")
def privileged(peer: Peer) -> Mounts:
    return _mounts(peer, "--privileged")


MOUNTS = {
    "/": "rw",
    "/proc": "rw nosuid nodev noexec",
    "/dev": "rw nosuid mode=755 size=65536k",
    "/dev/pts": "rw nosuid noexec gid=5 mode=620 ptmxmode=666",
    "/dev/shm": "rw nosuid nodev noexec size=65536k",
    "/dev/mqueue": "rw nosuid nodev noexec",
    "/sys": "ro nosuid nodev noexec",
    "/proc/bus": "ro nosuid nodev noexec",
    "/proc/fs": "ro nosuid nodev noexec",
    "/proc/irq": "ro nosuid nodev noexec",
    "/proc/sys": "ro nosuid nodev noexec",
    "/proc/sysrq-trigger": "ro nosuid nodev noexec",
    "/etc/hosts": "rw",
    "/etc/hostname": "rw",
    "/etc/resolv.conf": "rw",
}
TYPES = {"/": "overlay", "/dev": "tmpfs", "/dev/pts": "devpts", "/dev/shm": "tmpfs", "/dev/mqueue": "mqueue"}
TYPES |= {"/sys": "sysfs", **{target: "proc" for target in MOUNTS if target.startswith("/proc")}}


@pytest.mark.parametrize("target", MOUNTS)
def test_mount(mounts: Mounts, target: str) -> None:
    if target not in mounts and not pathlib.Path(target).exists():
        return  # this kernel does not have it, as virtual machines' often lack /proc/sysrq-trigger
    fstype, options = mounts[target]
    assert fstype == TYPES.get(target, fstype)
    assert set(MOUNTS[target].split()) - options == set()


def test_no_device_opens_on_the_root(mounts: Mounts) -> None:
    """For want of a device cgroup on all hosts."""
    assert "nodev" in mounts["/"][1]


def test_nothing_else_is_mounted(mounts: Mounts) -> None:
    below = re.compile("/proc/|/sys/|/dev/[^/]+$")
    assert {target for target in mounts if not below.match(target)} <= set(MOUNTS)


@pytest.mark.parametrize("target", ["/proc/sys", "/proc/keys", "/sys/firmware"])
def test_privileged_has_no_walls(privileged: Mounts, mounts: Mounts, target: str) -> None:
    assert target in mounts and target not in privileged


def test_privileged_may_write_to_sysfs(privileged: Mounts) -> None:
    assert "rw" in privileged["/sys"][1]


MASKED_FILES = ["interrupts", "kcore", "keys", "latency_stats", "sched_debug", "timer_list", "timer_stats"]
MASKED = [*(f"/proc/{name}" for name in ["acpi", "asound", *MASKED_FILES, "scsi"])]
MASKED += ["/sys/firmware", "/sys/devices/virtual/powercap"]


@pytest.mark.parametrize("path", MASKED)
def test_masked(peer: Peer, path: str) -> None:
    """What this kernel does not have is not there either; the rest is empty."""
    script = f"if [ -d {path} ]; then ls -A {path}; elif [ -e {path} ]; then head -c 10 {path}; fi"
    assert peer.sh(script) == ""


@pytest.mark.parametrize(
    "path",
    [
        "/proc/sys/kernel/core_pattern",
        "/proc/irq/default_smp_affinity",
        "/sys/kernel/uevent_seqnum",
    ],
)
def test_the_kernels_switches_are_read_only(peer: Peer, path: str) -> None:
    done = peer.run(argv=("sh", "-c", f"echo x > {path}"))
    assert done.code == 1 and b"Read-only file system" in done.stderr, done


DEVICES = {
    "fd": "-> /proc/self/fd",
    "full": "1:7 666",
    "mqueue": "/",
    "null": "1:3 666",
    "ptmx": "-> pts/ptmx",
    "pts": "/",
    "random": "1:8 666",
    "shm": "/",
    "stderr": "-> /proc/self/fd/2",
    "stdin": "-> /proc/self/fd/0",
    "stdout": "-> /proc/self/fd/1",
    "tty": "5:0 666",
    "urandom": "1:9 666",
    "zero": "1:5 666",
}
LIST_DEVICES = """\
cd /dev; for x in *; do
    if [ -L $x ]; then echo "$x -> $(readlink $x)"
    elif [ -d $x ]; then echo $x /
    else echo $x $(stat -c '%t:%T %a' $x); fi
done"""


@pytest.fixture(scope="session")
def devices(peer: Peer) -> Mapping[str, str]:
    lines = peer.sh(LIST_DEVICES).splitlines()
    return {name: what for name, _, what in (line.partition(" ") for line in lines)}


@pytest.mark.parametrize("name", DEVICES)
def test_device(devices: Mapping[str, str], name: str) -> None:
    assert devices[name] == DEVICES[name]


def test_no_other_device(devices: Mapping[str, str]) -> None:
    assert set(devices) == set(DEVICES)


def test_devices_work(peer: Peer) -> None:
    script = "head -c 3 /dev/zero | wc -c; echo lost > /dev/null; head -c 9 /dev/urandom | wc -c; stat -c %a /dev"
    assert peer.sh(script) == "3\n9\n755\n"


def test_a_disk_cannot_be_opened(peer: Peer) -> None:
    """MKNOD is granted; what it makes must not reach the host's disks, by device cgroup or by nodev."""
    done = peer.run(argv=("sh", "-c", "mknod /tmp/disk b 8 0 && head -c1 /tmp/disk"))
    assert (done.stdout, done.code) == (b"", 1), done
    assert re.search(b"Operation not permitted|Permission denied", done.stderr), done


def test_a_harmless_node_of_its_own_opens(peer: Peer) -> None:
    """A node that the container makes opens if the device is one of the allowed."""
    assert peer.sh("mknod /tmp/zero c 1 5 && head -c1 /tmp/zero | wc -c") == "1\n"


ETC = {
    "localhost": ("grep -cE '^127.0.0.1[[:space:]]+localhost' /etc/hosts", "1\n"),
    "localhost in IPv6": ("grep -cE '^::1[[:space:]]+(localhost|ip6-localhost)' /etc/hosts", "1\n"),
    "hostname ends a line": ("wc -l < /etc/hostname", "1\n"),
    "can be written": (
        "echo x >> /etc/hosts && echo x >> /etc/resolv.conf && echo x >> /etc/hostname && echo ok",
        "ok\n",
    ),
    "of the image": ("cat /etc/alpine-release", "3.20.3\n"),
    "mtab": ("readlink /etc/mtab", "/proc/mounts\n"),
    "modes": ("stat -c '%a %u:%g' /etc/hosts /etc/hostname /etc/resolv.conf | sort -u", "644 0:0\n"),
}


@pytest.mark.parametrize("name", ETC)
def test_etc(peer: Peer, name: str) -> None:
    script, expected = ETC[name]
    assert peer.sh(script) == expected


def test_the_name_is_the_short_id(peer: Peer) -> None:
    [ours] = set(peer.sh("hostname; cat /etc/hostname; echo $HOSTNAME").split())
    assert re.fullmatch("[0-9a-f]{12}", ours)


def test_the_container_knows_its_own_name(peer: Peer) -> None:
    assert "box" in peer.sh("cat /etc/hosts", "-h", "box").split()


def test_the_root_directory(peer: Peer) -> None:
    """Only the file that tells a container from a machine differs: see the table of known differences."""
    top = "bin dev etc home lib media mnt opt proc root run sbin srv sys tmp usr var"
    assert peer.sh("ls -A /").split() == top.split()
    assert peer.sh("stat -c '%a %u:%g' /") == "755 0:0\n"
