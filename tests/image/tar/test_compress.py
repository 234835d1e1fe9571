"""gzip by several threads: what everybody unpacks, the same on every machine."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
from collections.abc import Iterator

import pytest
from lab.processes import other_threads

from mydocker.image.tar import compress
from mydocker.image.tar.inflate import inflate

PIECE = 4 << 20
SIZE = 12_000_000


@pytest.fixture(scope="module")
def data() -> bytes:
    return random.Random(1).randbytes(3000) * (SIZE // 3000)


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, SIZE])
@pytest.mark.parametrize("step", [100_000, 20 << 20])
def test_it_unpacks_to_what_it_was(data: bytes, size: int, step: int) -> None:
    packed = b"".join(compress.gzip(data[start : min(start + step, size)] for start in range(0, size, step)))
    assert gzip.decompress(packed) == data[:size] == b"".join(inflate([packed], compression="gzip", what="x"))
    assert subprocess.run(["gzip", "-dc"], input=packed, capture_output=True, check=True).stdout == data[:size]
    assert other_threads() == []


def test_the_same_bytes_however_they_come_and_whoever_packs(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = b"".join(compress.gzip([data]))
    assert b"".join(compress.gzip(data[start : start + 999_999] for start in range(0, SIZE, 999_999))) == whole
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(7)))
    assert b"".join(compress.gzip([data])) == whole


def test_a_failure_of_the_source_ends_it_and_its_threads(data: bytes) -> None:
    def broken() -> Iterator[bytes]:
        yield data
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        for _ in compress.gzip(broken()):
            pass
    assert other_threads() == []


def test_little_is_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    given = 0

    def counted() -> Iterator[bytes]:
        nonlocal given
        for _ in range(20):
            given += 1
            yield bytes(PIECE)

    for number, _ in enumerate(compress.gzip(counted())):
        assert given <= number + 5 or given == 20
