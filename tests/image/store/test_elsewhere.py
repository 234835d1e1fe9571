"""Stores that cannot hold containers: read-only ones, and those on file systems to which overlayfs cannot write."""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from lab import oci
from lab.command import Command, Result
from lab.processes import within

from mydocker.image.store import file_system

root = pytest.mark.root
NONE = ("run", "--network", "none")
COMPOSE = """\
services:
  db: {image: alpine, network_mode: none, command: [sh, -c, "echo up; sleep 1000"]}
  web: {image: alpine, network_mode: none, depends_on: [db], command: [echo, hey]}
"""
CASE = """\
image: alpine
network_mode: none
command: echo hey
expect: {stdout: hey}
"""


@pytest.fixture
def store(alpine: Command, tmp_path: pathlib.Path) -> pathlib.Path:
    """A store with alpine alone, which a test may change."""
    path, archive = tmp_path / "store", str(tmp_path / "alpine.tar")
    assert alpine("save", "--format", "oci-archive", "-o", archive, "alpine").code == 0
    assert _at(alpine, path)("load", "-i", archive).code == 0
    return path


def _at(command: Command, store: pathlib.Path, *prefix: str) -> Command:
    environment = {**command.environment, "MYDOCKER_ROOT": str(store)}
    return replace(command, environment=environment, store=store, prefix=prefix, forks=False)


@contextmanager
def _mounted(path: pathlib.Path, *mount: str | pathlib.Path) -> Iterator[pathlib.Path]:
    path.mkdir(exist_ok=True)
    subprocess.run([*mount, path], check=True)
    try:
        yield path
    finally:  # what a command leaves behind ends a moment after it
        assert within(100, lambda: subprocess.run(["umount", path]).returncode == 0)


@contextmanager
def _view(store: pathlib.Path, path: pathlib.Path) -> Iterator[pathlib.Path]:
    """STORE at PATH, read-only."""
    with _mounted(path, "mount", "--bind", store):
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
        yield path


@contextmanager
def _fuse(upper: pathlib.Path, path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of FUSE at PATH, whose files are in UPPER; it has no renameat2(2) with RENAME_WHITEOUT."""
    work, lower = path.with_name("fuse-work"), path.with_name("fuse-lower")
    work.mkdir()
    lower.mkdir()
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    with _mounted(path, "fuse-overlayfs", "-o", options):
        yield path


def _works(there: Command) -> None:
    """Whatever runs containers does so."""
    directory = there.directory
    assert there(*NONE, "alpine", "sh", "-c", "echo hey > /x; cat /x") == Result(b"hey\n", b"", 0)
    name = f"far-{directory.name}"
    assert (
        there("run", "-d", "--network", "none", "--name", name, "alpine", "sh", "-c", "echo a >> /x; sleep 1000").code
        == 0
    )
    assert within(100, lambda: there("exec", name, "cat", "/x").stdout == b"a\n")
    assert name.encode() in there("ps").stdout
    assert there("restart", "-t", "0", name).code == 0
    assert within(100, lambda: there("exec", name, "cat", "/x").stdout == b"a\na\n")
    assert there("rm", "-f", name).code == 0
    (directory / "compose.yaml").write_text(COMPOSE)
    done = there("up", "--exit-code-from", "web", str(directory / "compose.yaml"))
    assert done.code == 0 and b"hey" in done.stdout, done
    (directory / "one.yaml").write_text("image: alpine\nnetwork_mode: none\ncommand: echo one\n")
    assert there("up", str(directory / "one.yaml")).stdout == b"one\n"
    (directory / "a.smoke.yaml").write_text(CASE)
    done = there("test", str(directory / "a.smoke.yaml"))
    assert done.code == 0 and b"1 passed" in done.stdout, done


@root
def test_a_read_only_store(alpine: Command, store: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with _view(store, tmp_path / "view") as view:
        there = replace(_at(alpine, view), directory=tmp_path)
        assert there("save", "--format", "squashfs", "-o", str(tmp_path / "app.sqfs"), "alpine") == Result(b"", b"", 0)
        _works(there)
        checks = there("doctor").stdout.decode()
        assert f"{view} is read-only, on " in checks and "its containers are in /run/mydocker/" in checks


@root
def test_a_store_to_which_overlayfs_cannot_write(alpine: Command, store: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with _fuse(store, tmp_path / "fuse") as fuse:
        there = replace(_at(alpine, fuse), directory=tmp_path)
        _works(there)
        assert "its containers are in /run/mydocker/" in there("doctor").stdout.decode()
        assert list((fuse / "containers").iterdir()) == []


@root
def test_opaque_directories_do_not_let_files_appear_again(
    alpine: Command, store: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """The file system has no attributes, as NFS has none that begin with `trusted`."""
    layers = [oci.layer({"d": oci.Dir(), "d/old": b"1"}), oci.layer({"d": oci.Dir(), "d/": oci.OPAQUE, "d/new": b"2"})]
    oci.write_layout(tmp_path / "layout", oci.image(layers), tag="opaque")
    assert _at(alpine, store)("pull", "-q", f"oci:{tmp_path}/layout:opaque").code == 0
    with _mounted(tmp_path / "plain", "mount", "-t", "ramfs", "none") as plain:
        subprocess.run(["cp", "-a", store, plain], check=True, capture_output=True)
        (plain / "store").chmod(0o700)
        plain.chmod(0o755)
        there = _at(alpine, plain / "store")
        assert there(*NONE, "alpine", "echo", "hey").stdout == b"hey\n"
        for words in (("localhost/layout:opaque",), ("--pull", "never", "localhost/layout:opaque")):
            done = there(*NONE, *words, "true")
            assert done.code == 125 and b"hides directories of lower layers" in done.stderr, done
        done = there("pull", "-q", f"oci:{tmp_path}/layout:opaque", env={"MYDOCKER_ROOT": str(plain / "new")})
        assert done.code == 125 and b"Operation not supported" in done.stderr, done


@root
def test_a_store_of_which_others_cannot_be_known_is_not_cleared(
    alpine: Command, store: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with _fuse(store, tmp_path / "fuse") as fuse:
        there = _at(alpine, fuse)
        assert there("rmi", "alpine").code == 0
        layers = list((fuse / "layers").iterdir())
        for words in (("prune",), ("fsck", "--repair")):
            done = there(*words)
            assert done.code == 125 and b"containers on other machines use cannot be known" in done.stderr, done
            assert b"--force" in done.stderr
        assert list((fuse / "layers").iterdir()) == layers != []
        assert there("prune", "--dry-run").code == there("fsck").code == 0
        assert there("fsck", "--repair", "--force").code == 0
        assert there("prune", "--force").code == 0
        assert list((fuse / "layers").iterdir()) == []


@contextmanager
def _running(command: Command, *words: str, options: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """A container that says up, and lives until it reads a line."""
    running = command.start(*NONE, "-i", *options, "alpine", "sh", "-c", f"echo up; read x; {' '.join(words)}")
    try:
        assert running.stdout and running.stdout.readline() == b"up\n"
        yield running
    finally:
        running.kill()
        running.communicate()


SEPARATE = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o mode=755 none /run && exec "$@"', "sh")


@root
@pytest.mark.parametrize("prefix", [(), SEPARATE], ids=["the-same-machine", "only-the-lock-is-common"])
def test_what_runs_through_another_view_keeps_its_layers(
    alpine: Command, store: pathlib.Path, tmp_path: pathlib.Path, prefix: tuple[str, ...]
) -> None:
    """Its directory is in /run, where another machine would not see it."""
    owner, layers = _at(alpine, store, *prefix), store / "layers"
    with _view(store, tmp_path / "view") as view, _running(_at(alpine, view), "ls /bin | wc -l") as running:
        assert owner("rmi", "alpine").code == 0
        for words in (("prune", "--dry-run"), ("prune",), ("prune", "--force")):
            done = owner(*words)
            assert done.code == 0 and b" 0 B\n" in done.stdout and b"layer" not in done.stdout, done
        [layer] = layers.iterdir()
        (layer / "bin/added").write_text("")
        assert b"left alone: a running container uses it" in owner("fsck", "--repair").stdout
        (layer / "bin/added").unlink()
        there, _ = running.communicate(b"\n")
        assert int(there) > 20 and running.returncode == 0
    assert b"layer sha256-" in owner("prune").stdout
    assert list(layers.iterdir()) == []


@root
def test_a_killed_run_keeps_its_layers_until_its_container_is_gone(
    alpine: Command, store: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """The cleanup process holds the lock, too."""
    owner = _at(alpine, store, *SEPARATE)
    with _view(store, tmp_path / "view") as view, _running(_at(alpine, view), "true") as running:
        children = pathlib.Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        assert within(100, lambda: sum(_holds(pid, store / "blobs") for pid in (str(running.pid), *children)) == 2)
        running.kill()
        running.communicate()
        assert _at(alpine, view)(*NONE, "alpine", "true").code == 0  # sweeps
    assert owner("rmi", "alpine").code == 0
    assert b"layer sha256-" in owner("prune").stdout


def _holds(pid: str, directory: pathlib.Path) -> bool:
    """Whether process PID has a file open that is in DIRECTORY, or in another view of it."""
    inodes = {path.stat().st_ino for path in directory.rglob("*")}
    found = set()
    with suppress(FileNotFoundError):  # it has ended
        for each in os.listdir(f"/proc/{pid}/fd"):
            with suppress(FileNotFoundError):
                found.add(os.stat(f"/proc/{pid}/fd/{each}").st_ino)
    return bool(inodes & found)


@root
def test_an_image_that_is_removed_before_the_lock_is_held(
    alpine: Command, store: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Found, and then gone: the run says so, and leaves nothing."""
    with _view(store, tmp_path / "view") as view:
        there = _at(alpine, view)
        [manifest] = [path for path in (store / "blobs/sha256").iterdir() if "layers" in json.loads(path.read_bytes())]
        manifest.unlink()
        done = there(*NONE, "--pull", "never", "alpine", "true")
        assert done.code == 125 and b"the image has been removed meanwhile" in done.stderr, done
        assert there("ps", "-q").stdout == b""


@pytest.fixture
def runtime(user: pwd.struct_passwd) -> Iterator[pathlib.Path]:
    """The directory that systemd makes for a user who has a session."""
    path = pathlib.Path("/run/user", str(user.pw_uid))
    path.mkdir(parents=True, mode=0o700)
    os.chown(path, user.pw_uid, user.pw_gid)
    yield path
    shutil.rmtree(path)


@pytest.mark.rootless
@pytest.mark.parametrize("first", ["with a session", "after su"])
def test_one_in_the_foreground_is_found_from_elsewhere(
    second_user: Command, runtime: pathlib.Path, first: str, tmp_path: pathlib.Path
) -> None:
    """By a command in whose environment the directory for its state is not named, or by which alone it is."""
    assert second_user("pull", "-q", "alpine").code == 0
    session = {**second_user.environment, "XDG_RUNTIME_DIR": str(runtime)}
    plain = {key: value for key, value in second_user.environment.items() if key != "XDG_RUNTIME_DIR"}
    one, other = (session, plain) if first == "with a session" else (plain, session)
    with _mounted(second_user.store, "mount", "--bind", second_user.store):
        subprocess.run(["mount", "-o", "remount,bind,ro", second_user.store], check=True)
        starts, looks = (replace(second_user, environment=each, forks=False) for each in (one, other))
        for words in (("exec", "far", "echo", "inside"), ("stop", "-t", "0", "far")):
            with _running(starts, "true", options=("--name", "far")) as running:
                assert looks("ps", "--format", "{{.Names}}").stdout == b"far\n"
                done = looks(*words)
                assert done.code == 0 and done.stdout in (b"inside\n", b"far\n"), done
                if words[0] == "stop":
                    assert running.wait(100) == 137
            assert within(100, lambda: looks("ps", "-q").stdout == b"")  # what was killed is cleared away


@pytest.mark.rootless
def test_a_place_that_has_containers_stays(
    second_user: Command, user: pwd.struct_passwd, tmp_path: pathlib.Path
) -> None:
    """Also when one that comes before it is there later."""
    assert second_user("pull", "-q", "alpine").code == 0
    plain = {key: value for key, value in second_user.environment.items() if key != "XDG_RUNTIME_DIR"}
    late = second_user.directory / "late"
    late.mkdir(mode=0o700)
    os.chown(late, user.pw_uid, user.pw_gid)
    with _mounted(second_user.store, "mount", "--bind", second_user.store):
        subprocess.run(["mount", "-o", "remount,bind,ro", second_user.store], check=True)
        starts = replace(second_user, environment=plain, forks=False)
        looks = replace(starts, environment={**plain, "XDG_RUNTIME_DIR": str(late)})
        with _running(starts, "true", options=("--name", "far")):
            assert looks("ps", "--format", "{{.Names}}").stdout == b"far\n"
            assert looks("exec", "far", "echo", "inside").stdout == b"inside\n"


@root
def test_a_local_store_is_asked_for_its_file_system_once(alpine: Command, tmp_path: pathlib.Path) -> None:
    traced = Command(pathlib.Path("/usr/bin/strace"), alpine.environment, alpine.directory)
    words = ("-f", "-qq", "-e", "trace=%file,%desc", "-o", str(tmp_path / "trace"))
    assert traced(*words, *_at(alpine, alpine.store).argv(*NONE, "alpine", "true")).code == 0
    lines = (tmp_path / "trace").read_text().splitlines()
    assert len([line for line in lines if f'statfs("{alpine.store}/containers"' in line]) == 1
    assert not [line for line in lines if "F_OFD_" in line or "/blobs/" in line and "O_RDWR" in line]


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("nfs", ("rw", "vers=4.2", "local_lock=none"), ""),
        ("nfs", ("rw", "vers=3", "local_lock=flock"), ""),  # flock(2) alone
        ("nfs", ("rw", "vers=3", "nolock", "local_lock=all"), "it is mounted with local_lock=all"),
        ("nfs", ("rw", "vers=3", "local_lock=posix"), "it is mounted with local_lock=posix"),
        ("cifs", ("rw",), ""),
        ("smb3", ("rw", "nobrl"), "it is mounted with nobrl"),
        ("lustre", ("rw", "flock"), ""),
        ("lustre", ("rw", "localflock"), "it is not mounted with flock"),
        ("lustre", ("rw",), "it is not mounted with flock"),
        ("ceph", (), ""),
        ("9p", ("trans=virtio",), "9p keeps locks to this machine"),
        ("beegfs", (), "beegfs keeps locks to this machine"),
        ("fuse.sshfs", (), "fuse.sshfs keeps locks to this machine"),
    ],
)
def test_whether_other_machines_see_locks(name: str, options: tuple[str, ...], why: str) -> None:
    assert file_system.why_unseen(name, options) == why


@root
def test_which_file_system_it_is(tmp_path: pathlib.Path) -> None:
    (tmp_path / "upper").mkdir()
    with _mounted(tmp_path / "memory", "mount", "-t", "tmpfs", "none") as memory:
        found = file_system.inspect(str(memory / "not/there/yet"))
        assert (found.type, found.is_upper, found.is_read_only, found.unseen) == ("tmpfs", True, False, "")
        assert list(memory.iterdir()) == []
    with _fuse(tmp_path / "upper", tmp_path / "fuse") as fuse:
        found = file_system.inspect(str(fuse))
        assert (found.type, found.is_upper) == ("fuse.fuse-overlayfs", False)
        assert found.unseen == "fuse.fuse-overlayfs keeps locks to this machine"
        assert list(fuse.iterdir()) == []
        subprocess.run(["mount", "-o", "remount,bind,ro", fuse], check=True)
        found = file_system.inspect(str(fuse))
        assert found.is_read_only and found.unseen == "fuse.fuse-overlayfs keeps locks to this machine"
