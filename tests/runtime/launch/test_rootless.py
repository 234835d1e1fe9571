"""Containers of an ordinary user: which ids they have, whose their files are, and that nothing of them is left."""

from __future__ import annotations

import os
import pwd
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import pytest
from lab.busybox import alpine as alpine_image
from lab.command import Command, Result, granted
from lab.oci import Dir, File, layer
from lab.processes import within
from lab.registry import Registry

pytestmark = [pytest.mark.root, pytest.mark.rootless]

FIRST = 300_000


@pytest.fixture
def ranges(user: pwd.struct_passwd) -> Iterator[int]:
    """Grants the user ids; the first of them."""
    with granted(user, FIRST):
        yield FIRST


def _sh(mydocker: Command, script: str, *options: str, image: str = "alpine") -> str:
    """The output of SCRIPT, which must succeed silently."""
    done = mydocker("run", *options, image, "sh", "-c", script)
    assert (done.stderr, done.code) == (b"", 0), done
    return done.stdout.decode()


def _uid_map(mydocker: Command, *options: str) -> list[list[int]]:
    """What the host sees: in a network of its own, a container is in a user namespace below another."""
    options = ("--network", "none", *options)
    text = _sh(mydocker, "cat /proc/self/uid_map; cat /proc/self/gid_map", *options)
    return [[int(word) for word in line.split()] for line in text.splitlines()]


def test_without_ranges_there_is_one_id(second_user: Command, user: pwd.struct_passwd) -> None:
    assert _uid_map(second_user) == [[0, user.pw_uid, 1], [0, user.pw_gid, 1]]
    assert _sh(second_user, "stat -c %u:%g /etc/shadow /bin; id -G") == "0:0\n0:0\n0\n"
    done = second_user("run", "-u", "guest", "alpine", "true")
    assert (done.code, done.stdout) == (125, b"")
    assert b"user 405:100 does not exist in this container" in done.stderr and b"/etc/subuid" in done.stderr


def test_with_ranges_the_image_s_users_exist(second_user: Command, user: pwd.struct_passwd, ranges: int) -> None:
    own = [[0, user.pw_uid, 1], [1, ranges, 65536]]
    assert _uid_map(second_user) == [*own, [0, user.pw_gid, 1], [1, ranges, 65536]]
    assert _sh(second_user, "stat -c %u:%g /etc/shadow /bin; id -G") == "0:42\n0:0\n0 1 2 6 10\n"
    assert _sh(second_user, "id -u; id -g; id -G", "-u", "guest") == "405\n100\n100\n"
    assert _sh(second_user, "id -u; id -g; id -G", "-u", "65536:7") == "65536\n7\n7\n"
    assert b"user 65537:0 does not exist" in second_user("run", "-u", "65537", "alpine", "true").stderr


def test_an_ordinary_user_raises_the_oom_score_and_does_not_lower_it(second_user: Command) -> None:
    """What it may be lowered to again is what a process with CAP_SYS_RESOURCE has set."""
    assert _sh(second_user, "cat /proc/self/oom_score_adj", "--oom-score-adj", "300") == "300\n"
    raised = ["sh", "-c", 'echo 200 > /proc/self/oom_score_adj; exec "$0" "$@"']
    run = replace(second_user, prefix=[*second_user.prefix, *raised])
    assert _sh(run, "cat /proc/self/oom_score_adj") == "200\n"
    done = run("run", "--oom-score-adj", "-1000", "alpine", "true")
    assert (done.stdout, done.code) == (b"", 125)
    assert b"oom_score_adj -1000: this host does not let mydocker lower its own, which is 200" in done.stderr


def test_a_terminal_belongs_to_the_group_tty(second_user: Command, ranges: int) -> None:
    for _ in range(20):  # the output of a command that ends at once arrives nevertheless
        assert second_user("run", "-t", "alpine", "stat", "-c", "%g", "/dev/pts/0") == Result(b"5\r\n", b"", 0)


def test_a_user_of_the_image_is_a_granted_one_outside(
    second_user: Command, ranges: int, user: pwd.struct_passwd
) -> None:
    """What the container writes to a volume as root is the user's; as another, the granted id's."""
    shared = second_user.directory / "shared"
    shared.mkdir(mode=0o777)
    shared.chmod(0o777)
    _sh(second_user, "touch /mnt/a; chown 8:12 /mnt/a; touch /mnt/b", "-v", f"{shared}:/mnt")
    owners = [((shared / name).stat().st_uid, (shared / name).stat().st_gid) for name in ("a", "b")]
    assert owners == [(ranges + 7, ranges + 11), (user.pw_uid, user.pw_gid)]


CLOSED = "mkdir -p /data/a/b /data/c; chown -R 1000:1000 /data; chmod -R 700 /data"


def test_files_of_others_are_removed(second_user: Command, ranges: int) -> None:
    _sh(second_user, CLOSED)
    assert os.listdir(second_user.store / "containers") == []


def test_files_of_others_are_removed_after_a_sudden_death(second_user: Command, ranges: int) -> None:
    assert second_user("run", "alpine", "true").code == 0
    process = second_user.start("run", "alpine", "sh", "-c", f"{CLOSED}; echo ready; exec sleep 1000")
    with process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        os.kill(process.pid, signal.SIGKILL)
    assert within(100, lambda: os.listdir(second_user.store / "containers") == [])


def test_files_of_others_are_swept(second_user: Command, ranges: int, user: pwd.struct_passwd) -> None:
    """A run directory that has lost its cleanup process too."""
    assert second_user("run", "alpine", "true").code == 0
    left = second_user.store / "containers" / "0123456789ab"
    owners = {left: user.pw_uid, left / "scratch": user.pw_uid, left / "scratch/x": ranges + 9}
    for path, owner in {**owners, left / "scratch/x/y": ranges + 10}.items():
        path.mkdir(mode=0o700)
        os.chown(path, owner, owner)
    assert second_user("run", "alpine", "true") == Result(b"", b"", 0)
    assert os.listdir(second_user.store / "containers") == []


def test_what_cannot_be_swept_is_in_nobody_s_way(second_user: Command, user: pwd.struct_passwd) -> None:
    """The user has lost the ids that own the files."""
    assert second_user("run", "alpine", "true").code == 0
    left = second_user.store / "containers" / "0123456789ab"
    left.mkdir()
    os.chown(left, user.pw_uid, user.pw_gid)
    (left / "x").mkdir(mode=0o700)
    os.chown(left / "x", FIRST, FIRST)
    assert second_user("run", "alpine", "true") == Result(b"", b"", 0)


def test_a_store_is_right_when_ranges_come_and_go(second_user: Command, user: pwd.struct_passwd) -> None:
    """A layer keeps the owners that it was unpacked with; another map needs another copy."""
    show = ("run", "alpine", "stat", "-c", "%u:%g", "/etc/shadow")
    assert second_user(*show).stdout == b"0:0\n"
    with granted(user, FIRST):
        assert second_user(*show).stdout == b"0:42\n"
    with granted(user, FIRST + 100_000):
        assert second_user(*show).stdout == b"0:42\n"
    assert second_user("run", "--pull", "never", *show[1:]).stdout == b"0:0\n"


def test_layers_with_owners_of_all_kinds(second_user: Command, registry: Registry, ranges: int) -> None:
    """Closed directories and set-id bits too; what a layer says of its root does not count."""
    odd = layer({
        ".": Dir(mode=0o711, uid=1000, gid=1000),
        "closed": Dir(mode=0o700, uid=33, gid=33),
        "closed/x": File(b"x", mode=0o600, uid=34, gid=35),
        "setuid": File(b"x", mode=0o6755, uid=65536, gid=65536),
    })  # fmt: skip
    registry.push(alpine_image(odd), "test/owners")
    script = "stat -c %u:%g:%a / /closed /closed/x /setuid"
    expected = "0:0:755\n33:33:700\n34:35:600\n65536:65536:6755\n"
    assert _sh(second_user, script, image="test/owners") == expected


def test_an_owner_beyond_the_ranges_is_an_error(second_user: Command, registry: Registry, ranges: int) -> None:
    registry.push(alpine_image(layer({"x": File(b"x", uid=65537)})), "test/beyond")
    done = second_user("run", "test/beyond", "true")
    assert done.code == 125 and b"Traceback" not in done.stderr
    assert b"the image has more users than /etc/subuid" in done.stderr
    assert list((second_user.store / "incoming").iterdir()) == []


def test_a_caller_who_may_not_gain_privileges_has_one_id(second_user: Command, ranges: int) -> None:
    """newuidmap is a set-uid program."""
    prefix = [*second_user.prefix, "setpriv", "--no-new-privs", "--"]
    confined = Command(second_user.program, second_user.environment, second_user.directory, prefix, second_user.store)
    assert [line[2] for line in _uid_map(confined)] == [1, 1]


def test_ranges_that_newuidmap_refuses_are_an_error(second_user: Command, user: pwd.struct_passwd) -> None:
    with granted(user, 2**32 - 10, 10):  # the last of them is (uid_t) -1
        done = second_user("run", "alpine", "true")
    assert (done.code, done.stdout) == (125, b""), done
    assert b"newuidmap" in done.stderr and b"Traceback" not in done.stderr


@pytest.mark.parametrize("has_ranges", [False, True])
def test_keep_id(second_user: Command, user: pwd.struct_passwd, has_ranges: bool) -> None:
    """The caller is the same inside as outside, and what root of the image owns is the caller's."""
    shared = second_user.directory / "shared"
    shared.mkdir()
    os.chown(shared, user.pw_uid, user.pw_gid)
    options = ("--userns", "keep-id", "-v", f"{shared}:/mnt")
    with granted(user, FIRST) if has_ranges else nullcontext():
        shown = _sh(
            second_user, "id -u; id -g; touch /mnt/x; stat -c %u:%g /mnt/x /bin; grep CapEff /proc/1/status", *options
        )
    own = f"{user.pw_uid}:{user.pw_gid}"
    assert shown == f"{user.pw_uid}\n{user.pw_gid}\n{own}\n{own}\nCapEff:\t{0:016x}\n"
    assert (shared / "x").stat().st_uid == user.pw_uid


def test_keep_id_has_a_root_as_well(second_user: Command, user: pwd.struct_passwd, ranges: int) -> None:
    script = "id -u; stat -c %u:%g /etc/shadow; grep CapEff /proc/1/status"
    shown = _sh(second_user, script, "--userns", "keep-id", "-u", "0")
    assert shown == f"0\n{user.pw_uid}:42\nCapEff:\t00000000a80425fb\n"
    assert _sh(second_user, "id -u", "--userns", "keep-id", "-u", "guest") == "405\n"


def test_root_needs_no_keep_id(alpine: Command) -> None:
    done = alpine("run", "--userns", "keep-id", "alpine", "true")
    assert (done.code, done.stderr.splitlines()[0]) == (125, b"mydocker: keep-id is for ordinary users")
    assert alpine("run", "--userns", "host", "alpine", "true") == Result(b"", b"", 0)


def _behind(mydocker: Command, mounts: str) -> Command:
    """MYDOCKER on a machine on which root has done MOUNTS, a script, in a mount namespace."""
    return replace(mydocker, prefix=["unshare", "--mount", "sh", "-ec", f'{mounts}; exec "$@"', "sh", *mydocker.prefix])


def test_a_proc_that_is_covered_is_an_error_with_a_hint(second_user: Command) -> None:
    """As in a container of Docker's: the kernel gives a user namespace no proc that shows more than can be seen."""
    covered = _behind(second_user, "mount -t tmpfs cover /proc/fs")
    done = covered("run", "alpine", "true")
    assert (done.code, done.stdout) == (125, b"")
    assert done.stderr.splitlines()[0].startswith(b"mydocker: cannot mount a new proc: ")
    assert b"systempaths=unconfined" in done.stderr
    assert covered("doctor").code == 1


def test_a_pull_says_once_that_there_is_one_owner(second_user: Command, user: pwd.struct_passwd) -> None:
    said = b"all files will belong to root"
    assert second_user("run", "alpine", "true").stderr == b""
    assert second_user("pull", "alpine").stderr.count(said) == 1
    with granted(user, FIRST):
        assert said not in second_user("pull", "alpine").stderr
