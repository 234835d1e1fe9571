"""Files by name, in a directory or in a tar archive: where images lie that come from no registry. All is untrusted."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from typing import Protocol, Self

from mydocker import kernel
from mydocker.errors import ImageError, ImageNotFoundError, StoreError
from mydocker.image.tar import index
from mydocker.image.tar.inflate import inflate, magic

_LINKS = 10  # in a row: old versions of Docker store a layer once and link to it
_PIECE = 1 << 20


class Blob:
    """A file's bytes from `offset` on, as a registry's BlobStream; any number of them may be read at once."""

    def __init__(self, descriptor: int, *, start: int, size: int, offset: int = 0) -> None:
        """SIZE bytes from START on; DESCRIPTOR stays its giver's."""
        self.offset = offset
        self.size = size
        self._descriptor = os.dup(descriptor)
        self._next, self._end = start + offset, start + size

    def read(self, size: int) -> bytes:
        data = os.pread(self._descriptor, min(size, self._end - self._next), self._next)
        self._next += len(data)
        return data

    def read_all(self, limit: int, what: str) -> bytes:
        """The rest. ImageError, naming WHAT, if it has more than LIMIT bytes."""
        if self._end - self._next > limit:
            raise ImageError(f"{what}: larger than {limit} bytes")
        pieces = iter(lambda: self.read(_PIECE), b"")
        return b"".join(pieces)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Files(Protocol):
    """`open` raises FileNotFoundError, or ImageError for what is no file."""

    def open(self, name: str, *, offset: int = 0) -> Blob: ...

    def top(self) -> set[str]: ...

    def close(self) -> None: ...


class FilesOfDirectory:
    """The files below the directory PATH; no link leads out of it."""

    def __init__(self, path: str) -> None:
        try:
            self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise ImageNotFoundError(f"cannot read {path}: {error.strerror}") from None

    def open(self, name: str, *, offset: int = 0) -> Blob:
        flags = os.O_RDONLY | os.O_NONBLOCK
        try:
            descriptor = kernel.open_inside(self._root, name, flags, resolve=kernel.RESOLVE_BENEATH)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ImageError(f"{name}: cannot be read: {error.strerror}") from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ImageError(f"{name}: not a file")
            return Blob(descriptor, start=0, size=status.st_size, offset=offset)
        finally:
            os.close(descriptor)

    def top(self) -> set[str]:
        """The names at the top."""
        return set(os.listdir(self._root))

    def close(self) -> None:
        os.close(self._root)


class FilesOfArchive:
    """The files of the tar archive PATH, `-` for stdin. It is copied first if it is compressed or cannot be sought."""

    def __init__(self, path: str) -> None:
        shown = "standard input" if path == "-" else path
        try:
            self._descriptor = os.dup(0) if path == "-" else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise ImageNotFoundError(f"cannot read {shown}: {error.strerror}") from None
        try:
            self._copy_if_needed(shown)
            self._members = index.index(self._descriptor, shown)
        except OSError as error:
            self.close()
            raise ImageError(f"{shown}: cannot be read: {error.strerror or error}") from None
        except BaseException:
            self.close()
            raise

    def _copy_if_needed(self, what: str) -> None:
        is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        os.set_blocking(self._descriptor, True)
        first = os.read(self._descriptor, _PIECE)
        kind = magic(first) or "none"
        if is_file and kind == "none":
            return
        source, self._descriptor = self._descriptor, -1
        with open(source, "rb") as rest:

            def chunks() -> Iterator[bytes]:
                yield first
                yield from iter(lambda: rest.read(_PIECE), b"")

            self._descriptor = _copied(inflate(chunks(), compression=kind, what=what), what)

    def open(self, name: str, *, offset: int = 0) -> Blob:
        found = index.normal(name)
        for _ in range(_LINKS):
            member = self._members.get(found)
            if member is None:
                raise FileNotFoundError(name)
            if member.is_file:
                return Blob(self._descriptor, start=member.start, size=member.size, offset=offset)
            found = member.link
            if not found:
                break
        raise ImageError(f"{ascii(name)}: not a file")

    def top(self) -> set[str]:
        """The names at the top."""
        return {name.partition("/")[0] for name in self._members} - {"", "."}

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def _copied(pieces: Iterator[bytes], what: str) -> int:
    """A file without a name, open for reading, with the PIECES of the archive WHAT."""
    with tempfile.TemporaryFile(buffering=0) as copy:
        for piece in pieces:
            rest = memoryview(piece)
            try:
                while rest:
                    rest = rest[os.write(copy.fileno(), rest) :]
            except OSError as error:
                raise StoreError(
                    f"{what}: cannot be copied to {tempfile.gettempdir()}: {error.strerror}",
                    hint="TMPDIR names another directory; a file that is not compressed is read where it is",
                ) from None
        return os.dup(copy.fileno())
