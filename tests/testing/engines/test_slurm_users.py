"""Batches of ordinary users, who have no ids but their own on the nodes."""

from __future__ import annotations

import pathlib
import pwd
import shutil
from collections.abc import Callable

import pytest
from lab.command import Command
from lab.slurm import Batch, Cluster

pytestmark = [pytest.mark.root, pytest.mark.slurm]

PLAIN = """
name: is root of its own
image: alpine
matrix: {V: [1, 2, 3]}
command: [sh, -c, 'test "$$(id -u)" = 0; echo ${V} > /srv/x; cat /srv/x']
expect: {stdout: "${V}\\n"}
---
name: no such user
image: alpine
user: "1234"
command: "true"
expect: {exit_code: 0}
"""


def test_ordinary_user(
    slurm: Cluster, second_user: Command, user_directory: Callable[[], pathlib.Path], user: pwd.struct_passwd
) -> None:
    folder = user_directory()
    batch = Batch.in_folder(second_user, slurm, folder / "folder", PLAIN)
    for path in (batch.folder, *batch.folder.rglob("*")):
        shutil.chown(path, user.pw_uid, user.pw_gid)
    done = batch()
    assert done.code == 3 and b"3 passed, 1 error" in done.stdout, done
    assert b"user 1234:0 does not exist in this container" in done.stdout, done
    assert batch.directory.stat().st_uid == user.pw_uid
