"""Root of a container with ids of its own is not root of the host, nor of another such container; and hosts that cannot
have one."""

from __future__ import annotations

import json
import os
import pathlib
import stat
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest
from lab.command import Command
from lab.processes import within

from .conftest import FIRST, GROUPS, MAP

pytestmark = pytest.mark.root

NONE = ("--network", "none")


@pytest.fixture
def shared(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory of the host that everybody may use, with a secret of root's in it."""
    tmp_path.chmod(0o755)
    directory = tmp_path / "shared"
    directory.mkdir()
    directory.chmod(0o777)
    secret = directory / "secret"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    return directory


def _attempt(alpine: Command, script: str, *options: str) -> bytes:
    """What SCRIPT prints on both outputs."""
    done = alpine("run", "--rm", *NONE, *options, "owned", "sh", "-c", f"exec 2>&1; {script}")
    assert b"mydocker" not in done.stdout + done.stderr, done
    return done.stdout


@pytest.mark.parametrize("more", [(), ("--privileged",)])
def test_files_of_the_host_s_root_are_closed(alpine: Command, shared: pathlib.Path, more: tuple[str, ...]) -> None:
    volume = (*MAP, "-v", f"{shared}:/host", *more)
    attacks = {
        "cat /host/secret": b"Permission denied",
        "echo > /host/secret": b"denied",
        "chmod 666 /host/secret": b"Operation not permitted",
        "chown 0:0 /host/secret": b"Operation not permitted",
        "chown 70000 /srv/owned": b"Invalid argument",
        "mknod /host/disk b 8 0": b"Operation not permitted",
        "mount -t ext4 /dev/vda /mnt": b"",
        "echo b > /proc/sysrq-trigger": b"",
        "echo x > /proc/sys/kernel/core_pattern": b"",
        "echo 1 > /proc/sys/vm/drop_caches": b"",
        "umount -l /proc; umount -l /; cat /host/../../../../etc/shadow": b"",
    }
    script = "; ".join(f"echo '== {each}'; {each} && echo DONE" for each in attacks if "shadow" not in each)
    said = _attempt(alpine, script, *volume)
    assert b"DONE" not in said, said
    for part, expected in zip(said.split(b"== ")[1:], attacks.values(), strict=False):
        assert expected in part, part
    assert (shared / "secret").read_text() == "secret\n" and not (shared / "disk").exists()


def test_a_setuid_program_of_it_gives_nobody_the_host_s_root(alpine: Command, shared: pathlib.Path) -> None:
    script = "cp /bin/busybox /host/id; chown 0:0 /host/id; chmod 6755 /host/id"
    assert _attempt(alpine, script, *MAP, "-v", f"{shared}:/host") == b""
    made = (shared / "id").stat()
    assert (made.st_uid, made.st_gid, stat.S_IMODE(made.st_mode)) == (FIRST, GROUPS, 0o6755)
    # and one of the host's root is none in there
    (shared / "busybox").write_bytes((shared / "id").read_bytes())
    (shared / "busybox").chmod(0o4755)
    said = _attempt(alpine, "/host/busybox id -u", *MAP, "-u", "guest", "-v", f"{shared}:/host")
    assert said == b"405\n"


def test_two_with_automatic_ranges_are_strangers(ranged: Command, ended: list[str], shared: pathlib.Path) -> None:
    ended.append("victim")
    script = "umask 077; echo mine > /host/mine; exec sleep 600"
    options = (*NONE, "--userns", "auto", "--pid", "host", "-v", f"{shared}:/host")
    done = ranged("run", "-d", "--name", "victim", *options, "owned", "sh", "-c", script)
    assert done.code == 0, done
    assert within(100, lambda: ranged("exec", "victim", "cat", "/host/mine").stdout == b"mine\n")
    pid = json.loads(ranged("inspect", "victim").stdout)[0]["State"]["Pid"]
    attack = (
        f"exec 2>&1; kill -9 {pid} && echo DONE; ls /proc/{pid}/root/ && echo DONE; cat /host/mine && echo DONE; id -u"
    )
    capabilities = ("--cap-add", "SYS_PTRACE", "--cap-add", "SYS_ADMIN", "--cap-add", "KILL")
    attacked = ranged("run", "--rm", *options, *capabilities, "owned", "sh", "-c", attack)
    assert attacked.stdout.splitlines()[-1] == b"0" and b"DONE" not in attacked.stdout, attacked
    assert attacked.stdout.count(b"not permitted") == 1 and attacked.stdout.count(b"denied") == 2, attacked
    assert ranged("exec", "victim", "cat", "/host/mine").stdout == b"mine\n"


def test_a_read_only_volume_stays_so(alpine: Command, shared: pathlib.Path) -> None:
    script = "mount -o remount,bind,rw /host && echo DONE; touch /host/new && echo DONE"
    for more in (("--cap-add", "SYS_ADMIN"), ("--privileged",)):
        said = _attempt(alpine, script, *MAP, *more, "-v", f"{shared}:/host:ro")
        assert b"Read-only file system" in said and b"DONE" not in said
    assert not (shared / "new").exists()


def test_capabilities_of_files_count_in_its_own_namespace_alone(alpine: Command, shared: pathlib.Path) -> None:
    (shared / "busybox").write_bytes(pathlib.Path("/bin/busybox").read_bytes())
    (shared / "busybox").chmod(0o755)
    chown = struct.pack("<5I", 0x02000001, 1, 0, 0, 0)  # linux/capability.h, struct vfs_cap_data: CAP_CHOWN, effective
    os.setxattr(shared / "busybox", "security.capability", chown)
    script = (
        "/host/busybox grep CapEff /proc/self/status; /host/busybox chown 405 /host/secret /srv/removed; ls -n /srv"
    )
    said = _attempt(alpine, script, *MAP, "-u", "guest", "-v", f"{shared}:/host").decode()
    assert "CapEff:\t0000000000000001" in said and "/host/secret: Invalid argument" in said, said
    assert [line.split()[2] for line in said.splitlines() if line.endswith("removed")] == ["405"], said
    assert (shared / "secret").stat().st_uid == 0


def test_no_group_of_the_host_s_is_left(alpine: Command) -> None:
    groups = replace(alpine, prefix=("setpriv", "--groups", "0,4,27"), forks=False)
    script = "grep -E '^(Uid|Gid|Groups)' /proc/self/status"
    done = groups("run", "--rm", *NONE, *MAP, "-u", "9:9", "owned", "sh", "-c", script)
    assert done.stdout.split() == b"Uid: 9 9 9 9 Gid: 9 9 9 9 Groups: 9".split()


def test_mydocker_s_processes_in_there_cannot_be_traced(
    alpine: Command, ended: list[str], shared: pathlib.Path
) -> None:
    """Those that wait before they execute a command: its init, and commands of exec."""
    ended.append("tracer")
    words = ("--init", "--cap-add", "SYS_PTRACE", "--cap-add", "SYS_ADMIN", "owned", "sleep", "600")
    assert alpine("run", "-d", "--name", "tracer", *NONE, *MAP, *words).code == 0
    done = alpine(
        "exec", "tracer", "sh", "-c", "exec 2>&1; cat /proc/1/environ; ls -l /proc/1/exe /proc/1/fd /proc/1/cwd"
    )
    assert done.stdout.count(b"denied") == 4, done


@pytest.fixture
def on_overlay(alpine: Command, tmp_path: pathlib.Path) -> Iterator[Command]:
    """The command, with its store on a file system that has no idmapped mounts."""
    for name in ("upper", "work", "store"):
        (tmp_path / name).mkdir(mode=0o700)
    options = f"lowerdir={alpine.store},upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, tmp_path / "store"], check=True)
    try:
        environment = {**alpine.environment, "MYDOCKER_ROOT": str(tmp_path / "store")}
        yield replace(alpine, environment=environment, store=tmp_path / "store")
    finally:
        subprocess.run(["umount", "-l", tmp_path / "store"], check=True)


def test_a_store_on_a_file_system_without_idmapped_mounts(on_overlay: Command) -> None:
    done = on_overlay("run", *NONE, *MAP, "owned", "true")
    assert (done.stdout, done.code) == (b"", 125)
    assert b"the file system of the image's layers has no idmapped mounts" in done.stderr and b"ext4" in done.stderr
    assert on_overlay("run", *NONE, "owned", "true").code == 0
    checks = {each["name"]: each for each in json.loads(on_overlay("doctor", "--format", "json").stdout)["findings"]}
    assert checks["own ids"]["state"] == "weaker" and "no idmapped mounts" in checks["own ids"]["detail"]


@pytest.mark.parametrize(
    ("limit", "named"),
    [
        ("0", b"a user namespace, which this host does not grant"),
        ("9", b"cannot map the ids of a mount: operation not permitted"),
    ],
)
def test_a_host_that_grants_no_user_namespaces_or_no_ids(alpine: Command, limit: str, named: bytes) -> None:
    inner = 'echo $0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    words = ("unshare", "--user", "--map-root-user", "sh", "-ec", inner, limit)
    done = replace(alpine, prefix=words, forks=False)("run", "--network", "host", *MAP, "owned", "true")
    assert done.code == 125 and named in done.stderr, done


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--uidmap", "0:1:10", "--uidmap", "5:100:1"), "user id 5 of the container twice"),
        (("--uidmap", "0:100:10", "--uidmap", "20:105:1"), "user id 105 of the host twice"),
        (("--uidmap", "1:100000:10"), "no user id 0 of the container"),
        (("--uidmap", "0:100000:10", "--gidmap", "3:5:1"), "no group id 0 of the container"),
        (("--uidmap", "0:4294967000:1000"), "above 4294967294"),
        (("--uidmap", "+0:1:1"), "with '+' is not for root"),
        (("--userns", "nomap"), "is for ordinary users"),
        (("--userns", "private"), "takes a map"),
        (("--userns", "auto", "--uidmap", "0:1:1"), "exclude each other"),
        (("--uidmap", "0:1:100", "--subuidname", "x"), "exclude each other"),
        (("--subuidname", "nonesuch"), "/etc/subuid has no ids for nonesuch"),
        (("--uidmap", "0:100000:6"), "user 0:0 with groups 0, 1, 2, 6, 10 does not exist in this container"),
        ((*MAP, "-u", "5000"), "user 5000:0 does not exist in this container"),
        ((*MAP, "-v", "/nonesuch:/x"), "bind source /nonesuch does not exist"),
    ],
)
def test_what_cannot_be(alpine: Command, words: tuple[str, ...], named: str) -> None:
    done = alpine("run", *NONE, *words, "owned", "true")
    assert (done.stdout, done.code) == (b"", 125) or done.code == 2, done
    assert named in done.stderr.decode() and b"Traceback" not in done.stderr
    assert not [path for path in (alpine.store / "containers").iterdir() if not os.path.lexists(path / "process")]
