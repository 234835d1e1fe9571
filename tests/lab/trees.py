"""What a file tree is, entry by entry: read by a static program, which runs in a container as well as on the host."""

from __future__ import annotations

import pathlib
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

Tree = dict[str, "Node"]


@dataclass(frozen=True)
class Node:
    """A file of a tree. `what`: a link's target, a device's numbers, or a file's size and the sum of its contents."""

    type: int
    mode: int
    uid: int
    gid: int
    mtime: str
    what: str = ""
    xattrs: Mapping[str, str] = field(default_factory=dict)
    same: frozenset[str] = frozenset()  # the names of one file, if it has several


def build(directory: pathlib.Path, name: str = "dump-tree") -> pathlib.Path:
    """The static program NAME, in DIRECTORY."""
    source, program = pathlib.Path(__file__).parent / f"{name}.c", directory / name
    subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Werror", "-o", program, source], check=True)
    return program


def read(program: pathlib.Path, directory: pathlib.Path) -> Tree:
    """The tree at DIRECTORY of the host."""
    return parse(subprocess.run([program, directory], check=True, capture_output=True).stdout)


def parse(text: bytes) -> Tree:
    """What the program has printed."""
    found: Tree = {}
    names: dict[str, list[str]] = {}
    for line in text.decode(errors="surrogateescape").splitlines():
        path, kind, mode, uid, gid, mtime, what, inode, *more = line.split("\t")
        xattrs = dict(each.split("=", 1) for each in more)
        found[path] = Node(int(kind, 8), int(mode, 8), int(uid), int(gid), mtime, what, xattrs)
        if not stat.S_ISDIR(int(kind, 8)):
            names.setdefault(inode, []).append(path)
    for group in names.values():
        for path in group if len(group) > 1 else ():
            found[path] = replace(found[path], same=frozenset(group))
    return found


def of_file(data: bytes) -> str:
    """The `what` of a file with DATA, which has no holes."""
    total = 2166136261
    for byte in data:
        total = (total ^ byte) * 16777619 % 2**32
    return f"{len(data)}:{total}"
