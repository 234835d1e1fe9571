"""An image, in a store and as files, for root and for an ordinary user."""

from __future__ import annotations

import os
import pathlib
import pwd
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from lab import busybox, oci
from lab.command import Command, command, granted
from lab.machines import open_to_all
from lab.oci import DIR, OPAQUE, WHITEOUT, CharDevice, Dir, Entry, Fifo, File, Hardlink, Link, layer

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw+ep, linux/capability.h
FIRST = 300_000
NAME = "test/carried:7"
LOWER = layer(
    {
        "t": Dir(mode=0o751, uid=9, mtime=1_500_000_000),
        "t/gone": b"x",
        "t/emptied": DIR,
        "t/emptied/old": b"old",
        "t/again": b"1",
        "t/hard": File(b"hh", uid=5, gid=6),
        "t/other": Hardlink("t/hard"),
        "t/program": Entry(
            data=b"x" * 70_000, mode=0o755, xattrs={"security.capability": CAPABILITY, "user.note": b"\0\xff"}
        ),
        "t/suid": File(b"#!/bin/sh\n", mode=0o6755),
        "t/secret": File(b"s", mode=0o600, uid=33, gid=34),
        "t/sparse": File(bytes(2 << 20) + b"data" + bytes(1 << 20)),
        "t/fifo": Fifo(mode=0o620),
        "t/null": CharDevice(1, 3, mode=0o666),
        "t/link": Link("../../etc/passwd"),
        "t/" + "n" * 250: b"long",
        os.fsdecode(b"t/\xff\xfe"): b"no text",
    },
    format=tarfile.PAX_FORMAT,
)
UPPER = layer(
    [
        ("t", Dir(mode=0o751, uid=9, mtime=1_500_000_000)),
        ("t/gone", WHITEOUT),
        ("t/emptied", Dir(uid=1)),
        ("t/emptied", OPAQUE),
        ("t/emptied/new", File(b"new", uid=1, gid=2)),
        ("t/again", WHITEOUT),
        ("t/again", File(b"2", mode=0o640)),
    ]
)


@dataclass(frozen=True)
class Person:
    """`mydocker` of root or an ordinary user, whose store has the image as NAME; `file` is the same as a squashfs."""

    mydocker: Command
    file: pathlib.Path

    def run(self, *words: str, image: str = "") -> str:
        """What `run` of the file prints, which succeeds silently."""
        done = self.mydocker("run", "--network", "none", *words[:-3], image or f"squashfs:{self.file}", *words[-3:])
        assert (done.code, done.stderr) == (0, b""), done
        return done.stdout.decode()

    def sh(self, script: str, *options: str, image: str = "") -> str:
        return self.run(*options, "sh", "-c", script, image=image)


@pytest.fixture(scope="module")
def layout(user_directory: Callable[[], pathlib.Path]) -> pathlib.Path:
    image = busybox.alpine(LOWER, UPPER, env=["WHO=image", f"PATH={os.defpath}"])
    return oci.write_layout(user_directory() / "layout", image, tag="it")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, layout: pathlib.Path) -> Command:
    return _with_image(command(tmp_path_factory.mktemp("files"), forks=True), layout)


@pytest.fixture(scope="module")
def ranges(user: pwd.struct_passwd) -> Iterator[None]:
    with granted(user, FIRST):
        yield


@pytest.fixture(scope="module")
def fuse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with open_to_all("/dev/fuse", tmp_path_factory.mktemp("fuse")):
        yield


@pytest.fixture(scope="module")
def ordinary(make_second_user: Callable[[], Command], layout: pathlib.Path, ranges: None, fuse: None) -> Command:
    return _with_image(replace(make_second_user(), forks=True), layout)


def _with_image(mydocker: Command, layout: pathlib.Path) -> Command:
    assert mydocker("load", "-q", "-i", str(layout)).code == 0
    assert mydocker("tag", "localhost/layout:it", NAME).code == 0
    return mydocker


@pytest.fixture(scope="module")
def squashfs(root: Command, user_directory: Callable[[], pathlib.Path]) -> pathlib.Path:
    return save(root, user_directory() / "app.sqfs", "squashfs")


def save(mydocker: Command, path: pathlib.Path, kind: str) -> pathlib.Path:
    done = mydocker("save", "--format", kind, "-o", str(path), NAME)
    assert (done.code, done.stdout, done.stderr) == (0, b"", b""), done
    return path


@pytest.fixture(scope="module", params=["root", "an ordinary user"])
def person(request: pytest.FixtureRequest, squashfs: pathlib.Path) -> Person:
    name = "root" if request.param == "root" else "ordinary"
    return Person(request.getfixturevalue(name), squashfs)


def without(mydocker: Command, *devices: str) -> Command:
    """MYDOCKER where /dev lacks DEVICES."""
    kept = [each for each in ("null", "zero", "full", "random", "urandom", "tty", "fuse") if each not in devices]
    script = f"""
        mount --bind /dev /mnt && mount -t tmpfs -o mode=755 none /dev && ln -s /proc/self/fd /dev/fd || exit 9
        for each in {" ".join(kept)}; do : > /dev/$each; mount --bind /mnt/$each /dev/$each || exit 9; done
        exec "$@"
    """
    words = ["unshare", "--mount", "sh", "-c", script, "sh"]
    return replace(mydocker, prefix=[*words, *mydocker.prefix])
