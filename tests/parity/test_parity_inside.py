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
def test_privileged_has_no_masked_paths(privileged: Mounts, mounts: Mounts, target: str) -> None:
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
    "groups of IPv6": (
        "sed -n 's/^f[ef]0.::*[0-9][[:space:]]*//p' /etc/hosts",
        "ip6-localnet\nip6-mcastprefix\nip6-allnodes\nip6-allrouters\n",
    ),
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


FOUND = {  # image and options -> script, what it prints
    "the root is open": ("lab/closed", "-u nobody", "stat -c '%a %u:%g' /; ls -d /bin", "755 0:0\n/bin\n"),
    "the root is open with a volume": ("lab/closed", "-v /etc:/x", "stat -c '%a %u:%g' /", "755 0:0\n"),
    "volumes": ("lab/closed", "", "stat -c '%a %u:%g %n' /data /data/deep", "755 0:0 /data\n755 0:0 /data/deep\n"),
    "volumes can be written": ("lab/closed", "", "touch /data/x /data/deep/x && echo ok", "ok\n"),
    "volumes of a read-only root": ("lab/closed", "--read-only", "touch /data/x /data/deep/x && echo ok", "ok\n"),
    "a volume of a layer": ("lab/closed", "", "stat -c '%a %u' /srv/kept", "700 8\n"),
    "an image's empty HOME": ("lab/closed", "-u mail", "echo $HOME", "/var/mail\n"),
    "an empty HOME": ("library/alpine", "-u mail -e HOME=", "echo $HOME", "/var/mail\n"),
    "an empty HOME of root": ("library/alpine", "-e HOME=", "echo $HOME", "/root\n"),
    "an empty HOME of nobody known": ("library/alpine", "-u 4242 -e HOME=", "echo $HOME", "/\n"),
    "the mounts": ("library/alpine", "", "readlink /etc/mtab; grep -c ' / ' /etc/mtab", "/proc/mounts\n1\n"),
    "the mounts of a read-only root": ("library/alpine", "--read-only", "readlink /etc/mtab", "/proc/mounts\n"),
    "shared memory": ("library/alpine", "", "df /dev/shm | tail -1 | cut -d' ' -f1", "shm\n"),
    "read-only files": (
        "library/alpine",
        "--read-only",
        "for x in hosts hostname resolv.conf; do echo x 2>/dev/null >> /etc/$x || echo $x; done 2>/dev/null",
        "hosts\nhostname\nresolv.conf\n",
    ),
    "low ports": ("library/alpine", "", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start", "0\n"),
    "pings": ("library/alpine", "", "cat /proc/sys/net/ipv4/ping_group_range", "0\t2147483647\n"),
    "low ports that are set": (
        "library/alpine",
        "--sysctl net.ipv4.ip_unprivileged_port_start=80",
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
        "80\n",
    ),
    "pings that are set": (
        "library/alpine",
        "--sysctl net.ipv4.ping_group_range=5\t6",
        "cat /proc/sys/net/ipv4/ping_group_range",
        "5\t6\n",
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_found(peer: Peer, name: str) -> None:
    image, options, script, expected = FOUND[name]
    done = peer.run(*options.split(" ") if options else (), argv=("sh", "-c", script), image=image)
    assert done == Result(expected.encode(), b"", 0)


def test_a_link_of_the_image_to_the_mounts_leads_to_them(peer: Peer) -> None:
    assert peer.run(argv=("grep", "-c", " / ", "/etc/mtab"), image="lab/mtab") == Result(b"1\n", b"", 0)


GROUPS = {  # options -> what /proc says of the supplementary groups
    "-u mail": "12",
    "-u daemon": "2 1",
    "-u 8": "12",
    "-u 4242": "0",
    "-u mail:users": "100",
    "-u 4242:4243": "4243",
    "-u mail: --group-add mail": "12",
    "-u mail --group-add users": "12 100",
    "-u 4242:4243 --group-add users": "100 4243",
    "-u guest": "100",
    "-u :12": "12",
    "-u nobody": "65534",
}


@pytest.mark.parametrize("options", GROUPS)
def test_the_first_group_is_among_the_others(peer: Peer, options: str) -> None:
    """Else a program can drop it, and what denies the group access denies it no more (CVE-2022-36109)."""
    done = peer.run(*options.split(), argv=("grep", "^Groups:", "/proc/self/status"))
    assert (done.stderr, done.code) == (b"", 0), done
    assert sorted(done.stdout.split()[1:]) == sorted(GROUPS[options].encode().split())


USERS = {"lab/user0": "8 12", "lab/user1": "0 100", "lab/user2": "0 0", "lab/user3": "8 12"}


@pytest.mark.parametrize("image", USERS)
def test_an_empty_part_of_the_images_user(peer: Peer, image: str) -> None:
    done = peer.run(argv=("sh", "-c", "echo $(id -u) $(id -g)"), image=image)
    assert done == Result(f"{USERS[image]}\n".encode(), b"", 0)


def test_with_the_hosts_network_the_name_is_the_hosts(peer: Peer) -> None:
    words = ("run", "--rm", "--network", "host", f"{peer.registry}/library/alpine")
    own = pathlib.Path("/proc/sys/kernel/hostname").read_text()
    done = peer.command(*words, "sh", "-c", "hostname; cat /etc/hostname; echo $HOSTNAME")
    assert (done.stdout.decode(), done.code) == (own * 3, 0), done
    named = peer.command(*words[:4], "-h", "box", *words[4:], "sh", "-c", "hostname; cat /etc/hostname")
    assert (named.stdout, named.code) == (b"box\nbox\n", 0), named


HARMLESS = {
    "null": ("/dev/null", "/some/file", "echo x > /some/file; cat /some/file; echo ok", "ok\n"),
    "null, read-only": ("/dev/null", "/some/file:ro", "cat /some/file; echo ok", "ok\n"),
    "null over a file": ("/dev/null", "/etc/alpine-release", "cat /etc/alpine-release; echo ok", "ok\n"),
    "zero": ("/dev/zero", "/z", "head -c 3 /z | wc -c", "3\n"),
    "full": ("/dev/full", "/z", "head -c 3 /z | wc -c", "3\n"),
    "random": ("/dev/random", "/z", "head -c 3 /z | wc -c", "3\n"),
    "urandom": ("/dev/urandom", "/z", "head -c 3 /z | wc -c", "3\n"),
    "all": ("/dev", "/d", "echo x > /d/null; head -c 3 /d/zero | wc -c", "3\n"),
    "all, read-only": ("/dev", "/d:ro", "echo x > /d/null; head -c 3 /d/zero | wc -c", "3\n"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_device_as_volume_opens(peer: Peer, name: str) -> None:
    source, target, script, expected = HARMLESS[name]
    assert peer.sh(script, "-v", f"{source}:{target}") == expected


def test_another_device_as_volume_does_not_open(peer: Peer) -> None:
    done = peer.run("-v", "/dev/kmsg:/m", argv=("head", "-c1", "/m"))
    assert (done.stdout, done.code) == (b"", 1), done


def test_privileged_with_the_hosts_dev_opens_its_devices(peer: Peer) -> None:
    script = "echo x > /dev/null; head -c 3 /dev/zero | wc -c; test -c /dev/kmsg && : < /dev/kmsg; echo ok"
    assert peer.sh(script, "--privileged", "-v", "/dev:/dev") == "3\nok\n"


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
