"""Containers of root with user namespaces of their own, and an account file that has ranges for them."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from lab.busybox import alpine as image
from lab.command import Command
from lab.oci import Dir, File, Program, layer
from lab.registry import Registry

FIRST, GROUPS = 700_000, 800_000
MAP = ("--uidmap", f"0:{FIRST}:5000", "--gidmap", f"0:{GROUPS}:6000")
TREE = {
    "data": Dir(uid=405, gid=100),
    "data/x": File(b"x", uid=405, gid=100, mode=0o600),
    "srv/owned": File(b"owned\n", uid=405, gid=100, mode=0o600),
    "srv/removed": File(b"removed"),
    "srv/setuid": Program(b"#!/bin/sh\nid -u\n"),
}
# a copy of the host's /etc, with other ranges, in a mount namespace of the command alone
_INSIDE = 'mount --bind "$1" /etc; shift; exec "$@"'


@pytest.fixture(scope="session", autouse=True)
def owned(alpine: Command, registry: Registry) -> None:
    """The image `owned`, with files of other users, in the store of ALPINE."""
    registry.push(image(layer(TREE)), "library/owned")
    done = alpine("pull", "owned")
    assert done.code == 0, done


@pytest.fixture
def with_ranges(alpine: Command, tmp_path: pathlib.Path) -> Callable[..., Command]:
    """A function: the command, for which /etc/subuid and /etc/subgid have these lines."""

    def make(users: str = f"containers:{FIRST}:5000\n", groups: str = f"containers:{GROUPS}:5000\n") -> Command:
        etc = tmp_path / "etc"
        etc.mkdir()
        for name in ("passwd", "group", "hosts", "resolv.conf", "nsswitch.conf", "ld.so.cache", "localtime"):
            if pathlib.Path("/etc", name).exists():
                shutil.copy(f"/etc/{name}", etc)
        (etc / "subuid").write_text(users)
        (etc / "subgid").write_text(groups)
        prefix = ("unshare", "--mount", "sh", "-ec", _INSIDE, "sh", str(etc))
        return replace(alpine, prefix=prefix, forks=False)

    return make


@pytest.fixture
def ranged(with_ranges: Callable[..., Command]) -> Command:
    """The command where `containers` has 5000 ids."""
    return with_ranges()


@pytest.fixture
def ended(alpine: Command) -> Iterator[list[str]]:
    """Names of containers that are removed in the end."""
    names: list[str] = []
    yield names
    if names:
        alpine("rm", "-f", *names)
