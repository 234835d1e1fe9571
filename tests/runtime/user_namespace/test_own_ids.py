"""A container with a map of ids: what it is inside and outside, and what works on it from outside."""

from __future__ import annotations

import json
import os
import pathlib
import tarfile
import urllib.request
from io import BytesIO

import pytest
from lab.command import Command
from lab.processes import within
from lab.terminal import screen, start_at

from .conftest import FIRST, GROUPS, MAP

pytestmark = pytest.mark.root

NONE = ("--network", "none")
OWNERS = "stat -c '%n %u:%g'"


def _sh(mydocker: Command, script: str, *options: str, image: str = "owned") -> str:
    """The output of SCRIPT, which must succeed silently."""
    done = mydocker("run", "--rm", *options, image, "sh", "-c", script)
    assert (done.stderr, done.code) == (b"", 0), done
    return done.stdout.decode()


def _said(mydocker: Command, *words: str) -> str:
    """What WORDS print, which must succeed silently."""
    done = mydocker(*words)
    assert (done.stderr, done.code) == (b"", 0), done
    return done.stdout.decode()


def _maps(text: str) -> list[list[int]]:
    return [[int(word) for word in line.split()] for line in text.splitlines()]


def _started(alpine: Command, ended: list[str], name: str, *words: str) -> pathlib.Path:
    """A container in the background, once it has made /ready; the directory of what it writes."""
    ended.append(name)
    done = alpine("run", "-d", "--name", name, *words)
    assert done.code == 0, done
    assert within(100, lambda: alpine("exec", name, "test", "-e", "/ready").code == 0)
    [found] = alpine.store.glob(f"background/{done.stdout.decode()[:12]}/scratch/upper")
    return found


def test_the_ids_are_those_asked_for(alpine: Command) -> None:
    read = "cat /proc/self/uid_map /proc/self/gid_map"
    assert _maps(_sh(alpine, read, *NONE, *MAP)) == [[0, FIRST, 5000], [0, GROUPS, 6000]]
    users = ("--uidmap", f"0:{FIRST}:10", "--uidmap", f"10:{FIRST + 500}:3")
    same = [[0, FIRST, 10], [10, FIRST + 500, 3]]
    assert _maps(_sh(alpine, read, *NONE, *users)) == [*same, *same]
    assert _maps(_sh(alpine, read, *NONE, "--gidmap", f"0:{GROUPS}:70")) == [[0, GROUPS, 70]] * 2
    split = ("--uidmap", f"u0:{FIRST}:40", "--uidmap", f"g0:{GROUPS}:50")
    assert _maps(_sh(alpine, read, *NONE, *split)) == [[0, FIRST, 40], [0, GROUPS, 50]]


def test_files_of_the_image_have_their_owners_inside(alpine: Command) -> None:
    paths = "/ /srv/owned /etc/shadow /bin/busybox /etc/hosts /etc/hostname /etc/resolv.conf /dev /dev/pts /dev/shm"
    expected = {"/srv/owned": "405:100", "/etc/shadow": "0:42"}
    found = dict(line.split() for line in _sh(alpine, f"{OWNERS} {paths}", *NONE, *MAP).splitlines())
    assert found == {path: expected.get(path, "0:0") for path in paths.split()}
    assert _sh(alpine, "cat /srv/owned; id; grep ^Groups /proc/self/status", *NONE, *MAP, "-u", "guest") == (
        "owned\nuid=405(guest) gid=100(users) groups=100(users)\nGroups:\t100 \n"
    )
    assert _sh(alpine, "id -u; echo x > /etc/hosts; cat /etc/hosts", *NONE, *MAP) == "0\nx\n"


def test_what_it_writes_belongs_to_its_ids_on_the_host(alpine: Command, ended: list[str]) -> None:
    script = "echo new > /new; chown guest /new; mv /srv/owned /srv/moved; touch /ready; exec sleep 600"
    upper = _started(alpine, ended, "outside", *NONE, *MAP, "owned", "sh", "-c", script)
    found = {path: os.lstat(upper / path) for path in ("", "new", "srv/moved", "ready")}
    assert {path: (status.st_uid, status.st_gid) for path, status in found.items()} == {
        "": (FIRST, GROUPS),
        "new": (FIRST + 405, GROUPS),
        "srv/moved": (FIRST + 405, GROUPS + 100),
        "ready": (FIRST, GROUPS),
    }
    [layer] = [path for path in alpine.store.glob("layers/*/srv/owned") if path.read_bytes() == b"owned\n"]
    assert (layer.stat().st_uid, layer.stat().st_gid) == (405, 100)  # as it was: nothing is copied


def test_commands_in_it(alpine: Command, ended: list[str]) -> None:
    _started(alpine, ended, "inside", *MAP, "owned", "sh", "-c", "touch /ready; exec sleep 600")
    said = _said(alpine, "exec", "inside", "sh", "-c", "id -u; cat /proc/self/uid_map; echo out > /dev/stdout")
    assert said.split() == ["0", "0", str(FIRST), "5000", "out"]
    said = _said(alpine, "exec", "-u", "guest", "inside", "sh", "-c", "id -u; cat /srv/owned > /dev/stdout; id -G")
    assert said.split() == ["405", "owned", "100"]
    assert b"does not exist" in alpine("exec", "-u", "5000", "inside", "true").stderr
    words = ("top", "inside", "-eo", "uid,pid,comm")
    assert within(100, lambda: _said(alpine, *words).split()[-3::2] == [str(FIRST), "sleep"])
    status = pathlib.Path(f"/proc/{_pid(alpine, 'inside')}/status").read_text()
    assert [line.split()[1:] for line in status.splitlines() if line.startswith(("Uid", "Gid"))] == [
        [str(FIRST)] * 4,
        [str(GROUPS)] * 4,
    ]


def _pid(alpine: Command, name: str) -> int:
    return int(json.loads(_said(alpine, "inspect", name))[0]["State"]["Pid"])


def test_a_terminal_belongs_to_its_user(alpine: Command) -> None:
    options = ("--rm", "-t", *NONE, *MAP, "-u", "guest")
    with screen() as at:
        process = start_at(at, alpine, "run", *options, "owned", "stat", "-c", "owner %u:%g", "/dev/pts/0")
        assert at.until(rb"owner (\S+)")[1] == b"405:5"
        assert process.wait(timeout=100) == 0


@pytest.mark.parametrize("runs", [True, False])
def test_copies_changes_and_layers_have_the_owners_of_the_inside(
    alpine: Command, ended: list[str], runs: bool, tmp_path: pathlib.Path
) -> None:
    name = f"copied-{runs}".lower()
    script = (
        "chown 7:8 /data; rm /srv/removed; test -e /mine || { echo > /mine; chown guest:mail /mine; }; touch /ready"
    )
    _started(alpine, ended, name, *NONE, *MAP, "owned", "sh", "-c", f"{script}; exec sleep 600")
    if not runs:
        assert alpine("stop", "-t", "0", name).code == 0
    (tmp_path / "sent").write_text("sent\n")
    assert alpine("cp", str(tmp_path / "sent"), f"{name}:/srv/sent").code == 0
    changed = ["C /data", "A /mine", "A /ready", "C /srv", "D /srv/removed", "A /srv/sent"]
    assert _said(alpine, "diff", name).splitlines() == changed
    assert alpine("cp", "-a", f"{name}:/mine", str(tmp_path / "taken")).code == 0
    assert ((tmp_path / "taken").stat().st_uid, (tmp_path / "taken").stat().st_gid) == (405, 12)
    expected = {"mine": (405, 12), "srv/owned": (405, 100), "srv/sent": (0, 0), "data": (7, 8), "etc/shadow": (0, 42)}
    with tarfile.open(fileobj=BytesIO(alpine("export", name).stdout)) as tar:
        assert {path: (tar.getmember(path).uid, tar.getmember(path).gid) for path in expected} == expected
        assert "srv/removed" not in tar.getnames()
    assert alpine("commit", name, f"lab/{name}:1").code == 0
    paths = " ".join(f"/{path}" for path in expected)
    lines = _sh(alpine, f"{OWNERS} {paths}; ls /srv", *NONE, image=f"lab/{name}:1").splitlines()
    assert lines[:5] == [f"/{path} {user}:{group}" for path, (user, group) in expected.items()]
    assert "removed" not in lines
    if not runs:
        assert alpine("start", name).code == 0
        assert _said(alpine, "exec", name, "stat", "-c", "%u:%g", "/mine", "/srv/sent") == "405:12\n0:0\n"


def test_volumes(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("host\n")
    tmp_path.chmod(0o755)
    volumes = ("-v", "mapped-full:/data", "-v", "mapped-new:/new", "--tmpfs", "/t:uid=405,gid=100,mode=700")
    volumes += ("-v", f"{tmp_path}:/host", "-v", f"{tmp_path}:/own:idmap", "-v", f"{tmp_path}:/over:O")
    script = f"{OWNERS} /data /data/x /new /t /host/file /own/file /over/file; touch /new/a /own/b; chown guest /own/b"
    try:
        found = dict(line.split() for line in _sh(alpine, script, *NONE, *MAP, *volumes).splitlines())
        assert found == {
            **{"/data": "405:100", "/data/x": "405:100", "/new": "0:0", "/t": "405:100"},
            **{"/host/file": "65534:65534", "/own/file": "0:0", "/over/file": "65534:65534"},
        }
        assert (tmp_path / "b").stat().st_uid == 405
        place = alpine.store / "volumes"
        assert (place / "mapped-full/data/x").stat().st_uid == FIRST + 405
        assert (place / "mapped-new/data/a").stat().st_gid == GROUPS
        # as Podman's: what is in a volume keeps its owners, which another map shows as nobody's
        assert _sh(alpine, f"{OWNERS} /new/a", *NONE, "--uidmap", "0:900000:99", "-v", "mapped-new:/new") == (
            "/new/a 65534:65534\n"
        )
    finally:
        alpine("volume", "rm", "mapped-full", "mapped-new")


def test_a_volume_without_a_name_and_a_root_that_is_read_only(alpine: Command) -> None:
    script = f"touch /data/a; {OWNERS} /data/a /data/x; touch /new 2> /dev/null || echo closed"
    said = _sh(alpine, script, *NONE, *MAP, "--read-only", "-v", "/data")
    assert said == "/data/a 0:0\n/data/x 405:100\nclosed\n"


def test_a_network_belongs_to_it(alpine: Command) -> None:
    sysctls = ("--sysctl", "net.ipv4.ip_default_ttl=77", "--sysctl", "kernel.shmmni=99")
    script = "cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/shmmni /proc/sys/net/ipv4/ping_group_range"
    assert _sh(alpine, script, *MAP, *sysctls).split() == ["77", "99", "0", "5999"]


def test_a_published_port_reaches_it(alpine: Command, ended: list[str]) -> None:
    script = "httpd -p 80 -h /srv; touch /ready; exec sleep 600"
    _started(
        alpine, ended, "served", "-p", "127.0.0.1::80", *MAP, "owned", "sh", "-c", f"chmod 644 /srv/owned; {script}"
    )
    address = _said(alpine, "port", "served", "80").strip()
    with urllib.request.urlopen(f"http://{address}/owned", timeout=100) as page:
        assert page.read() == b"owned\n"
    assert "CPU" in _said(alpine, "stats", "--no-stream", "served")


def test_an_init_and_the_host_s_processes(alpine: Command) -> None:
    assert "mydocker-init" in _sh(alpine, "ps", *NONE, *MAP, "--init")
    assert int(_sh(alpine, "ps | wc -l; ", *NONE, *MAP, "--pid", "host")) > 5
    shared = _sh(alpine, "readlink /proc/self/ns/net; ls /sys/class/net", "--network", "host", *MAP).split()
    assert shared[0] == os.readlink("/proc/self/ns/net") and "lo" in shared[1:]


def test_a_privileged_one_has_all_capabilities_of_its_own_namespace_alone(alpine: Command) -> None:
    script = "grep CapEff /proc/self/status; mount -t tmpfs x /mnt && echo mounted; cat /proc/self/uid_map"
    words = _sh(alpine, script, *NONE, *MAP, "--privileged").split()
    assert words[1].lstrip("0").startswith("1ff") and words[2:4] == ["mounted", "0"]


def test_a_directory_and_the_machine_as_root(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "bin").mkdir(parents=True)
    (tmp_path / "bin" / "busybox").write_bytes(pathlib.Path("/bin/busybox").read_bytes())
    (tmp_path / "bin" / "busybox").chmod(0o755)
    own = alpine("run", "--rm", *NONE, *MAP, "--rootfs", str(tmp_path), "/bin/busybox", "stat", "-c", "%u", "/bin")
    assert (own.stdout, own.code) == (b"0\n", 0), own
    script = "stat -c %u / /run /etc; touch /new /run/new && echo made; cat /etc/shadow"
    machine = alpine("run", "--rm", *NONE, *MAP, "--rootfs", "/", "sh", "-c", script)
    assert machine.stdout.split() == [b"0", b"0", b"65534", b"made"] and b"Permission denied" in machine.stderr


def test_a_case_sees_its_files_by_their_owners_inside(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "case.yaml").write_text(
        f"""
image: owned
uidmap: ["0:{FIRST}:5000"]
network_mode: none
command: [sh, -c, "touch /mine; chown guest /mine; rm /srv/removed; stat -c %u:%g /s"]
configs: [{{content: hi, target: /s, uid: 405, gid: 100, mode: 0400}}]
healthcheck: {{test: "id -u", interval: 1s}}
expect:
  stdout: "405:100\\n"
  files:
    - {{path: /mine, owner: guest}}
    - {{path: /srv/owned, owner: guest, mode: "0600", contents: "owned\\n"}}
  changes: {{only: [/mine, /srv/removed]}}
"""
    )
    done = alpine("test", str(tmp_path / "case.yaml"))
    assert done.code == 0, done.stdout.decode()


def test_a_healthcheck_is_executed_with_its_ids(alpine: Command, ended: list[str]) -> None:
    check = ("--health-cmd", "test $(id -u) = 405 && cat /srv/owned > /dev/stdout", "--health-interval", "100ms")
    _started(
        alpine,
        ended,
        "healthy",
        *NONE,
        *MAP,
        *check,
        "-u",
        "guest",
        "--tmpfs",
        "/ready:mode=777",
        "owned",
        "sleep",
        "600",
    )
    assert within(
        20, lambda: json.loads(_said(alpine, "inspect", "healthy"))[0]["State"]["Health"]["Status"] == "healthy"
    )


def test_what_is_kept_has_the_owners_of_the_inside(alpine: Command) -> None:
    done = alpine("run", "--keep", *NONE, *MAP, "owned", "sh", "-c", "echo > /kept; chown guest:mail /kept; false")
    [kept] = alpine.store.glob(f"kept/{done.stderr.split()[-1].decode()}/0/kept")
    assert (kept.stat().st_uid, kept.stat().st_gid) == (405, 12)


def test_it_says_its_map(alpine: Command, ended: list[str]) -> None:
    _started(alpine, ended, "said", *NONE, *MAP, "owned", "sh", "-c", "touch /ready; exec sleep 600")
    host = json.loads(_said(alpine, "inspect", "said"))[0]["HostConfig"]
    assert (host["UsernsMode"], host["IDMappings"]) == (
        "private",
        {"UidMap": [f"0:{FIRST}:5000"], "GidMap": [f"0:{GROUPS}:6000"]},
    )
    plan = json.loads(_said(alpine, "run", "--dry-run", *MAP, "owned", "true"))
    assert plan["id_map"] == {
        "users": [{"inside": 0, "outside": FIRST, "count": 5000}],
        "groups": [{"inside": 0, "outside": GROUPS, "count": 6000}],
    }
    assert b"user namespace of its own" in alpine("explain", "--shell", "run", *MAP, "owned", "true").stderr


def test_nothing_is_left(alpine: Command) -> None:
    before = {path.name for path in (alpine.store / "containers").iterdir()}
    assert alpine("run", *NONE, *MAP, "owned", "true").code == 0
    assert alpine("run", *NONE, *MAP, "owned", "/nonesuch").code == 127
    assert {path.name for path in (alpine.store / "containers").iterdir()} <= before
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    assert str(alpine.store / "containers") not in mounts
