"""Mounts of an ordinary user's containers: volumes filled in a user namespace, and removed from outside of it."""

from __future__ import annotations

import os
import pathlib
import pwd
from collections.abc import Callable, Iterator

import pytest
from lab.busybox import alpine as image
from lab.command import Command, Result, granted
from lab.oci import CharDevice, Dir, File, layer
from lab.registry import Registry

pytestmark = [pytest.mark.root, pytest.mark.rootless]

FIRST = 400_000
FILES = {
    "srv/d": Dir(mode=0o700, uid=5, gid=6),
    "srv/d/closed": Dir(mode=0o000, uid=7),
    "srv/d/closed/file": File(b"text\n", mode=0o4700, uid=7, gid=8),
    "srv/d/disk": CharDevice(1, 5),
}
SHOW = "cd /srv/d; stat -c '%n %a %u:%g' . closed closed/file; cat closed/file; ls"


@pytest.fixture(params=["one id", "ranges"])
def ids(request: pytest.FixtureRequest, user: pwd.struct_passwd) -> Iterator[bool]:
    """Whether the user has ranges of ids."""
    if request.param == "one id":
        yield False
        return
    with granted(user, FIRST):
        yield True


def _sh(mydocker: Command, script: str, *options: str, name: str = "alpine") -> str:
    done = mydocker("run", *options, name, "sh", "-c", script)
    assert (done.stderr, done.code) == (b"", 0), done
    return done.stdout.decode()


def test_a_named_volume(second_user: Command, registry: Registry, ids: bool) -> None:
    """Filled with the owners that there are, used again, and removed although files in it belong to other ids."""
    registry.push(image(layer(FILES)), "library/rootless-filling")
    owners = ("5:6", "7:0", "7:8") if ids else ("0:0", "0:0", "0:0")
    expected = "./ 700 {}\nclosed 0 {}\nclosed/file 4700 {}\ntext\nclosed\n".format(*owners).replace("./", ".")
    for _ in range(2):
        assert _sh(second_user, SHOW, "-v", "data:/srv/d", name="rootless-filling") == expected
    assert second_user("volume", "ls", "-q") == Result(b"data\n", b"", 0)
    assert second_user("volume", "rm", "data") == Result(b"data\n", b"", 0)
    assert os.listdir(second_user.store / "volumes") == []


@pytest.mark.parametrize(
    ("options", "script", "expected"),
    [
        (("-v", "/etc"), "touch /etc/x; ls /etc | grep -x -e x -e passwd", "passwd\nx\n"),
        (
            ("--read-only", "-v", "/srv", "--tmpfs", "/run"),
            "touch /x 2>/dev/null || touch /srv/x /run/x; ls /srv",
            "x\n",
        ),
        (("--tmpfs", "/mnt:size=1m,mode=1700"), "stat -c '%a %u' /mnt; echo x > /mnt/x", "1700 0\n"),
        (("--shm-size", "1m"), "grep -c size=1024k /proc/mounts", "1\n"),
        (("--device", "/dev/full:/dev/mine"), "head -c3 /dev/mine | wc -c", "3\n"),
    ],
)
def test_other_mounts(second_user: Command, ids: bool, options: tuple[str, ...], script: str, expected: str) -> None:
    assert _sh(second_user, script, *options) == expected
    assert os.listdir(second_user.store / "containers") == []


def test_an_overlay_of_a_directory_of_one_s_own(
    second_user: Command, user: pwd.struct_passwd, user_directory: Callable[[], pathlib.Path], ids: bool
) -> None:
    source = user_directory()
    (source / "old").write_text("host")
    os.chown(source / "old", user.pw_uid, user.pw_gid)
    script = "echo -n new > /mnt/old; echo > /mnt/more; ls /mnt; cat /mnt/old"
    assert _sh(second_user, script, "-v", f"{source}:/mnt:O") == "more\nold\nnew"
    assert {path.name: path.read_text() for path in source.iterdir()} == {"old": "host"}
    assert "more" in _sh(second_user, f"ls {source}; touch {source}/more; ls {source}", "-v", f"{source}:{source}:O")
    assert os.listdir(second_user.store / "containers") == []


def test_a_user_of_the_image_owns_the_volume(second_user: Command, user: pwd.struct_passwd, registry: Registry) -> None:
    with granted(user, FIRST):
        registry.push(image(layer({"data": Dir(uid=405, gid=100)}), user="guest"), "library/rootless-user")
        assert _sh(second_user, "echo x > /data/x; id -u", "-v", "data:/data", name="rootless-user") == "405\n"
        kept = second_user.store / "volumes/data/data"
        assert (kept / "x").stat().st_uid == FIRST + 404 and kept.stat().st_gid == FIRST + 99
        assert second_user("volume", "rm", "data").code == 0


def test_a_volume_of_other_ids_says_so(second_user: Command, user: pwd.struct_passwd) -> None:
    """Ranges that have gone leave files that belong to no one here."""
    with granted(user, FIRST):
        assert _sh(second_user, "mkdir -m 700 /d/x; touch /d/x/y; chown 5 /d/x", "-v", "data:/d") == ""
    assert _sh(second_user, "stat -c %u /d/x", "-v", "data:/d") == "65534\n"
    done = second_user("volume", "rm", "data")
    assert (done.stdout, done.code) == (b"", 125) and b"cannot remove all of volume data" in done.stderr
    assert second_user("volume", "create", "other").code == second_user("volume", "rm", "other").code == 0
    with granted(user, FIRST):
        assert second_user("volume", "create", "other").code == second_user("volume", "rm", "other").code == 0
    assert os.listdir(second_user.store / "volumes") == []
