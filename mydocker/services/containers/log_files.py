"""The log of a container: files of lines of JSON as those of Docker's driver json-file, written, rotated and read.

    {"log": "a line\\n", "stream": "stdout", "time": "2026-01-02T03:04:05.123456789Z"}

A line of more than PART bytes comes in parts, of which only the last has an end of line. Bytes that are not UTF-8 are
kept as surrogates.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress

from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mydocker.specs.model.parts import Logging

PART = 16 << 10
_LOCAL = (20_000_000, 5)  # bytes of a file, and files, of Docker's driver local
NAME = "container.log"
_BLOCK = 1 << 16
_POLL = 0.1  # seconds


class LogFiles:
    """What writes the log in DIRECTORY by RULE. A disk that is full costs lines, not the container: `lost` bytes."""

    def __init__(self, directory: str, rule: Logging) -> None:
        self.path, self.driver = f"{directory}/{NAME}", rule.driver
        size, files = _LOCAL if rule.driver == "local" else (None, 1)
        self.max_size, self.max_file = rule.max_size or size, rule.max_file or files
        self.descriptor, self.size = -1, 0
        self.rest: dict[str, bytes] = {}  # by stream, the beginning of a line that has no end yet
        self.lost = 0
        self.broken = False  # the last line in the file is incomplete

    def add(self, stream: str, data: bytes) -> None:
        """The container has written DATA on STREAM, stdout or stderr."""
        if self.driver == "none":
            return
        stamp = timestamp(time.time_ns())
        lines = (self.rest.pop(stream, b"") + data).split(b"\n")
        rest = lines.pop()
        whole = [line + b"\n" for line in lines]
        while len(rest) >= PART:
            whole.append(rest[:PART])
            rest = rest[PART:]
        if rest:
            self.rest[stream] = rest
        parts = [line[at : at + PART] for line in whole for at in range(0, len(line), PART)]
        if parts:
            self._write(b"".join(_entry(part, stream, stamp) for part in parts))

    def end(self) -> None:
        """The container has ended: lines without an end are written as they are."""
        stamp = timestamp(time.time_ns())
        for stream, rest in self.rest.items():
            self._write(_entry(rest, stream, stamp))
        self.rest.clear()
        self.close()

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _write(self, raw: bytes) -> None:
        try:
            self._make_room(len(raw))
            if self.broken:
                raw = b"\n" + raw
            written = os.write(self.descriptor, raw)
        except OSError:
            written = 0
        self.size += written
        if written < len(raw):
            self.lost += len(raw) - written
            self.broken = self.broken or written > 0
        else:
            self.broken = False

    def _make_room(self, count: int) -> None:
        limit = self.max_size
        if self.descriptor >= 0 and limit and self.size and self.size + count > limit:
            self.close()
            self._rotate()
        if self.descriptor < 0:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self.descriptor = os.open(self.path, flags, 0o600)
            self.size = os.fstat(self.descriptor).st_size

    def _rotate(self) -> None:
        most = self.max_file
        with suppress(FileNotFoundError):
            os.unlink(self.path if most == 1 else f"{self.path}.{most - 1}")
        for number in range(most - 2, -1, -1):
            with suppress(FileNotFoundError):
                os.rename(f"{self.path}.{number}" if number else self.path, f"{self.path}.{number + 1}")


def timestamp(nanoseconds: int) -> str:
    """A time since 1970 as RFC 3339 has it, with nanoseconds."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09}Z"


def _entry(part: bytes, stream: str, stamp: str) -> bytes:
    text = part.decode(errors="surrogateescape")
    return json.dumps({"log": text, "stream": stream, "time": stamp}).encode() + b"\n"


class LogEntry(Record):
    """A line, or part of one; `time` as it is in the file."""

    stream: str
    text: bytes
    time: str


def read_log(
    directory: str, *, tail: int | None = None, follow: Callable[[], bool] | None = None
) -> Iterator[LogEntry]:
    """The entries of the log in DIRECTORY, the oldest first; the last TAIL of them, if that is set. With FOLLOW, those
    that come, until there is no more and it returns false."""
    *older, last = _existing(directory)
    end = 0  # bytes of the last file that have been read before it is followed
    if tail is not None:
        with suppress(FileNotFoundError):
            end = os.stat(last).st_size
        yield from map_entries(_last_lines([*older, last], tail, end=end))
    else:
        for path in older if follow else (*older, last):
            with suppress(FileNotFoundError), open(path, "rb") as file:
                yield from map_entries(file)
    if follow:
        yield from _followed(last, follow, start=end)


def map_entries(lines: Iterator[bytes]) -> Iterator[LogEntry]:
    """The entries in LINES; what is none, as a disk was full, is left out."""
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            entry = json.loads(line)
            text = entry["log"].encode(errors="surrogateescape")
            yield LogEntry(stream=entry["stream"], text=text, time=entry["time"])


def _existing(directory: str) -> list[str]:
    """The files of the log, the oldest first."""
    path = f"{directory}/{NAME}"
    number, older = 1, []
    while os.path.exists(f"{path}.{number}"):
        older.append(f"{path}.{number}")
        number += 1
    return [*reversed(older), path]


def _last_lines(paths: list[str], count: int, *, end: int) -> Iterator[bytes]:
    """The last COUNT lines of the files together, read from their ends; that of the last file is at END."""
    found: list[bytes] = []
    for path in reversed(paths):
        if len(found) >= count:
            break
        with suppress(FileNotFoundError), open(path, "rb") as file:
            size = end if path == paths[-1] else os.fstat(file.fileno()).st_size
            found = [*_tail(file.fileno(), count - len(found), size), *found]
    yield from found


def _tail(descriptor: int, count: int, at: int) -> list[bytes]:
    raw = b""
    while at > 0 and raw.count(b"\n") <= count:
        size = min(_BLOCK, at)
        at -= size
        raw = os.pread(descriptor, size, at) + raw
    lines = raw.splitlines(keepends=True)
    return lines[-count:] if count else []


def _followed(path: str, goes_on: Callable[[], bool], *, start: int) -> Iterator[LogEntry]:
    """The entries of the file PATH from START on, those that are added to it, and to the one that takes its place."""
    descriptor, rest = -1, b""
    try:
        while True:
            last = not goes_on()  # before it is read: what it wrote at its end is there then
            if descriptor < 0:
                with suppress(FileNotFoundError):
                    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                    os.lseek(descriptor, start, os.SEEK_SET)
                start = 0
            data = os.read(descriptor, _BLOCK) if descriptor >= 0 else b""
            if data:
                lines = (rest + data).split(b"\n")
                rest = lines.pop()
                yield from map_entries(iter(lines))
            elif descriptor >= 0 and _is_replaced(descriptor, path):
                os.close(descriptor)
                descriptor = -1
            elif last:
                return
            else:
                time.sleep(_POLL)
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _is_replaced(descriptor: int, path: str) -> bool:
    try:
        return not os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return True
