"""Packing: bytes in, gzip out, by as many threads as there are processors.

Pieces of one size become a gzip member each (RFC 1952, section 2.2: a file is a series of members), without a time
stamp: equal bytes are equal blobs, whatever the machine. Memory does not grow with what is packed.
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

_LEVEL = 6  # of zlib: what is pushed once is pulled often
_PIECE = 4 << 20  # bytes; in pieces of this size gzip loses a few in a thousand


def gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """CHUNKS packed. What CHUNKS raises ends it; no thread is left then."""
    workers = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[bytes]] = deque()
        for piece in _pieces(chunks):
            waiting.append(pool.submit(_member, piece))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        for packed in waiting:
            yield packed.result()


def _member(data: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL, wbits=31)
    return packer.compress(data) + packer.flush()


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """CHUNKS again, in pieces of one size; the last may be shorter, and there is always one."""
    piece = bytearray()
    for chunk in chunks:
        piece += chunk
        while len(piece) > _PIECE:
            yield bytes(piece[:_PIECE])
            del piece[:_PIECE]
    yield bytes(piece)
