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

from mydocker.number import is_whole_number
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mydocker.specs.model.parts import Logging

PART = 16 << 10
_STREAMS = ("stdout", "stderr")
_LOCAL = (20_000_000, 5)  # bytes of a file, and files, of Docker's driver local
NAME = "container.log"
_BLOCK = 1 << 16
_POLL = 0.1  # seconds
_TRIES = 50  # to read the files while they are renamed


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
        self._write_all([_entry(part, stream, stamp) for part in parts])

    def end(self) -> None:
        """The container has ended: lines without an end are written as they are."""
        stamp = timestamp(time.time_ns())
        self._write_all([_entry(rest, stream, stamp) for stream, rest in self.rest.items()])
        self.rest.clear()
        self.close()

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _write_all(self, entries: list[bytes]) -> None:
        """As few writes as the size of a file allows."""
        while entries:
            count, size = 1, self.size + len(entries[0])
            while count < len(entries) and (not self.max_size or size + len(entries[count]) <= self.max_size):
                size += len(entries[count])
                count += 1
            self._write(b"".join(entries[:count]))
            entries = entries[count:]

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
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self.descriptor = os.open(self.path, flags, 0o600)
            self.size = os.fstat(self.descriptor).st_size
            self.broken = bool(self.size) and os.pread(self.descriptor, 1, self.size - 1) != b"\n"

    def _rotate(self) -> None:
        count = 1  # of older files, and the one that moves among them
        while count < self.max_file and os.path.exists(f"{self.path}.{count}"):
            count += 1
        if count == self.max_file:
            os.unlink(f"{self.path}.{count - 1}" if count > 1 else self.path)
            count -= 1
        for number in range(count - 1, -1, -1):
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
    with _LogReader(f"{directory}/{NAME}") as reader:
        if tail is not None:
            reader.seek(tail)
        while True:
            last = not follow or not follow()  # before it is read: what it wrote at its end is there then
            yield from map_entries(reader.lines())
            if last:
                return
            time.sleep(_POLL)


def map_entries(lines: Iterator[bytes]) -> Iterator[LogEntry]:
    """The entries in LINES; what is none, as a disk was full, is left out."""
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            entry = json.loads(line)
            text = entry["log"].encode(errors="surrogateescape")
            if entry["stream"] in _STREAMS and isinstance(entry["time"], str):
                yield LogEntry(stream=entry["stream"], text=text, time=entry["time"])


class _LogReader:
    """Reads the files of the log at PATH one after the other, while they are rotated. Each file is known by its inode:
    its number changes."""

    def __init__(self, path: str) -> None:
        self.path, self.descriptor, self.rest = path, -1, b""

    def __enter__(self) -> _LogReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def lines(self) -> Iterator[bytes]:
        """The whole lines that are there now, and have not been read."""
        while self.descriptor >= 0 or self._open_next():
            newer = self._open_newer()  # first: nothing is added to this one afterwards
            while data := os.read(self.descriptor, _BLOCK):
                *lines, self.rest = (self.rest + data).split(b"\n")
                yield from lines
            if newer < 0:
                return
            self._close()
            self.descriptor = newer

    def seek(self, count: int) -> None:
        """Go to the last COUNT lines of all files."""
        for path in _existing(self.path):  # the newest first
            if not self._open(path):
                continue
            at, found = _line_from_end(self.descriptor, count)
            count -= found
            if not count:
                os.lseek(self.descriptor, at, os.SEEK_SET)
                return
            self._close()

    def _open_next(self) -> bool:
        """Open the oldest file; whether there is one."""
        return any(self._open(path) for path in reversed(_existing(self.path)))

    def _open(self, path: str) -> bool:
        self.descriptor = _opened(path)
        return self.descriptor >= 0

    def _open_newer(self) -> int:
        """A descriptor of the file after the one that is open; -1 if that is the newest."""
        own = os.fstat(self.descriptor)
        for _ in range(_TRIES):
            paths = _existing(self.path)
            at = next((number for number, path in enumerate(paths) if _is_file(own, path)), None)
            if at == 0:
                return -1
            if at is None and os.fstat(self.descriptor).st_nlink:  # they are rotated now
                time.sleep(_POLL / 10)
                continue
            newer = paths[-1 if at is None else at - 1] if paths else ""  # without a name, it is older than all
            descriptor = _opened(newer) if newer else -1
            if at is None or (descriptor >= 0 and _is_file(own, paths[at])):
                return descriptor
            if descriptor >= 0:
                os.close(descriptor)
        return -1

    def _close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor, self.rest = -1, b""


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return -1


def _is_file(state: os.stat_result, path: str) -> bool:
    try:
        return os.path.samestat(state, os.stat(path))
    except FileNotFoundError:
        return False


def _existing(path: str) -> list[str]:
    """The files of the log, the newest first."""
    directory, name = os.path.split(path)
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    numbers = (each[len(name) + 1 :] for each in names if each.startswith(f"{name}."))
    older = [f"{path}.{number}" for number in sorted(int(each) for each in numbers if is_whole_number(each))]
    return [path, *older] if name in names else older


def _line_from_end(descriptor: int, count: int) -> tuple[int, int]:
    """Where the last COUNT lines of a file begin, and how many there are."""
    at = end = os.fstat(descriptor).st_size
    if not count or not end:
        return end, 0
    found = 0 if os.pread(descriptor, 1, end - 1) == b"\n" else 1  # a line that is written now, or was cut off
    while at > 0:
        size = min(_BLOCK, at)
        at -= size
        raw = os.pread(descriptor, size, at)
        line = len(raw)
        while (line := raw.rfind(b"\n", 0, line)) >= 0:
            found += 1
            if found > count:
                return at + line + 1, count
    return 0, found
