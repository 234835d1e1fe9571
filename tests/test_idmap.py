"""Id maps: the arithmetic, and the files that grant ids."""

from __future__ import annotations

import errno
import os
import pathlib
import subprocess
import sys

import pytest

from mydocker import idmap
from mydocker.errors import refused_namespaces
from mydocker.idmap import Extent, IdMap

Triples = list[tuple[int, int, int]]


def _extents(triples: Triples) -> tuple[Extent, ...]:
    return tuple(Extent(inside=a, outside=b, count=c) for a, b, c in triples)


def _triples(extents: tuple[Extent, ...]) -> Triples:
    return [(extent.inside, extent.outside, extent.count) for extent in extents]


SUBIDS = """\
# a comment
anna:100000:65536
1000:300000:10
bert:200000:65536
root:500000:2
anna:1_0:5
anna:9:
anna:1:2:3
"""


@pytest.mark.parametrize(("user", "expected"), [(1000, [(300000, 10)]), (0, [(500000, 2)]), (424242, [])])
def test_granted_by_name_and_number(tmp_path: pathlib.Path, user: int, expected: list[tuple[int, int]]) -> None:
    (tmp_path / "subuid").write_text(SUBIDS)
    assert list(idmap.granted(str(tmp_path / "subuid"), user)) == expected
    assert list(idmap.granted(str(tmp_path / "missing"), user)) == []


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], [(0, 1000, 1)]),
        ([(100000, 65536)], [(0, 1000, 1), (1, 100000, 65536)]),
        ([(100000, 10), (300000, 5)], [(0, 1000, 1), (1, 100000, 10), (11, 300000, 5)]),
        ([(100000, 10), (100005, 10), (110000, 1)], [(0, 1000, 1), (1, 100000, 10), (11, 110000, 1)]),
        ([(900, 200), (100000, 0)], [(0, 1000, 1)]),  # it holds the user itself; it holds nobody
        ([(5000, 2**32)], [(0, 1000, 1), (1, 5000, 2**31 - 2)]),
    ],
)
def test_root_is_the_user_and_the_ranges_follow(ranges: list[tuple[int, int]], expected: Triples) -> None:
    assert _triples(idmap._with_root(1000, ranges)) == expected


@pytest.mark.parametrize(
    ("own", "base", "expected"),
    [
        (1000, [(0, 1000, 1)], [(1000, 1000, 1)]),
        (0, [(0, 0, 1)], [(0, 0, 1)]),
        (
            1000,
            [(0, 1000, 1), (1, 100000, 65536)],
            [(0, 100999, 1), (1, 100000, 999), (1000, 1000, 1), (1001, 101000, 64536)],
        ),
        (1, [(0, 1, 1), (1, 100000, 3)], [(0, 100000, 1), (1, 1, 1), (2, 100001, 2)]),
        (3, [(0, 3, 1), (1, 100000, 3)], [(0, 100002, 1), (1, 100000, 2), (3, 3, 1)]),
        (4000, [(0, 4000, 1), (1, 100000, 3)], [(0, 100002, 1), (1, 100000, 2), (4000, 4000, 1)]),
        (
            12,
            [(0, 12, 1), (1, 100000, 10), (11, 300000, 5)],
            [(0, 300001, 1), (1, 100000, 10), (11, 300000, 1), (12, 12, 1), (13, 300002, 3)],
        ),
    ],
)
def test_keep_id_trades_root_for_the_user(own: int, base: Triples, expected: Triples) -> None:
    ids = IdMap(users=_extents(base), groups=_extents(base))
    kept = idmap.keep_id(ids, user=own, group=own)
    assert _triples(kept.users) == _triples(kept.groups) == expected


def test_each_map_has_a_key_of_its_own() -> None:
    maps = [[(0, 1000, 1)], [(0, 1001, 1)], [(0, 1000, 1), (1, 100000, 10)], [(0, 1000, 1), (1, 100000, 11)]]
    keys = {IdMap(users=_extents(users), groups=_extents(groups)).key for users in maps for groups in maps}
    assert len(keys) == 16


def test_who_exists() -> None:
    ids = IdMap(users=_extents([(0, 1000, 1)]), groups=_extents([(0, 1000, 1), (1, 100000, 5)]))
    assert ids.has_groups and not ids.is_single
    assert [group for group in range(10) if ids.has_group(group)] == [0, 1, 2, 3, 4, 5]


ENTER = """
from mydocker.errors import HostError
from mydocker.idmap import Extent, IdMap, enter
root = (Extent(inside=0, outside=0, count=1),)
try:
    enter(IdMap(users=root, groups=root))
except HostError as error:
    print(error.hint)
"""


def test_no_more_namespaces_is_no_full_disk() -> None:
    """The kernel has one error number for both."""
    limited = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$0" -c "$1"'
    words = ["unshare", "--user", "--map-root-user", "sh", "-c", limited, sys.executable, ENTER]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "raise the limits in /proc/sys/user/max_*_namespaces\n", done


@pytest.mark.parametrize(
    ("number", "is_users", "hint"),
    [
        (errno.ENOSPC, False, "/proc/sys/user/max_*_namespaces"),
        (errno.EUSERS, True, "/proc/sys/user/max_*_namespaces"),
        (errno.EPERM, True, "sysctl kernel.unprivileged_userns_clone=1"),
        (errno.EACCES, True, "sysctl kernel.unprivileged_userns_clone=1"),
        (errno.EPERM, False, "--cap-add SYS_ADMIN"),
        (errno.EAGAIN, True, "ulimit -u"),
        (errno.EINVAL, False, ""),
    ],
)
def test_what_helps_where_namespaces_are_refused(number: int, is_users: bool, hint: str) -> None:
    error = refused_namespaces(OSError(number, os.strerror(number)), is_users=is_users)
    assert hint in (error.hint or "") and os.strerror(number) in error.message
