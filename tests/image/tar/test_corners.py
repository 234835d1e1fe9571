"""Corners of the tar format that other readers know: the same file on disk, and the same archive from it again."""

from __future__ import annotations

import io
import json
import os
import pathlib
import stat
import tarfile
import tempfile
from collections.abc import Callable

import pytest
from lab import oci
from lab.command import Command
from lab.recorder import Recorder

from mydocker.errors import ImageError
from mydocker.image.layer.scan import Scan
from mydocker.image.tar import index

END = bytes(1024)
GOAL = b"1"


def block(
    name: str, kind: bytes = b"0", *, fields: dict[int, bytes] | None = None, link: str = "", size: int = 0
) -> bytes:
    """A ustar header, with FIELDS at their places and the checksum right."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, link, 0o755 if kind == b"5" else 0o644, size
    header = bytearray(info.tobuf(tarfile.USTAR_FORMAT)[:512])
    for place, field in (fields or {}).items():
        header[place : place + len(field)] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def file(name: str, data: bytes = GOAL, *, fields: dict[int, bytes] | None = None) -> bytes:
    return block(name, fields=fields, size=len(data)) + padded(data)


def pax(**records: str) -> bytes:
    """An extended header. In the names of RECORDS `__` is a dot."""
    body = b"".join(_record(key.replace("__", "."), value) for key, value in records.items())
    return block("pax", b"x", size=len(body)) + padded(body)


def _record(key: str, value: str) -> bytes:
    rest = f" {key}={value}\n".encode()
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def gnu(kind: bytes, name: bytes) -> bytes:
    return block("././@LongLink", kind, size=len(name)) + padded(name)


SIZE, USER, GROUP, TIME = 124, 108, 116, 136
HINT = {SIZE: b"00000010000\0"}
BINARY = b"\x80" + bytes(3)  # the first half of an id in base 256

Check = Callable[[pathlib.Path], bool]
GOOD: dict[str, tuple[bytes, Check]] = {
    # a size where no data follow
    "a directory with a size": (block("d/", b"5", fields=HINT) + file("x"), lambda top: (top / "d").is_dir()),
    "an old directory with a size": (block("d/", b"\0", fields=HINT) + file("x"), lambda top: (top / "d").is_dir()),
    "a link with a size": (
        block("l", b"2", fields=HINT, link="x") + file("x"),
        lambda top: os.readlink(top / "l") == "x",
    ),
    "a hard link with a size": (
        file("x") + block("h", b"1", fields=HINT, link="x"),
        lambda top: (top / "h").stat().st_nlink == 2,
    ),
    "a FIFO with a size": (block("f", b"6", fields=HINT) + file("x"), lambda top: (top / "f").is_fifo()),
    "a device with a size": (
        block("n", b"3", fields={**HINT, 329: b"0000001\0", 337: b"0000003\0"}) + file("x"),
        lambda top: not (top / "n").exists() or (top / "n").stat().st_rdev == os.makedev(1, 3),
    ),
    "a directory with a size in pax": (
        pax(size="10") + block("d/", b"5") + file("x"),
        lambda top: (top / "d").is_dir(),
    ),
    "a directory with a negative size": (
        block("d/", b"5", fields={SIZE: b"\xff" * 12}) + file("x"),
        lambda top: (top / "d").is_dir(),
    ),
    # empty values of pax
    "an empty path of a directory": (
        pax(path="") + block("d/", b"5") + file("d/x"),
        lambda top: (top / "d/x").is_file(),
    ),
    "an empty path of a file": (pax(path="") + file("x"), lambda top: True),
    "an empty linkpath": (
        pax(linkpath="") + block("l", b"2", link="x") + file("x"),
        lambda top: os.readlink(top / "l") == "x",
    ),
    "an empty size": (pax(size="") + file("x"), lambda top: True),
    "empty ids": (
        pax(uid="", gid="") + file("x", fields={USER: b"0000007\0", GROUP: b"0000010\0"}),
        lambda top: _owner(top / "x") == (7, 8),
    ),
    "an empty time": (
        pax(mtime="", atime="", ctime="") + file("x", fields={TIME: b"00000000012\0"}),
        lambda top: _time(top / "x") == 10,
    ),
    "empty names of owners": (pax(uname="", gname="", comment="") + file("x"), lambda top: True),
    "an empty sparse name": (pax(GNU__sparse__name="") + file("x"), lambda top: True),
    "empty device numbers": (
        pax(SCHILY__devmajor="", SCHILY__devminor="")
        + block("n", b"3", fields={329: b"0000001\0", 337: b"0000003\0"})
        + file("x"),
        lambda top: True,
    ),
    "a value that is taken back": (
        block("pax", b"x", size=len(_record("path", "other") + _record("path", "")))
        + padded(_record("path", "other") + _record("path", ""))
        + file("x"),
        lambda top: not (top / "other").exists(),
    ),
    "an empty long name": (gnu(b"L", b"\0") + file("x"), lambda top: True),
    "an empty long link": (
        gnu(b"K", b"") + block("l", b"2", link="x") + file("x"),
        lambda top: os.readlink(top / "l") == "x",
    ),
    # several headers before one entry
    "two pax headers": (
        pax(path="wrong", uid="3") + pax(path="x") + file("y"),
        lambda top: _owner(top / "x") == (0, 0),
    ),
    "three pax headers": (
        pax(path="a") + pax(path="b") + pax(mtime="5") + file("x"),
        lambda top: _time(top / "x") == 5,
    ),
    "two long names": (gnu(b"L", b"wrong\0") + gnu(b"L", b"x\0") + file("y"), lambda top: not (top / "wrong").exists()),
    "two long links": (
        gnu(b"K", b"wrong\0") + gnu(b"K", b"x\0") + block("l", b"2", link="y") + file("x"),
        lambda top: os.readlink(top / "l") == "x",
    ),
    "a long name and a pax header": (gnu(b"L", b"x\0") + pax(mtime="5") + file("y"), lambda top: _time(top / "x") == 5),
    "a pax header and a long name": (pax(mtime="5") + gnu(b"L", b"x\0") + file("y"), lambda top: _time(top / "x") == 5),
    "a long name twice over": (pax(path="x") + gnu(b"L", b"x\0") + file("y"), lambda top: True),
    "all of them": (
        pax(path="n")
        + gnu(b"K", b"k\0")
        + gnu(b"L", b"l\0")
        + gnu(b"K", b"x\0")
        + pax(mtime="7")
        + gnu(b"L", b"s\0")
        + block("y", b"2", link="z")
        + file("x"),
        lambda top: os.readlink(top / "s") == "x",
    ),
    "as much as there may be": (pax(comment="x" * 1_000_000) * 4 + file("x"), lambda top: True),
    "a key of pax with the name of a header": (pax(L="wrong", K="wrong", path="x") + file("y"), lambda top: True),
    # numbers in base 256
    "ids in base 256": (
        file("x", fields={USER: BINARY + b"\0\0\1\0", GROUP: BINARY + b"\0\0\1\1"}),
        lambda top: _owner(top / "x") == (256, 257),
    ),
    "a negative id": (
        file("x", fields={USER: b"\xff" * 7 + b"\xfe", GROUP: b"\xff" * 7 + b"\xfd"}),
        lambda top: _owner(top / "x") == (4294967294, 4294967293),
    ),
    "the id that changes nothing": (
        file("x", fields={USER: b"\xff" * 8, GROUP: b"\xff" * 8}),
        lambda top: _owner(top / "x") == (0, 0),
    ),
    "a negative id in a pax record": (
        pax(uid="-2", gid="-3") + file("x"),
        lambda top: _owner(top / "x") == (4294967294, 4294967293),
    ),
    "the id that changes nothing in a pax record": (
        pax(uid="-1", gid="-1") + file("x"),
        lambda top: _owner(top / "x") == (0, 0),
    ),
    "signs": (
        pax(uid="+5", gid="+6", mtime="+7") + file("x"),
        lambda top: (*_owner(top / "x"), _time(top / "x")) == (5, 6, 7),
    ),
    "a size in base 256": (file("x", fields={SIZE: b"\x80" + bytes(10) + b"\1"}), lambda top: True),
    "a time before 1970": (file("x", fields={TIME: b"\xff" * 12}), lambda top: _time(top / "x") == -1),
    "a time in base 256": (file("x", fields={TIME: b"\x80" + bytes(10) + b"\5"}), lambda top: _time(top / "x") == 5),
    "a mode in base 256": (
        file("x", fields={100: BINARY + b"\0\0\1\xa4"}),
        lambda top: stat.S_IMODE((top / "x").stat().st_mode) == 0o644,
    ),
    "device numbers in base 256": (
        block("n", b"3", fields={329: BINARY + b"\0\0\0\1", 337: BINARY + b"\0\0\0\3"}) + file("x"),
        lambda top: True,
    ),
    "a time that no file has": (file("x", fields={TIME: b"\xbf" + b"\xff" * 11}), lambda top: True),
    "numbers that begin with NUL": (file("x", fields={USER: b"\0000007\0"}), lambda top: _owner(top / "x") == (7, 0)),
}


def _owner(path: pathlib.Path) -> tuple[int, int]:
    return path.stat().st_uid, path.stat().st_gid


def _time(path: pathlib.Path) -> float:
    return path.stat().st_mtime


@pytest.mark.root
@pytest.mark.parametrize("corner", GOOD)
def test_a_corner_is_read_as_others_read_it_and_written_again(
    mydocker: Command, tmp_path: pathlib.Path, corner: str
) -> None:
    entries, holds = GOOD[corner]
    tar = entries + END
    image = oci.image([tar], compression="none")
    layout = oci.write_layout(tmp_path / "layout", image, tag="v1")
    done = mydocker("load", "-q", "-i", str(layout))
    assert done.code == 0, done
    [found] = json.loads(mydocker("inspect", "localhost/layout:v1").stdout)
    [directory] = found["LayerDirs"]
    top = pathlib.Path(directory)
    [contents] = [path.read_bytes() for path in top.rglob("x") if not path.is_symlink()]
    assert contents == GOAL and holds(top)
    assert mydocker("fsck").code == 0
    with tarfile.open(fileobj=io.BytesIO(mydocker("save", "localhost/layout:v1").stdout)) as saved:
        again = saved.extractfile(f"blobs/sha256/{oci.digest(tar).removeprefix('sha256:')}")
        assert again and again.read() == tar


@pytest.mark.parametrize("corner", GOOD)
def test_the_index_of_an_archive_reads_the_same(corner: str) -> None:
    with tempfile.TemporaryFile() as archive:
        archive.write(GOOD[corner][0] + END)
        archive.flush()
        members = index.index(archive.fileno(), "archive")
        [member] = [member for name, member in members.items() if name in ("x", "d/x")]
        assert os.pread(archive.fileno(), member.size, member.start) == GOAL


BAD: dict[str, tuple[bytes, str]] = {
    "a file with a negative size": (file("x", fields={SIZE: b"\xff" * 12}), "its size is negative"),
    "a file larger than files can be": (file("x", fields={SIZE: b"\xbf" + b"\xff" * 11}), "no file has"),
    "a file larger than that by pax": (pax(size=str(1 << 63)) + file("x"), "no file has"),
    "two names that differ": (pax(path="a") + gnu(b"L", b"x\0") + file("x"), "two long names, b'a' and b'x'"),
    "two names that differ, the other way": (gnu(b"L", b"x\0") + pax(path="a") + file("x"), "two long names"),
    "two links that differ": (
        pax(linkpath="a") + gnu(b"K", b"b\0") + block("l", b"2", link="c"),
        "two long names, b'a' and b'b'",
    ),
    "a negative device": (block("n", b"3", fields={329: b"\xff" * 8}), "no device has"),
    "a device that is too large": (block("n", b"4", fields={337: b"\x80\0\0\0\xff\xff\xff\xff"}), "no device has"),
    "an id below all": (file("x", fields={USER: b"\xff\xff\xff\xff\x7f\xff\xff\xff"}), "no user or group has number -"),
    "an id above all": (file("x", fields={GROUP: b"\x80\0\0\1\0\0\0\0"}), "no user or group has number 4294967296"),
    "extended headers without end": (pax(comment="x" * 900_000) * 5 + file("x"), "extended headers too large"),
    "an extended header with a negative size": (block("p", b"x", fields={SIZE: b"\xff" * 12}), "its size is negative"),
    "a global header after others": (pax(path="x") + block("g", b"g") + file("y"), "a global header among"),
    "nothing after an extended header": (pax(path="x"), "in the middle of an entry"),
}


@pytest.mark.parametrize("corner", BAD)
def test_what_would_mean_different_things_is_refused(corner: str) -> None:
    entries, words = BAD[corner]
    with pytest.raises(ImageError) as caught:
        Scan(Recorder(), what="layer x", devices=True).read([entries + END])
    assert words in caught.value.message, caught.value.message
