"""Random stacks of layers, and what OCI image-spec "layer.md" says that they are: a model to compare real trees with.

Everything happens below the directory `t`, which each layer has, and each layer names all parents of its entries: the
specification leaves open what a directory is like that no entry describes (image-spec issue 1221).
"""

from __future__ import annotations

import functools
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lab import oci, trees
from lab.busybox import ARCHITECTURE
from lab.oci import OPAQUE, WHITEOUT, Content, Entry, Hardlink, layer
from lab.trees import Node, Tree

TOP = "t"
NAMES = st.sampled_from("abc")
IDS = st.sampled_from([0, 5, 1000])
KINDS = {
    tarfile.REGTYPE: stat.S_IFREG,
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw+ep, linux/capability.h
NO_XATTRS: dict[str, bytes] = {}
XATTRS = st.sampled_from([NO_XATTRS, NO_XATTRS, {"user.note": b"1"}, {"security.capability": CAPABILITY}])


@dataclass(frozen=True)
class Change:
    """What a layer has under one name. Without `entry` it hides the name; `again`: it hides it, and has it anew.

    `hardlink` makes it another name of a file that the layer has already, the one of that number.
    """

    entry: Entry | None = None
    again: bool = False
    opaque: bool = False
    hardlink: int | None = None
    below: tuple[tuple[str, Change], ...] = ()


def _entries(kind: bytes, **more: Any) -> st.SearchStrategy[Entry]:
    modes = st.sampled_from([0o644, 0o600, 0o4755, 0] if kind == tarfile.REGTYPE else [0o755, 0o1777, 0o2700, 0])
    mtime = st.sampled_from([5, 1_000_000_000, 1_700_000_000])
    return st.builds(Entry, type=st.just(kind), mode=modes, uid=IDS, gid=IDS, mtime=mtime, **more)


FILES = _entries(tarfile.REGTYPE, data=st.sampled_from([b"", b"1", b"2" * 700]), xattrs=XATTRS)
LEAVES = st.one_of(
    FILES,
    _entries(tarfile.SYMTYPE, link=st.sampled_from(["a", "../b", "/t/a", "c/nowhere"])),
    _entries(tarfile.CHRTYPE, major=st.just(1), minor=st.integers(3, 5)),
    _entries(tarfile.FIFOTYPE),
)


def _below(depth: int) -> st.SearchStrategy[tuple[tuple[str, Change], ...]]:
    return st.dictionaries(NAMES, _changes(depth), max_size=3).map(lambda found: tuple(sorted(found.items())))


def _changes(depth: int) -> st.SearchStrategy[Change]:
    again = st.booleans()
    kinds = [
        st.builds(Change, entry=LEAVES, again=again),
        st.builds(Change, entry=FILES, hardlink=st.integers(0, 3)),
        st.just(Change()),
    ]
    if depth:
        directory = _entries(tarfile.DIRTYPE, xattrs=st.sampled_from([NO_XATTRS, {"user.note": b"2"}]))
        inside = st.builds(Change, entry=directory, again=again, opaque=st.booleans(), below=_below(depth - 1))
        kinds = [inside, inside, *kinds]
    return st.one_of(kinds)


LAYERS = st.builds(
    Change, entry=_entries(tarfile.DIRTYPE), opaque=st.sampled_from([False] * 7 + [True]), below=_below(2)
)
STACKS = st.lists(LAYERS, min_size=2, max_size=5).map(tuple)
Stack = tuple[Change, ...]


@functools.cache
def samples(count: int) -> list[Stack]:
    """COUNT stacks, always the same ones, which have something of everything."""
    found: list[Stack] = []

    # what is generated depends on these lines; that a busy machine is no failure is said in conftest.py
    @settings(derandomize=True, database=None, max_examples=10 * count, phases=[Phase.generate])
    @given(stack=STACKS)
    def collect(stack: Stack) -> None:
        found.append(stack)

    collect()
    return sorted(found, key=lambda stack: -sum(1 for change in stack for _ in _walk(TOP, change)))[:count]


def tar(change: Change, *, marks_last: bool = False) -> bytes:
    """The layer CHANGE. A whiteout stands where builders put it, before what it does not hide, or after everything."""
    marks: list[tuple[str, Content]] = []
    entries: list[tuple[str, Content]] = []
    files: list[str] = []
    for path, each in _walk(TOP, change):
        place = marks if marks_last else entries
        if each.entry is None or each.again:
            place.append((path, WHITEOUT))
        if each.entry is not None:
            target = _target(each, files)
            entries.append((path, Hardlink(target) if target else each.entry))
            if each.entry.type == tarfile.REGTYPE:
                files.append(path)
        if each.opaque:
            place.append((path, OPAQUE))
    return layer([*entries, *marks])


def image(stack: Stack, *, marks_last: bool = False) -> oci.Image:
    tars = [tar(change, marks_last=marks_last) for change in stack]
    return oci.image(tars, architecture=ARCHITECTURE)


def _walk(path: str, change: Change) -> Iterator[tuple[str, Change]]:
    yield path, change
    for name, each in change.below:
        yield from _walk(f"{path}/{name}", each)


def _target(change: Change, files: list[str]) -> str:
    return files[change.hardlink % len(files)] if change.hardlink is not None and files else ""


def result(stack: Stack, *, devices: bool = True) -> Tree:
    """What is below `t` once the layers of STACK have been applied, one after another ("Applying Changesets").

    Without DEVICES, a device that nobody could make hides what was in its place.
    """
    tree: dict[str, _File] = {}
    for change in stack:
        _apply(tree, change, devices=devices)
    return {path.removeprefix(TOP).lstrip("/"): file.node(tree) for path, file in tree.items()}


class _File:
    """A file of the model, which may have several names."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    @property
    def is_directory(self) -> bool:
        return self.entry.type == tarfile.DIRTYPE

    def node(self, tree: dict[str, _File]) -> Node:
        entry = self.entry
        what = {
            tarfile.REGTYPE: trees.of_file(entry.data),
            tarfile.SYMTYPE: entry.link,
            tarfile.CHRTYPE: f"{entry.major}:{entry.minor}",
        }.get(entry.type, "")
        mode = 0o777 if entry.type == tarfile.SYMTYPE else entry.mode
        xattrs = {name: value.hex() for name, value in entry.xattrs.items()}
        names = frozenset(path.removeprefix(f"{TOP}/") for path, file in tree.items() if file is self)
        same = names if len(names) > 1 else frozenset[str]()
        mtime = f"{entry.mtime}.000000000"
        return Node(KINDS[entry.type], mode, entry.uid, entry.gid, mtime, what, xattrs, same)


def _apply(tree: dict[str, _File], change: Change, *, devices: bool) -> None:
    """First what the layer hides of those below, then what it has."""
    files: list[str] = []
    added: dict[str, _File] = {}
    for path, each in _walk(TOP, change):
        if each.entry is None or each.again:
            _remove(tree, path)
        if each.opaque:
            _remove(tree, path, itself=False)
        if each.entry is not None:
            target = _target(each, files)
            added[path] = added[target] if target else _File(each.entry)
            if each.entry.type == tarfile.REGTYPE:
                files.append(path)
    for path, file in added.items():
        if not (path in tree and tree[path].is_directory and file.is_directory):
            _remove(tree, path)
        if devices or file.entry.type != tarfile.CHRTYPE:
            tree[path] = file


def _remove(tree: dict[str, _File], path: str, *, itself: bool = True) -> None:
    for each in [each for each in tree if each.startswith(f"{path}/") or (itself and each == path)]:
        del tree[each]
