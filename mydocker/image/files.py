"""Files by name, in a directory or in a tar archive: where images lie that come from no registry. All is untrusted."""

from __future__ import annotations

import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from typing import Protocol, Self

from mydocker import kernel
from mydocker.errors import ImageError, ImageNotFoundError
from mydocker.image.inflate import inflate, magic

_MEMBERS = 100_000  # of one archive
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

    def close(self) -> None: ...


class Directory:
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

    def close(self) -> None:
        os.close(self._root)


class Archive:
    """The files of the tar archive PATH, `-` for stdin. It is copied first if it is compressed or cannot be sought."""

    def __init__(self, path: str) -> None:
        try:
            self._descriptor = os.dup(0) if path == "-" else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise ImageNotFoundError(f"cannot read {path}: {error.strerror}") from None
        try:
            self._copy_if_needed(path)
            self._members = self._index(path)
        except OSError as error:
            self.close()
            raise ImageError(f"{path}: cannot be read: {error.strerror or error}") from None
        except BaseException:
            self.close()
            raise

    def _copy_if_needed(self, path: str) -> None:
        is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        os.set_blocking(self._descriptor, True)
        first = os.read(self._descriptor, _PIECE)
        kind = magic(first) or "none"
        if is_file and kind == "none":
            return
        source, self._descriptor = self._descriptor, -1
        with open(source, "rb") as rest, tempfile.TemporaryFile() as copy:

            def chunks() -> Iterator[bytes]:
                yield first
                yield from iter(lambda: rest.read(_PIECE), b"")

            for piece in inflate(chunks(), compression=kind, what=path):
                copy.write(piece)
            copy.flush()
            self._descriptor = os.dup(copy.fileno())

    def _index(self, path: str) -> dict[str, tarfile.TarInfo]:
        """The members by name; of equal names the last counts, as for tar."""
        members: dict[str, tarfile.TarInfo] = {}
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            with os.fdopen(os.dup(self._descriptor), "rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
                for count, member in enumerate(archive):
                    if count == _MEMBERS:
                        raise ImageError(f"{path}: more than {_MEMBERS} members")
                    members[_normal(member.name)] = member
        except (tarfile.TarError, ValueError, EOFError) as error:
            raise ImageError(f"{path}: not a tar archive, or a damaged one: {error}") from None
        return members

    def open(self, name: str, *, offset: int = 0) -> Blob:
        found = _normal(name)
        for _ in range(_LINKS):
            member = self._members.get(found)
            if member is None:
                raise FileNotFoundError(name)
            if member.isreg() and not member.issparse():
                return Blob(self._descriptor, start=member.offset_data, size=member.size, offset=offset)
            if not (member.issym() or member.islnk()):
                break
            found = member.linkname if member.islnk() else os.path.join(os.path.dirname(found), member.linkname)
            found = _normal(found)
        raise ImageError(f"{ascii(name)}: not a file")

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def _normal(name: str) -> str:
    """NAME, always below the archive's top."""
    return os.path.normpath(f"/{name}").lstrip("/")
