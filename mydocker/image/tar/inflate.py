"""Compressed layers: chunks of a blob in, chunks of its tar out, each of bounded size whatever the blob claims.

gzip (RFC 1952, any number of members), Zstandard (RFC 8878, any number of frames) or none; also xz and bzip2, which
only whole archives have as a rule.
"""

from __future__ import annotations

import functools
import itertools
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from mydocker.errors import ImageError
from mydocker.image.model.limits import FREE, LimitError, Limits
from mydocker.image.tar.header import BLOCK, MAGIC

PIECE = 120 << 10  # bytes of output at a time: malloc(3) asks the kernel for what is larger, page by page, each time
_FEED = 64 << 10  # bytes of input at a time: what follows a member's end is copied, so keep that short
_WINDOW_LOG = 27  # 128 MiB, the most that `zstd` itself takes without --long; a frame may ask for 2 GiB
_XZ_MEMORY = 128 << 20  # bytes; what `xz -9` has written takes 65 MiB

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\0": "xz", b"BZh": "bzip2"}


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def inflate(chunks: Iterable[bytes], *, compression: str, what: str, limits: Limits | None = None) -> Iterator[bytes]:
    """The uncompressed bytes of CHUNKS. ImageError if WHAT is damaged, or expands more than LIMITS say.

    COMPRESSION is what is said of them, `gzip`, `zstd` or `none`. Their first bytes know better: what skopeo copies
    from a docker-archive to a `dir:` is plain, and said to be gzip.
    """
    ratio = (limits or Limits()).expansion
    first, chunks = _peek(chunks)
    compression = known(first) or compression
    if compression == "none":
        yield from chunks
        return
    taken = given = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for chunk in chunks:
            for start in range(0, len(chunk), _FEED):
                piece = chunk[start : start + _FEED]
                taken += len(piece)
                yield piece

    for piece in _members(counted(), _DECOMPRESSORS[compression], what):
        given += len(piece)
        if given > FREE + ratio * taken:
            raise LimitError(f"{what}: expands more than {ratio} times, as no real layer does", "expansion")
        yield piece


def known(first: bytes) -> str | None:
    """How a tar with these FIRST bytes, a block of it, is compressed, if at all; None if they do not tell."""
    return "none" if first[MAGIC].startswith(b"ustar") else magic(first)


def magic(first: bytes) -> str | None:
    """How a stream with these FIRST bytes is compressed; None if they do not tell."""
    return next((kind for begin, kind in _MAGIC.items() if first.startswith(begin)), None)


def _peek(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes of CHUNKS, enough to tell what they are if there are so many, and all of CHUNKS."""
    source = iter(chunks)
    first = b""
    while len(first) < BLOCK and (chunk := next(source, b"")):
        first += chunk
    return first, itertools.chain([first], source)


def _members(chunks: Iterable[bytes], new: Callable[[], _Decompressor], what: str) -> Iterator[bytes]:
    decompressor = new()
    fresh = True  # at the start of a member, where the stream may end
    for data in chunks:
        while data or not decompressor.needs_input:
            if fresh and not (data := data.lstrip(b"\0")):  # padding, which gzip(1) ignores as well
                break
            fresh = False
            try:
                piece = decompressor.decompress(data, PIECE)
            except _failures() as error:
                raise ImageError(f"{what}: damaged: {error}") from None
            data = b""
            if piece:
                yield piece
            if decompressor.eof:
                data, decompressor, fresh = decompressor.unused_data, new(), True
            elif decompressor.needs_input:
                break
    if not fresh:
        raise ImageError(f"{what}: ends in the middle of its compressed data")


@functools.cache
def _failures() -> tuple[type[Exception], ...]:
    import lzma

    from isal import igzip_lib

    isal_error: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # its stub has an instance
    return isal_error, _zstandard().ZstdError, lzma.LZMAError, EOFError, ValueError, OSError  # the last is bzip2's


def _gzip() -> _Decompressor:
    from isal import igzip_lib

    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _zstd() -> _Decompressor:
    zstd = _zstandard()
    decompressor: _Decompressor = zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    )
    return decompressor


def _xz() -> _Decompressor:
    import lzma

    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _bzip2() -> _Decompressor:
    import bz2

    return bz2.BZ2Decompressor()


def _zstandard() -> types.ModuleType:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {"gzip": _gzip, "zstd": _zstd, "xz": _xz, "bzip2": _bzip2}
