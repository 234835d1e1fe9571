"""Directories of the host that a Compose file mounts, and that are created where they are missing."""

from __future__ import annotations

import os
import pathlib
import pwd
from dataclasses import replace

import pytest
from lab.command import Command

from mydocker.specs.load.load import load_files
from mydocker.specs.model import BindMount

CREATED = [  # an entry of volumes, and whether its source is created
    ("./x:/x", True),
    ("./x/y/z:/x:ro", True),
    ("{type: bind, source: ./x, target: /x}", True),
    ("{type: bind, source: ./x, target: /x, bind: {create_host_path: true, selinux: z}}", True),
    ("{type: bind, source: ./x, target: /x, bind: {create_host_path: false}}", False),
]
MISSING = [  # a mount of which nothing is created, and the message
    ("./x:/etc/passwd", "no directory is created: /etc/passwd is a file in the image"),
    ("./app.sock:/run/app.sock", "no directory is created: a socket is made by the program behind it"),
    ("{type: bind, source: ./x, target: /x, bind: {create_host_path: false}}", "x does not exist"),
    ("./here.txt/x:/x", "x does not exist, and cannot be created: Not a directory"),
]


@pytest.fixture
def here(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "here.txt").write_text("")
    monkeypatch.chdir(folder)
    return folder


def _write(here: pathlib.Path, volume: str, command: str = "[ls, -d, /x]") -> None:
    text = f"{{image: alpine, network_mode: none, command: {command}, volumes: [{volume!r}]}}"
    (here / "compose.yaml").write_text(f"services:\n  web: {text.replace(repr(volume), volume)}\n")


@pytest.mark.parametrize(("entry", "created"), CREATED)
def test_compose_files_create_them(here: pathlib.Path, entry: str, created: bool) -> None:
    _write(here, entry)
    ((mount,),) = (spec.container.volumes for spec in load_files(["compose.yaml"], environ={}))
    assert isinstance(mount, BindMount) and mount.create is created


def test_other_files_create_none_unless_they_say_so(here: pathlib.Path) -> None:
    (here / "own.yaml").write_text(
        "image: alpine\nvolumes: ['./x:/x', {type: bind, source: ./y, target: /y, bind: {create_host_path: true}}]\n"
    )
    (here / "web.container").write_text("[Container]\nImage=docker.io/library/alpine\nVolume=./x:/x\n")
    (spec,) = load_files(["own.yaml"], environ={})
    (unit,) = load_files(["web.container"], environ={})
    mounts = [mount for mount in (*spec.container.volumes, *unit.container.volumes) if isinstance(mount, BindMount)]
    assert [mount.create for mount in mounts] == [False, True, False]


@pytest.mark.root
@pytest.mark.parametrize("entry", ["./x:/x", "./deep/x:/x", "./x:/x:rslave"])
def test_a_missing_source_becomes_a_directory(alpine: Command, here: pathlib.Path, entry: str) -> None:
    _write(here, entry)
    shared = replace(alpine, prefix=["unshare", "--mount", "--propagation", "shared"])  # as systemd has it
    done = shared("up", "--no-log-prefix", cwd=here)
    assert (done.code, done.stdout) == (0, b"/x\n"), done.stderr
    assert (here / entry.partition(":")[0]).is_dir()


@pytest.mark.root
@pytest.mark.parametrize(("entry", "message"), MISSING)
def test_what_is_not_created(alpine: Command, here: pathlib.Path, entry: str, message: str) -> None:
    _write(here, entry)
    done = alpine("up", cwd=here)
    assert done.code == 125 and message.encode() in done.stderr
    assert sorted(path.name for path in here.iterdir()) == ["compose.yaml", "here.txt"]


@pytest.mark.root
def test_an_ordinary_user_owns_what_is_created(second_user: Command, user: pwd.struct_passwd) -> None:
    folder = second_user.directory / "created"
    folder.mkdir()
    os.chown(folder, user.pw_uid, user.pw_gid)
    _write(folder, "./x:/x")
    done = second_user("up", "--no-log-prefix", cwd=folder)
    assert done.stdout == b"/x\n", done.stderr
    assert (folder / "x").stat().st_uid == user.pw_uid
