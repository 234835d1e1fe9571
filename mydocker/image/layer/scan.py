"""Scan: a layer's tar on its way to the disk. It judges every header and keeps some entries back.

Chunks of an untrusted archive go in; entries come out, without whiteouts (they are collected, see whiteout.py),
reserved names, and device nodes if they cannot be made. What cannot be right is refused with an ImageError that names
the entry. Memory does not grow with the archive, but for names that are needed at its end.

It is no boundary: sandbox.py is. It exists for what is legal to the file system and wrong in a layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from mydocker.errors import ImageError
from mydocker.image.layer import whiteout
from mydocker.image.model.limits import LimitError, Limits
from mydocker.image.tar import header
from mydocker.image.tar.header import BLOCK, Entry, Malformed, about, refuse
from mydocker.image.tar.input import Input
from mydocker.image.tar.tarsplit import Piece, Writer

_MAJORS, _MINORS = 1 << 12, 1 << 20  # device numbers (makedev(3), linux/kdev_t.h)
_HELD = 256 << 10  # bytes of one file's contents that may wait in memory until all are there
NAMES_LIMIT = 64 << 20  # bytes of names that are kept until the end, by us or by whoever reads the layer


class Tree(Protocol):
    """What entries are passed to, see `Extraction` for the contract."""

    def plain(self, block: Piece, path: bytes, contents: Sequence[Piece]) -> None: ...

    def entry(self, entry: Entry, path: bytes, headers: bytes, contents: Iterator[Piece]) -> None: ...


class Scan:
    """One layer's scan, which passes entries to TREE. `hidden` and `opaque` are complete when `read` has ended."""

    def __init__(
        self, tree: Tree, *, what: str, devices: bool, skeleton: Writer | None = None, limits: Limits | None = None
    ) -> None:
        self.hidden: list[bytes] = []  # paths that a whiteout hides, below the layer's root
        self.opaque: list[bytes] = []  # directories that hide what lower layers have in them
        self._tree, self._what, self._devices, self._skeleton = tree, what, devices, skeleton
        self._limits = limits or Limits()
        self._entries = self._bytes = self._names = 0
        self._read: list[bytes] = []  # all blocks since the last entry, also those that nobody is to see

    def read(self, chunks: Iterable[bytes]) -> None:
        """Read all CHUNKS of the archive, what follows its end included. ImageError, and what the tree raises."""
        source = Input(chunks, self._what)
        while entry := self._next(source):
            parts = self._judge(entry)
            path, headers = b"/".join(parts or ()), b"".join(self._read)
            self._read.clear()
            if self._skeleton:
                self._skeleton.entry(headers, path)
            contents = self._contents(source, entry, path)
            if parts is not None:
                try:
                    self._tree.entry(entry, path, headers, contents)
                except Malformed as problem:
                    raise refuse(self._what, entry.name, str(problem)) from None
            for _ in contents:  # what has not been put anywhere
                pass
        self._note(self._read)
        self._note(source.remainder())

    def _hurry(self, source: Input) -> Piece:
        """Take the entries that come next as long as they are like most: `read` would do the same with them, but not as
        soon. Returns the block that follows them, which is read; it is empty at the end of the stream."""
        tree, skeleton, limits = self._tree, self._skeleton, self._limits
        most, largest, deepest = limits.entries, limits.size, limits.depth
        chunk, start = source.present()
        while True:
            block: Piece = chunk[start : (place := start + BLOCK)]
            if place > len(chunk):  # the chunk ends here, or in this block
                source.skip_to(start)
                block = source.block()
                chunk, place = source.present()
            if not block or not (found := header.plain(block)):
                break
            path, size = found
            if self._entries == most or self._bytes + size > largest or path.count(b"/") >= deepest:
                break
            end = place + size
            start = end + -size % BLOCK
            if start <= len(chunk):
                contents: Sequence[Piece] = (chunk[place:end],) if size else ()
                padding: Piece = chunk[end:start]
            elif size > _HELD:
                break
            else:
                source.skip_to(place)
                contents, padding = source.held(size), source.at_most(-size % BLOCK)
                chunk, start = source.present()
            self._entries += 1
            self._bytes += size
            if not size and block[header.TYPE] == header.DIRECTORY:
                self._remember(path)
            if skeleton:
                skeleton.whole(block, path, contents, padding)
            try:
                tree.plain(block, path, contents)
            except Malformed as problem:
                raise refuse(self._what, path, str(problem)) from None
        source.skip_to(place)
        return block

    def _contents(self, source: Input, entry: Entry, path: bytes) -> Iterator[Piece]:
        """The contents of ENTRY, which the skeleton learns of: of what will be on disk as PATH, only the sum. All that
        follows ENTRY in the archive has been read at the end, padding included."""
        skeleton = self._skeleton
        on_disk = entry.is_plain and bool(path)
        for piece in source.pieces(entry.size):
            if skeleton:
                (skeleton.content if on_disk else skeleton.literal)(piece)
            yield piece
        if not entry.size:
            return
        if skeleton and on_disk:
            skeleton.end_of_content(path)
        self._note([source.at_most(-entry.size % BLOCK)])  # umoci leaves out the last; Go's reader allows that too

    def _note(self, blocks: Iterable[Piece]) -> None:
        for block in blocks:
            if self._skeleton:
                self._skeleton.literal(block)

    def _next(self, source: Input) -> Entry | None:
        """The next entry that is not like most, its blocks before the contents read; None at the end."""
        block = bytes(self._hurry(source))
        extensions: dict[bytes, bytes] = {}
        seen: list[int] = []  # sizes of extended headers
        while block and not header.is_end(block):
            self._read.append(block)
            try:
                header.check(block)
                kind = block[header.TYPE]
                if kind not in header.EXTENSIONS:
                    entry = header.decode(block, extensions)
                    if entry.type == header.SPARSE:
                        self._read += _sparse_map(source, block)
                    return entry
                size = header.extension_size(block)
                body = self._extension(source, size, seen)
                self._read.append(body)
                if kind != header.PAX_GLOBAL:
                    seen.append(size)
                    header.extend(extensions, kind, body[:size])
                elif seen:
                    raise Malformed("a global header among those of an entry")
                else:
                    self._ignore()
            except Malformed as problem:
                raise refuse(self._what, extensions.get(b"path", block[:100].rstrip(b"\0")), str(problem)) from None
            block = source.block()
        if seen:
            raise source.truncated()
        if block:
            self._end(source, block)
        return None

    def _ignore(self) -> None:
        """Drop a global header, as Docker does (`git archive` writes one). There may be any number of them, so none is
        kept until the next entry."""
        self._note(self._read)
        self._read.clear()

    def _end(self, source: Input, block: bytes) -> None:
        second = source.block()
        self._read += (block, second)
        if not header.is_end(second or bytes(BLOCK)):
            raise ImageError(f"{self._what}: a lone block of zeros in the middle of its archive")

    def _extension(self, source: Input, size: int, seen: list[int]) -> bytes:
        if len(seen) == header.EXTENSIONS_LIMIT:
            raise Malformed("too many extended headers")
        if sum(seen) + size > header.EXTENSIONS_SIZE:
            raise Malformed("extended headers too large")
        return source.take(-(-size // BLOCK) * BLOCK)

    def _judge(self, entry: Entry) -> list[bytes] | None:
        """The parts of ENTRY's path, None if it is not to be unpacked. ImageError if it has no place in a layer."""
        self._count(entry)
        try:
            parts = header.components(entry.name)
            _check(entry, parts)
        except Malformed as problem:
            raise refuse(self._what, entry.name, str(problem)) from None
        if len(parts) > self._limits.depth:
            why = f"more than {self._limits.depth} directories deep"
            raise LimitError(about(self._what, entry.name, why), "depth")
        if whiteout.PREFIX in entry.name and self._is_mark(entry, parts):
            return None
        if entry.type in (header.CHARACTER, header.BLOCKDEV) and not self._devices:
            self._remember(entry.name)
            self.hidden.append(b"/".join(parts))  # what a lower layer has there is not to be seen in its place
            return None
        if entry.type == header.SYMLINK:
            self._remember(entry.link)
        if entry.type == header.DIRECTORY:  # its time comes last
            self._remember(entry.name)
        return parts

    def _count(self, entry: Entry) -> None:
        self._entries += 1
        self._bytes += entry.extent
        limits = self._limits
        if self._entries > limits.entries:
            raise LimitError(f"{self._what}: has more than {limits.entries} entries", "entries")
        if self._bytes > limits.size:
            raise LimitError(about(self._what, entry.name, f"the layer has more than {limits.gib} GiB"), "gib")

    def _is_mark(self, entry: Entry, parts: list[bytes]) -> bool:
        """Take note of a whiteout; what AUFS has kept among them is dropped, as Docker does."""
        try:
            mark = whiteout.mark(parts)
        except ValueError as problem:
            raise refuse(self._what, entry.name, str(problem)) from None
        if mark is None:
            return False
        self._remember(entry.name)
        self.hidden += [] if mark.hidden is None else [mark.hidden]
        self.opaque += [] if mark.opaque is None else [mark.opaque]
        return True

    def _remember(self, text: bytes) -> None:
        self._names += len(text)
        if self._names > NAMES_LIMIT:
            raise ImageError(
                f"{self._what}: its whiteouts, symbolic links and directories take more than {NAMES_LIMIT >> 20} MiB"
            )


def _check(entry: Entry, parts: list[bytes]) -> None:
    is_file = entry.type in (header.REGULAR, header.SPARSE)
    if not parts and entry.type != header.DIRECTORY:
        raise Malformed("the layer's root can only be a directory")
    if entry.size and not (is_file and not entry.name.endswith(b"/")):
        raise Malformed("only a file can have contents")
    if entry.type == header.HARDLINK and not header.components(entry.link):
        raise Malformed("a hard link to nothing")
    if entry.type == header.SYMLINK and (not entry.link or b"\0" in entry.link):
        raise Malformed("a symbolic link to nothing")
    if not (0 <= entry.device[0] < _MAJORS and 0 <= entry.device[1] < _MINORS):
        raise Malformed(f"no device has the numbers {entry.device[0]}:{entry.device[1]}")
    if entry.type == header.CHARACTER and entry.device == (0, 0):
        raise Malformed("device 0:0 is how overlayfs hides a file, and no image may forge it")


def _sparse_map(source: Input, block: bytes) -> list[bytes]:
    """The blocks of an old GNU sparse file's map that had no room in its header (GNU tar manual, "Sparse Formats")."""
    blocks: list[bytes] = []
    more = block[header.HAS_MORE_MAP]
    while more:
        blocks.append(source.take(BLOCK))
        more = blocks[-1][header.MAP_GOES_ON]
        if len(blocks) * BLOCK > header.EXTENSION_LIMIT:
            raise Malformed("a sparse file of too many pieces")
    return blocks
