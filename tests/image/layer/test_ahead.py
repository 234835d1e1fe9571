"""A layer that several threads unpack: the same files, the same verdicts."""

from __future__ import annotations

import hashlib
import os
import pathlib
import threading
from collections.abc import Iterator

import pytest
from lab import oci
from lab.oci import DIR, WHITEOUT, File, compress, layer
from lab.processes import within

from mydocker.errors import ImageError
from mydocker.image.layer import download
from mydocker.image.layer.ahead import ahead
from mydocker.image.layer.workers import Task, Unpacker
from mydocker.image.model.limits import Limits
from mydocker.reference import Digest


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000])
def test_all_pieces_in_their_order(count: int) -> None:
    pieces = [b"%d" % number for number in range(count)] + [b""]
    assert list(ahead(pieces)) == pieces


def test_all_pieces_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert list(ahead([b"a", b"b"])) == [b"a", b"b"]


@pytest.mark.parametrize("before", [0, 3, 8, 100])
def test_what_goes_wrong_comes_after_the_pieces_before_it(before: int) -> None:
    def pieces() -> Iterator[bytes]:
        yield from [b"x"] * before
        raise ImageError("damaged")

    found = []
    with pytest.raises(ImageError, match="damaged"):
        for piece in ahead(pieces()):
            found.append(piece)
    assert len(found) == before


def test_no_more_than_a_few_are_made_ahead() -> None:
    made = 0
    begun = threading.Event()

    def pieces() -> Iterator[bytes]:
        nonlocal made
        while True:
            made += 1
            if made == 32:
                begun.set()
            yield b"x"

    before = threading.active_count()
    stream = ahead(pieces())
    next(stream)
    assert begun.wait(100)
    assert not within(0.1, lambda: made > 32)
    stream.close()
    assert within(100, lambda: threading.active_count() == before)  # it has ended


@pytest.mark.parametrize(
    ("sizes", "cores", "threads"),
    [
        ([100], 1, [0]),
        ([100], 2, [1]),
        ([100], 3, [2]),
        ([100], 64, [2]),
        ([50, 50], 2, [0, 0]),
        ([60, 40], 2, [1, 0]),
        ([10] * 7, 2, [0] * 7),
        ([10] * 7, 8, [1] * 7),
        ([90, 5, 5], 4, [2, 0, 0]),
        ([0, 0], 2, [0, 0]),
    ],
)
def test_threads_are_for_processors_that_would_be_idle(sizes: list[int], cores: int, threads: list[int]) -> None:
    assert [download._threads(size, of=sum(sizes), cores=cores) for size in sizes] == threads


ARCHIVE = layer(
    {"d": DIR, "gone": WHITEOUT}
    | {f"d/{number}": File(hashlib.shake_128(b"%d" % number).digest(number * 1000)) for number in range(60)}
    | {"d/large": File(bytes(3_000_000))}
)


def unpack(directory: pathlib.Path, archive: bytes, blob: bytes, *, threads: int) -> None:
    (directory / "layer").mkdir(parents=True)
    task = Task(
        what="layer x",
        diff_id=Digest.parse(oci.digest(archive)),
        compression="gzip",
        directory=str(directory / "layer"),
        lock=os.open(directory / "lock", os.O_RDWR | os.O_CREAT),
        ids=None,
        devices=True,
        limits=Limits(),
        threads=threads,
    )
    unpacker = Unpacker(task)
    try:
        unpacker.write(blob)
        unpacker.complete()
        unpacker.wait()
    finally:
        unpacker.abort()
        os.close(task.lock)


@pytest.mark.root
@pytest.mark.parametrize("threads", [1, 2])
def test_the_files_are_the_same(tmp_path: pathlib.Path, threads: int) -> None:
    blob = compress(ARCHIVE, "gzip")
    for number in (0, threads):
        unpack(tmp_path / str(number), ARCHIVE, blob, threads=number)
    one, other = tmp_path / "0", tmp_path / str(threads)
    assert (one / "lock").read_bytes() == (other / "lock").read_bytes()  # the skeleton, with all sums
    names = sorted(path.relative_to(one) for path in (one / "layer").rglob("*"))
    assert names == sorted(path.relative_to(other) for path in (other / "layer").rglob("*")) and len(names) == 63
    for path in (one / "layer" / "d").iterdir():
        assert path.read_bytes() == (other / "layer" / "d" / path.name).read_bytes()


@pytest.mark.root
@pytest.mark.parametrize("threads", [0, 1, 2])
@pytest.mark.parametrize(
    ("archive", "blob", "words"),
    [
        (ARCHIVE, compress(ARCHIVE, "gzip")[:-5000], "layer x: ends in the middle of its compressed data"),
        (ARCHIVE, compress(ARCHIVE, "gzip")[:-8] + bytes(8), "layer x: damaged: "),
        (b"another", compress(ARCHIVE, "gzip"), "layer x: diff ID: is damaged or forged: expected sha256:"),
        (b"x" * 600, compress(b"x" * 600, "gzip"), "layer x: entry "),
    ],
    ids=["short", "damaged", "another", "no tar"],
)
def test_what_is_wrong_is_found(tmp_path: pathlib.Path, archive: bytes, blob: bytes, words: str, threads: int) -> None:
    with pytest.raises(ImageError) as caught:
        unpack(tmp_path, archive, blob, threads=threads)
    assert caught.value.message.startswith(words)
