"""The table of owners that an archive has, compared with what tar made of it as root."""

from __future__ import annotations

import os
import pathlib
import tarfile

import pytest
from lab import oci
from lab.command import Command, Result
from lab.oci import DIR, WHITEOUT, Dir, Entries, Fifo, File, Hardlink, Link, layer
from lab.recorder import Nowhere
from lab.registry import Registry

from mydocker.errors import ImageError
from mydocker.image.layer.scan import Scan
from mydocker.image.tar import tarsplit
from mydocker.image.tar.owners import owners

ENTRIES: list[Entries] = [
    {"./": Dir(uid=3, gid=4), "a": File(b"1", uid=5, gid=6), "d": Dir(uid=7), "d/x": Fifo(gid=8)},
    [("a", File(b"1", uid=5)), ("b", Hardlink("a", uid=9)), ("a", File(b"2", uid=6))],
    [("d", Dir(uid=1)), ("l", Link("d", uid=2)), ("l/x", File(b"", uid=3)), ("y", Hardlink("l/x", uid=4))],
    [("a/b", Dir(uid=1)), ("a/b/l", Link("../c", uid=2)), ("a/c", DIR)],
    [("d", DIR), ("e", Link("d")), ("f", Link("e")), ("f/x", File(b"", uid=3)), ("f", Dir(uid=5))],
    [("d", DIR), ("e", Link("d", uid=4)), ("e", Dir(uid=6)), ("e/x", File(b"", uid=3))],
    {"implied/by": File(b"", uid=3), "gone": WHITEOUT, "huge": File(b"", uid=2_000_000_000, gid=2**31 - 1)},
    {"n" * 200: File(b"", uid=3), "d/" + "m" * 150: Link("t" * 200, uid=5), os.fsdecode(b"\xff"): File(b"", uid=6)},
]


@pytest.mark.root
@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
@pytest.mark.parametrize("entries", ENTRIES, ids=range(len(ENTRIES)))
def test_it_is_what_tar_makes(mydocker: Command, registry: Registry, entries: Entries, format: int) -> None:
    registry.push(oci.image([layer(entries, format=format)]), "owners/tried")
    assert mydocker("pull", "-q", "owners/tried").code == 0
    assert mydocker("fsck") == Result(b"", b"", 0)
    [top] = (mydocker.store / "layers").iterdir()
    table = owners(str(mydocker.store / "skeletons" / top.name))
    found = {b"": _owner(top)} | {os.fsencode(path.relative_to(top)): _owner(path) for path in top.rglob("*")}
    assert {path: table.get(path, (0, 0)) for path in found} == found
    assert not {path for path in table if not os.path.basename(path).startswith(b".wh.")} - set(found)


def _owner(path: pathlib.Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_uid, status.st_gid


def _skeleton(path: pathlib.Path, entries: Entries) -> bytes:
    """Of an archive with ENTRIES; it is in PATH."""
    with path.open("wb") as file:
        writer = tarsplit.Writer(file.fileno())
        Scan(Nowhere(), what="layer", devices=True, skeleton=writer).read([layer(entries)])
        writer.finish()
    return path.read_bytes()


def test_a_damaged_skeleton(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "cut"
    whole = _skeleton(path, {f"d/{number}": File(b"x" * number, uid=number) for number in range(500)})
    assert len(owners(str(path))) == 500 and len(whole) > 1000
    for size in (0, 50, 200, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(ImageError):
            owners(str(path))


def test_a_skeleton_with_a_bit_that_changed_is_refused_or_means_the_same(tmp_path: pathlib.Path) -> None:
    """Some bits decide nothing, such as those of the date in its gzip."""
    path = tmp_path / "skeleton"
    whole = _skeleton(path, {"d": DIR, "d/a": b"x" * 700, "b": b"y", "gone": WHITEOUT, "l": Link("b")})
    records = list(tarsplit.records(str(path)))
    refused = 0
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            assert list(tarsplit.records(str(path))) == records, bit
        except ImageError:
            refused += 1
    assert refused > 7 * len(whole)
