"""The pixels of a PNG as a browser writes it: 8 bits for each of three or four channels, not interlaced (RFC 2083)."""

from __future__ import annotations

import pathlib
import struct
import zlib

Colour = tuple[int, int, int]


def rows(path: pathlib.Path) -> list[list[Colour]]:
    """The rows of the picture, from the top, without transparency."""
    raw = path.read_bytes()
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", raw[16:29])
    assert (depth, interlaced) == (8, 0) and kind in (2, 6)
    channels = {2: 3, 6: 4}[kind]
    packed, here = b"", 8
    while here < len(raw):
        length, name = struct.unpack(">I4s", raw[here : here + 8])
        packed += raw[here + 8 : here + 8 + length] if name == b"IDAT" else b""
        here += length + 12
    lines = zlib.decompress(packed)
    found, above, stride = [], bytearray(width * channels), width * channels + 1
    for start in range(0, height * stride, stride):
        above = _unfiltered(lines[start], bytearray(lines[start + 1 : start + stride]), above, channels)
        found.append(list(zip(above[0::channels], above[1::channels], above[2::channels], strict=True)))
    return found


def _unfiltered(kind: int, line: bytearray, above: bytearray, step: int) -> bytearray:
    """Section 6: each byte is written as its difference from what its neighbours foretell."""
    for place in range(len(line)):
        left = line[place - step] if place >= step else 0
        corner = above[place - step] if place >= step else 0
        guess = (0, left, above[place], (left + above[place]) // 2, _paeth(left, above[place], corner))[kind]
        line[place] = (line[place] + guess) & 255
    return line


def _paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    return min((left, up, corner), key=lambda value: abs(estimate - value))
