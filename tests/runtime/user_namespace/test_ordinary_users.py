"""Maps of an ordinary user's containers: what may change, where the files of images have one map."""

from __future__ import annotations

import pwd
from collections.abc import Iterator

import pytest
from lab.command import Command, granted

pytestmark = [pytest.mark.root, pytest.mark.rootless]

FIRST = 300_000
READ = "cat /proc/self/uid_map; echo =; cat /proc/self/gid_map"


@pytest.fixture
def ranges(user: pwd.struct_passwd) -> Iterator[int]:
    """Grants the user ids; the first of them."""
    with granted(user, FIRST):
        yield FIRST


def _maps(mydocker: Command, *words: str) -> list[list[list[int]]]:
    """The maps of users and of groups, as the host sees them."""
    done = mydocker("run", "--rm", "--network", "none", *words, "alpine", "sh", "-c", READ)
    assert (done.stderr, done.code) == (b"", 0), done
    return [
        [[*map(int, line.split())] for line in part.strip().splitlines()] for part in done.stdout.decode().split("=")
    ]


def test_what_an_ordinary_user_may_map(second_user: Command, user: pwd.struct_passwd, ranges: int) -> None:
    users, groups = [0, user.pw_uid, 1], [0, user.pw_gid, 1]
    assert _maps(second_user, "--uidmap", "0:0:500") == [[users, [1, ranges, 499]], [groups, [1, ranges, 499]]]
    # another group of the user's ids, from 70000 on: it leaves its place
    more = ("--gidmap", f"+g70000:@{ranges + 49}:2")
    rest = [[1, ranges, 49], [52, ranges + 51, 65485], [70000, ranges + 49, 2]]
    assert _maps(second_user, *more) == [[users, [1, ranges, 65536]], [groups, *rest]]
    assert _maps(second_user, "--uidmap", "u0:0:1") == [[users], [groups, [1, ranges, 65536]]]
    assert _maps(second_user, "--uidmap", "0:0:100", "--gidmap", "0:0:1", "-u", "0:0") == [
        [users, [1, ranges, 99]],
        [groups],
    ]


def test_the_image_s_files_keep_their_owners(second_user: Command, ranges: int) -> None:
    script = "stat -c %u:%g /etc/shadow /bin; touch /new; chown guest:users /new; stat -c %u:%g /new"
    done = second_user("run", "--rm", "--uidmap", "0:0:500", "alpine", "sh", "-c", script)
    assert (done.stdout, done.stderr) == (b"0:42\n0:0\n405:100\n", b""), done


def test_a_container_that_stays(second_user: Command, ranges: int) -> None:
    words = ("--network", "none", "--uidmap", "0:0:500", "--gidmap", f"+g70000:@{ranges + 49}")
    script = "touch /new; chgrp 70000 /new; exec sleep 600"
    assert second_user("run", "-d", "--name", "stays", *words, "alpine", "sh", "-c", script).code == 0
    try:
        said = second_user("exec", "stays", "sh", "-c", "until test -e /new; do :; done; wc -l < /proc/self/uid_map")
        assert said.stdout == b"2\n", said
        assert b'"UsernsMode": "private"' in second_user("inspect", "stays").stdout
        assert second_user("stop", "-t", "0", "stays").code == 0
        assert second_user("diff", "stays").stdout == b"A /new\n"
        assert second_user("start", "stays").code == 0
    finally:
        second_user("rm", "-f", "stays")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--userns", "auto"), "an ordinary user's containers have the user's own map"),
        (("--userns", "nomap"), "an ordinary user's containers have the user's own map"),
        (("--subuidname", "x"), "an ordinary user's containers have the user's own map"),
        (("--uidmap", "0:1:100"), "user id 0 of the container another owner than that of the image"),
        (("--uidmap", "0:0:1", "--uidmap", "1:3:5"), "user id 1 of the container another owner"),
        (("--uidmap", "0:0:70000"), "user id 65537 is none that this user is granted"),
        (("--uidmap", "0:@0:1"), "user id 0 of the host is none that this user is granted"),
        (("--gidmap", "g70000:70000:1"), "group id 70000 is none that this user is granted"),
        (("--uidmap", "1:1:5"), "no user id 0"),
        (("--uidmap", "0:0:500", "-u", "600"), "user 600:0 does not exist"),
    ],
)
def test_what_an_ordinary_user_may_not_map(
    second_user: Command, ranges: int, words: tuple[str, ...], named: str
) -> None:
    done = second_user("run", "--network", "none", *words, "alpine", "true")
    assert (done.stdout, done.code) == (b"", 125) and named in done.stderr.decode(), done
