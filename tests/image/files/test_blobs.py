"""Archives of images as files: how they may be compressed, copied and damaged, and in how little memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pathlib
import subprocess
import tarfile
from collections.abc import Callable, Iterator

import pytest
from lab import oci
from lab.command import Command, Result
from lab.oci import layer

from mydocker.errors import ImageError
from mydocker.image.files.blobs import FilesOfArchive
from mydocker.image.tar import index

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: oci.compress(data, "zstd"),
}
MEMORY = 200 << 20  # bytes: more than Python and its libraries take, less than any of these files claims


def _archive(members: dict[str, bytes], *, format: int = tarfile.GNU_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format) as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


@pytest.fixture
def saved(tmp_path: pathlib.Path) -> bytes:
    """An oci-archive of an image."""
    layout = oci.write_layout(tmp_path / "layout", oci.image([layer({"a": os.urandom(3000)})]), tag="it")
    files = {str(path.relative_to(layout)): path.read_bytes() for path in layout.rglob("*") if path.is_file()}
    return _archive(files)


@pytest.mark.root
@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_an_archive_may_be_compressed(mydocker: Command, tmp_path: pathlib.Path, saved: bytes, kind: str) -> None:
    path = tmp_path / "saved"
    path.write_bytes(COMPRESSIONS[kind](saved))
    loaded = Result(b"Loaded image: localhost/saved:it\n", b"", 0)
    assert mydocker("load", "-q", "-i", str(path)) == loaded
    assert mydocker("load", "-q", input=path.read_bytes()).code == 0
    path.write_bytes(path.read_bytes()[:-9])
    done = mydocker("load", "-q", "-i", str(path))
    assert done.code == 125 and b"ends in the middle of its compressed data" in done.stderr


@pytest.mark.root
def test_what_has_no_room_for_a_copy_says_where_and_what_helps(
    mydocker: Command, tmp_path: pathlib.Path, saved: bytes
) -> None:
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", place], check=True)
    try:
        done = mydocker("load", input=saved, env={"TMPDIR": str(place)})
    finally:
        subprocess.run(["umount", place], check=True)
    first, hint = done.stderr.decode().splitlines()
    assert first == f"mydocker: standard input: cannot be copied to {place}: No space left on device"
    assert hint.startswith("hint: TMPDIR ") and done.code == 125


def _claiming(size: int, kind: bytes) -> bytes:
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, size
    return header.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("name", ["load -i {}", "pull docker-archive:{}", "pull oci-archive:{}"])
def test_a_header_of_three_gigabytes_is_not_read(
    mydocker: Command, tmp_path: pathlib.Path, kind: bytes, name: str
) -> None:
    path = tmp_path / "hostile.tar"
    with path.open("wb") as file:
        file.write(_claiming(3 << 30, kind))
        file.truncate(4 << 30)
    done, memory = mydocker.measured(*name.format(path).split())
    assert done.code == 125 and b"extended headers too large" in done.stderr
    assert memory < MEMORY


@pytest.fixture
def members(tmp_path: pathlib.Path) -> Iterator[Callable[[bytes], dict[str, index.Member]]]:
    with (tmp_path / "archive").open("w+b") as file:

        def members(data: bytes) -> dict[str, index.Member]:
            file.seek(0)
            file.truncate()
            file.write(data)
            file.flush()
            return index.index(file.fileno(), "x.tar")

        yield members


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_each_file_is_found_where_it_lies(
    members: Callable[[bytes], dict[str, index.Member]], tmp_path: pathlib.Path, format: int
) -> None:
    files = {"a": b"1" * 700, "./d/b": b"", f"{'d' * 90}/{'n' * 90}": b"22", "a ": b"3"}
    found = members(_archive(files, format=format))
    assert list(found) == ["a", "d/b", f"{'d' * 90}/{'n' * 90}", "a "]
    archive = FilesOfArchive(str(tmp_path / "archive"))
    for name, data in files.items():
        with archive.open(name) as blob:
            assert blob.read_all(1000, name) == data
    archive.close()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"x", "shorter than a header"),
        (b"x" * 1000, "not a tar archive, .* no header at byte 0"),
        (_archive({"a": b"1" * 700})[:1000], "in the middle of a member"),
        (_archive({"a": b"1" * 512})[:1300], "in the middle of a header"),
        (_claiming(4096, tarfile.GNUTYPE_LONGNAME) + b"n" * 4097, "in the middle"),
        (_archive({"n" * 4097: b""}), "a name that no file can have"),
    ],
    ids=range(7),
)
def test_what_is_no_archive_is_named(
    members: Callable[[bytes], dict[str, index.Member]], data: bytes, words: str
) -> None:
    with pytest.raises(ImageError, match=f"^x.tar: .*{words}"):
        members(data)


def test_names_have_a_bound(
    members: Callable[[bytes], dict[str, index.Member]], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"file{n}": b"" for n in range(50)}
    assert len(members(_archive(files))) == 50
    monkeypatch.setattr(index, "NAMES", 250)
    with pytest.raises(ImageError, match="names are too long"):
        members(_archive(files))
    monkeypatch.setattr(index, "MEMBERS", 20)
    with pytest.raises(ImageError, match="more than 20 members"):
        members(_archive(files))
