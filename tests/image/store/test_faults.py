"""The store in bad times: power that fails, places that cannot be written, users who share a machine."""

from __future__ import annotations

import os
import pathlib
import pwd
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from lab import oci
from lab.command import Command, Result
from lab.oci import DIR, layer
from lab.powerloss import Disk, Event, trace
from lab.processes import within
from lab.registry import Registry

from mydocker.image.store_root import checksum

root = pytest.mark.root


def _replay(events: list[Event], store: pathlib.Path) -> set[str]:
    disk = Disk(str(store))
    for event in events:
        disk.apply(event)
    return disk.lost()


@root
def test_a_power_loss_leaves_nothing_half(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    """All contents are on disk before their name, and all that an image needs before the image's name; and not one
    of the calls that see to it could be left out."""
    tars = [layer({"etc": DIR, "etc/a": os.urandom(5000)}), layer({"b": os.urandom(5000)})]
    registry.push(oci.image(tars), "faults/power")
    events = trace(mydocker, "pull", "-q", "faults/power", log=tmp_path / "trace")
    assert _replay(events, mydocker.store) == set()
    synced = {event.paths for event in events if "sync" in event.call and _is_near(event, mydocker.store)}
    assert len(synced) > 12
    assert [paths for paths in synced if not _is_missed(events, paths, mydocker.store)] == []


def _is_near(event: Event, store: pathlib.Path) -> bool:
    return event.paths[0].startswith(str(store.parent))


def _is_missed(events: list[Event], paths: tuple[str, ...], store: pathlib.Path) -> bool:
    """Whether anything is wrong if PATHS are never synced."""
    rest = [event for event in events if not ("sync" in event.call and event.paths == paths)]
    try:
        return bool(_replay(rest, store))
    except AssertionError:
        return True


@contextmanager
def _read_only(path: pathlib.Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", path, path], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
        yield
    finally:
        assert within(100, lambda: subprocess.run(["umount", path]).returncode == 0)  # what a command leaves ends soon


def _runs(command: Command, place: pathlib.Path = pathlib.Path("/run/mydocker")) -> pathlib.Path:
    """The run directories of a store in PLACE, see elsewhere.py."""
    return place / checksum(bytes(command.store)) / "containers"


def _tree(top: pathlib.Path) -> list[tuple[str, int, int]]:
    found = [(str(path), path.lstat()) for path in sorted(top.rglob("*"))]
    return [(path, status.st_size, status.st_ctime_ns) for path, status in found]


@root
def test_a_read_only_store_is_a_source(mydocker: Command, tmp_path: pathlib.Path) -> None:
    assert mydocker("pull", "-q", "alpine").code == 0
    before, runs = _tree(mydocker.store), _runs(mydocker)
    with _read_only(mydocker.store):
        for policy in ("never", "missing", "always"):
            words = ("run", "--network", "none", "--pull", policy, "alpine", "sh", "-c", "echo hey > /x; cat /x")
            assert mydocker(*words) == Result(b"hey\n", b"", 0)
        assert mydocker("pull", "-q", "alpine") == Result(b"", b"", 0)  # it is what the registry has
        for words in (("images",), ("inspect", "alpine"), ("history", "alpine"), ("fsck",), ("volume", "ls")):
            assert mydocker(*words).code == 0, words
        assert mydocker("save", "-o", str(tmp_path / "saved.tar"), "alpine").code == 0
        assert mydocker("push", "-q", "alpine", "--to", "faults/copy").code == 0
        refused = [
            ("pull", "faults/copy"),
            ("load", "-i", str(tmp_path / "saved.tar")),
            ("tag", "alpine", "other"),
            ("rmi", "alpine"),
            ("run", "-v", "named:/x", "alpine", "true"),
            ("run", "faults/copy", "true"),
        ]
        for words in refused:
            done = mydocker(*words)
            assert done.code == 125 and b"Read-only file system" in done.stderr, done
            assert b"Traceback" not in done.stderr
    assert _tree(mydocker.store) == before
    assert list(runs.iterdir()) == []


@root
def test_the_filter_of_a_read_only_store_is_found_there(mydocker: Command, tmp_path: pathlib.Path) -> None:
    """It is not compiled again at each start, which takes longer than all the rest, nor kept anywhere else."""
    words = ("run", "--network", "none", "alpine", "true")
    assert mydocker(*words).code == 0
    traced = Command(pathlib.Path("/usr/bin/strace"), mydocker.environment, mydocker.directory)
    with _read_only(mydocker.store):
        trace = ("-f", "-qq", "-e", "trace=openat", "-o", str(tmp_path / "trace"))
        assert traced(*trace, *mydocker.argv(*words)).code == 0
    opened = (tmp_path / "trace").read_text()
    assert f"{mydocker.store}/seccomp/" in opened and "libseccomp" not in opened
    assert not pathlib.Path("/run/seccomp").exists()


@root
def test_what_a_killed_run_of_a_read_only_store_leaves_goes_with_the_next(mydocker: Command) -> None:
    assert mydocker("pull", "-q", "alpine").code == 0
    runs = _runs(mydocker)
    with _read_only(mydocker.store):
        running = mydocker.start("run", "-i", "--network", "none", "alpine", "sh", "-c", "echo up; cat")
        assert running.stdout and running.stdout.readline() == b"up\n"
        assert len(list(runs.iterdir())) == 1
        running.kill()
        running.communicate()
        assert mydocker("run", "--network", "none", "alpine", "true").code == 0
        assert within(100, lambda: list(runs.iterdir()) == [])  # its cleanup process may be at it still


@root
def test_an_ordinary_user_s_read_only_store(
    second_user: Command, user: pwd.struct_passwd, user_directory: Callable[[], pathlib.Path]
) -> None:
    assert second_user("pull", "-q", "alpine").code == 0
    words = ("run", "--network", "none", "alpine", "echo", "hey")
    place = user_directory()
    with _read_only(second_user.store):
        assert second_user(*words, env={"XDG_RUNTIME_DIR": str(place)}) == Result(b"hey\n", b"", 0)
        assert list(_runs(second_user, place / "mydocker").iterdir()) == []
        for unusable in ("/proc", "relative", ""):  # then $TMPDIR
            env = {"XDG_RUNTIME_DIR": unusable, "TMPDIR": str(place)}
            assert second_user(*words, env=env) == Result(b"hey\n", b"", 0)
        assert list(_runs(second_user, place / f"mydocker-{user.pw_uid}").iterdir()) == []
        refused = second_user(*words, env={"TMPDIR": "/proc"})
        assert refused.code == 125 and b"is read-only" in refused.stderr, refused
        assert b"hint: set XDG_RUNTIME_DIR or TMPDIR" in refused.stderr
        os.chown(place / "mydocker", 4242, 4242)
        refused = second_user(*words, env={"XDG_RUNTIME_DIR": str(place)})
        assert refused.code == 125 and f"{place}/mydocker belongs to user 4242".encode() in refused.stderr


@root
def test_a_store_is_its_owner_s_alone(mydocker: Command, second_user: Command) -> None:
    """And two users who pull the same image at once know nothing of each other."""
    assert mydocker("pull", "-q", "alpine").code == 0
    before = _tree(mydocker.store)
    for words in (("images",), ("run", "alpine", "true"), ("pull", "alpine"), ("prune",), ("fsck", "--repair")):
        done = second_user(*words, env={"MYDOCKER_ROOT": str(mydocker.store)})
        assert done.code == 125 and b"store" in done.stderr and b"Traceback" not in done.stderr, done
    assert _tree(mydocker.store) == before
    pulls = [command.start("pull", "-q", "alpine") for command in (mydocker, second_user) for _ in range(3)]
    assert [(*each.communicate(timeout=240), each.returncode) for each in pulls] == [(b"", b"", 0)] * 6
    for command in (mydocker, second_user):
        assert command("fsck") == Result(b"", b"", 0)
