"""Compressed streams, right, damaged and hostile."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterator

import pytest
from lab.oci import compress, layer

from mydocker.errors import ImageError
from mydocker.image.model.limits import FREE, LimitError, Limits
from mydocker.image.tar.inflate import inflate

DATA = b"".join(b"line %d\n" % n for n in range(100_000))


def inflated(blob: bytes, compression: str, *, chunk: int = 4000) -> bytes:
    pieces = (blob[start : start + chunk] for start in range(0, len(blob), chunk))
    return b"".join(inflate(pieces, compression=compression, what="layer x"))


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("chunk", [1, 777, 10**7])
def test_what_was_compressed_comes_out(compression: str, chunk: int) -> None:
    data = DATA[:5000] if chunk == 1 else DATA
    assert inflated(compress(data, compression), compression, chunk=chunk) == data


@pytest.mark.parametrize("said", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("really", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("chunk", [1, 100, 10**7])
def test_the_bytes_know_better_than_what_is_said_of_them(said: str, really: str, chunk: int) -> None:
    tar = layer({"a": b"1" * 1000})
    assert inflated(compress(tar, really), said, chunk=chunk) == tar


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_thousand_members_are_one_stream(compression: str) -> None:
    blob = b"".join(compress(b"%d," % n, compression) for n in range(1000))
    assert inflated(blob, compression) == b"".join(b"%d," % n for n in range(1000))


def test_padding_after_gzip_is_ignored() -> None:
    assert inflated(gzip.compress(DATA) + bytes(1000), "gzip") == DATA


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda blob: blob[: len(blob) // 2], "ends in the middle"),
        (lambda blob: blob[:-1], "ends in the middle"),
        (lambda blob: b"not compressed at all", "damaged"),
        (lambda blob: blob + b"junk that is no member", "damaged"),
    ],
)
def test_damage_is_named(compression: str, damage: object, words: str) -> None:
    assert callable(damage)
    with pytest.raises(ImageError, match=f"layer x: .*{words}"):
        inflated(damage(compress(DATA, compression)), compression)


def test_a_window_of_two_gibibytes_is_refused() -> None:
    frame = bytes.fromhex("28b52ffd") + bytes([0x00, (31 - 10) << 3]) + bytes.fromhex("010000")  # RFC 8878, 3.1.1
    with pytest.raises(ImageError, match="damaged"):
        inflated(frame, "zstd")


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_bomb_ends_early_and_in_little_memory(compression: str) -> None:
    member = compress(bytes(64 << 20), compression)

    def bomb() -> Iterator[bytes]:
        for _ in range(160):  # 10 GiB
            yield member

    tracemalloc.start()
    try:
        total = 0
        with pytest.raises(ImageError, match="expands more than"):
            for piece in inflate(bomb(), compression=compression, what="layer x"):
                total += len(piece)
        assert total < 2 * FREE
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_limit_on_expansion_can_be_another() -> None:
    member = compress(bytes(64 << 20), "gzip")

    def pieces(limits: Limits) -> Iterator[bytes]:
        return inflate((member for _ in range(24)), compression="gzip", what="layer x", limits=limits)

    with pytest.raises(LimitError, match="more than 3 times") as caught:
        for _ in pieces(Limits(expansion=3)):
            pass
    assert caught.value.hint and "MYDOCKER_LAYER_EXPANSION" in caught.value.hint
    assert sum(map(len, pieces(Limits(expansion=2000)))) == 24 * (64 << 20)
