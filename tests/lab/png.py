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
    """Section 6: each byte is written as its difference from what its neighbours foretell. Plain loops: it is slow."""
    if kind == 2:
        return bytearray([(byte + up) & 255 for byte, up in zip(line, above, strict=True)])
    for place in range(len(line)) if kind else ():
        left, corner = (line[place - step], above[place - step]) if place >= step else (0, 0)
        up = above[place]
        if kind == 1:
            guess = left
        elif kind == 3:
            guess = (left + up) // 2
        else:
            by_left, by_up, by_corner = abs(up - corner), abs(left - corner), abs(left + up - corner - corner)
            guess = left if by_left <= by_up and by_left <= by_corner else up if by_up <= by_corner else corner
        line[place] = (line[place] + guess) & 255
    return line
