"""Changes a tree at random, inside a container, and writes down what it was before and after: a program of its own."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import shutil
import stat
import sys
from typing import Any

NAMES = [b"a", b"b", b"c", b"d", b"e f", b"\xff", "\u00fc".encode(), b"-x", b".wh.a", b"n\nl", b"\\x41", b"y" * 200]


def look(top: bytes) -> dict[str, list[Any]]:
    """Each path below TOP, with all that `docker diff` compares. A plain walk."""
    found = {}
    for directory, directories, files in os.walk(top):
        for name in [*directories, *files]:
            path = os.path.join(directory, name)
            found[os.fsdecode(path)] = _state(path)
    found[os.fsdecode(top)] = _state(top)
    return found


def _state(path: bytes) -> list[Any]:
    status = os.lstat(path)
    what: Any = None
    if stat.S_ISREG(status.st_mode):
        what = pathlib.Path(os.fsdecode(path)).read_bytes().hex()
    elif stat.S_ISLNK(status.st_mode):
        what = os.fsdecode(os.readlink(path))
    time = None if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns
    names = sorted(os.listxattr(path, follow_symlinks=False))
    xattrs = [(name, os.getxattr(path, name, follow_symlinks=False).hex()) for name in names]
    return [status.st_mode, status.st_uid, status.st_gid, status.st_rdev, time, what, xattrs]


class Mutator:
    """One random operation after the other; what the kernel refuses is left."""

    def __init__(self, top: bytes, seed: int) -> None:
        self.top, self.random = top, random.Random(seed)

    def run(self, count: int) -> None:
        names = sorted(name for name in dir(self) if name.startswith("do_"))
        for _ in range(count):
            with contextlib.suppress(OSError, shutil.Error):
                getattr(self, self.random.choice(names))()

    def any(self, *, directory: bool | None = None) -> bytes:
        """A path that exists."""
        paths = [os.fsencode(path) for path in sorted(look(self.top))]
        if directory is not None:
            kinds = [path for path in paths if directory == (os.path.isdir(path) and not os.path.islink(path))]
            paths = kinds or paths
        return self.random.choice(paths)

    def new(self) -> bytes:
        return os.path.join(self.any(directory=True), self.random.choice(NAMES))

    def do_write(self) -> None:
        with open(self.new(), self.random.choice(["wb", "ab", "r+b"])) as file:
            file.write(self.random.choice([b"", b"x", b"abc\n", bytes(5000)]))

    def do_touch_nothing(self) -> None:
        with open(self.any(directory=False), "r+b"):
            pass

    def do_same_size(self) -> None:
        path = self.any(directory=False)
        before = os.lstat(path)
        with open(path, "r+b") as file:
            file.write(b"z")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def do_mkdir(self) -> None:
        os.makedirs(self.new())

    def do_remove(self) -> None:
        _remove(self.any(), self.top)

    def do_remake(self) -> None:
        """An opaque directory."""
        path = self.any(directory=True)
        _remove(path, self.top)
        os.mkdir(path)

    def do_copy_back(self) -> None:
        path = self.any(directory=True)
        aside = os.path.join(self.top, b"aside")
        shutil.copytree(path, aside, symlinks=True)
        _remove(path, self.top)
        os.rename(aside, path)

    def do_other_type(self) -> None:
        path = self.any()
        _remove(path, self.top)
        make = self.random.choice(["mkdir", "mkfifo", "symlink", "write", "mknod"])
        if make == "symlink":
            os.symlink(b"/nonesuch", path)
        elif make == "write":
            pathlib.Path(os.fsdecode(path)).write_bytes(b"w")
        elif make == "mknod":
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        else:
            getattr(os, make)(path)

    def do_chmod(self) -> None:
        os.chmod(self.any(), self.random.choice([0o700, 0o755, 0o644, 0o4755, 0o1777, 0o000]))

    def do_chown(self) -> None:
        os.chown(self.any(), self.random.choice([0, 3]), self.random.choice([0, 3]), follow_symlinks=False)

    def do_utime(self) -> None:
        at = self.random.choice([1, 1_600_000_000]) * 10**9 + self.random.choice([0, 5])
        os.utime(self.any(), ns=(at, at), follow_symlinks=False)

    def do_rename(self) -> None:
        shutil.move(os.fsdecode(self.any()), os.fsdecode(self.new()))

    def do_exchange(self) -> None:
        """There and back again."""
        path, aside = self.any(directory=False), os.path.join(self.top, b"aside")
        os.rename(path, aside)
        os.rename(aside, path)

    def do_link(self) -> None:
        os.link(self.any(directory=False), self.new(), follow_symlinks=False)

    def do_set_attribute(self) -> None:
        os.setxattr(self.any(), b"user.x", self.random.choice([b"1", b"2"]), follow_symlinks=False)

    def do_remove_attribute(self) -> None:
        os.removexattr(self.any(), b"user.x", follow_symlinks=False)


def _remove(path: bytes, top: bytes) -> None:
    if path == top:
        raise OSError
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


if __name__ == "__main__":
    seed, top = int(sys.argv[1]), os.fsencode(sys.argv[2])
    before = look(top)
    Mutator(top, seed).run(25)
    pathlib.Path(sys.argv[3]).write_text(json.dumps([before, look(top)]))
