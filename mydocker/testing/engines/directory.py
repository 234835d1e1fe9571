"""The directory of a batch that an engine runs:

    batch.jsonl   the heading of the whole: all cases, by name
    batch.json    `engine`, `parts`, what the engine calls the batch (`id`), and in the end `reasons`, by part
    K.R.jsonl     the results of part K, from its attempt R, from 0, one line each as they come
    K.R.log       what that attempt of part K has printed

An engine may have more files there. `mydocker report DIRECTORY` reads it at any time. Only its owner may look into it:
results have what containers print.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from io import BytesIO

from mydocker.errors import HostError, UsageError, printable
from mydocker.json_output import dump
from mydocker.kernel.disk import replace_file
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING, Record
from mydocker.testing.parts.line import BROKEN, heading
from mydocker.testing.parts.part import MOST_PARTS, digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mydocker.services.case import Case

HEADING, _STATE = "batch.jsonl", "batch.json"
_SUFFIX = ".jsonl"
_END = 1000  # bytes of a log


class State(Record):
    """What is known of a batch besides its results. `reasons` is None until all parts have ended."""

    engine: str
    parts: int
    id: str
    reasons: Mapping[int, str] | None = None


class Directory:
    """The directory at the absolute PATH, which `make` makes."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.written: list[str] = []  # names of files
        self.read: dict[str, tuple[int, int]] = {}  # by the name of a file: bytes and lines that have been read

    def make(self, cases: Sequence[Case], *, parts: int) -> None:
        """Make it, closed to others, for so many PARTS of CASES. Raises UsageError if there is one that is not empty,
        or not the user's."""
        try:
            try:
                os.mkdir(self.path, 0o700)
            except FileExistsError:
                _take(self.path)
            try:
                self.write(HEADING, dump(heading(cases, part=f"1/{parts}", batch=digest(cases))) + "\n")
            except OSError:
                self.remove()
                raise
        except OSError as error:
            raise UsageError(f"cannot make {self.path}: {error.strerror}") from None

    def heading(self) -> tuple[str, list[bytes]]:
        """The path and the lines of the file of the heading. Raises UsageError."""
        path = os.path.join(self.path, HEADING)
        try:
            with open(path, "rb") as file:
                return path, file.readlines()
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from None

    def write(self, name: str, text: str, *, mode: int = 0o600) -> str:
        """Write file NAME as a whole; its path."""
        path = os.path.join(self.path, name)
        self.written.append(name)
        replace_file(path, text, mode=mode)
        return path

    def remove(self) -> None:
        """Remove what this process has written, and the directory if nothing else is in it: nothing has begun."""
        for name in {*self.written}:
            with suppress(OSError):
                os.unlink(os.path.join(self.path, name))
        with suppress(OSError):
            os.rmdir(self.path)

    def keep(self, state: State) -> None:
        """Write STATE down. Raises HostError."""
        try:
            self.write(_STATE, dump(state.as_dict()) + "\n")
        except OSError as error:
            raise HostError(f"cannot write {self.path}/{_STATE}: {error.strerror}") from None

    def state(self) -> State | None:
        """What has been written down; None if this is no such directory."""
        try:
            with open(os.path.join(self.path, _STATE), encoding="utf-8") as file:
                data = json.load(file)
            reasons = data["reasons"]
            if reasons is not None:
                reasons = {int(part): str(words) for part, words in reasons.items()}
            if not 0 < int(data["parts"]) <= MOST_PARTS:
                return None
            return State(engine=str(data["engine"]), parts=int(data["parts"]), id=str(data["id"]), reasons=reasons)
        except (OSError, *BROKEN, RecursionError):
            return None

    def new_lines(self, *, torn: bool = False) -> Iterator[tuple[int, str, int, bytes]]:
        """The lines that have come since: (part, path, number of the line, line). A line that has no end yet only if
        TORN. A file that cannot be read now is read the next time: on a network's file system that may pass."""
        for name, part in sorted(self._results()):
            path = os.path.join(self.path, name)
            begin, number = self.read.get(name, (0, 0))
            try:
                # opened anew each time: only then NFS asks the server for what others have written (nfs(5))
                with open(path, "rb") as file:
                    file.seek(begin)
                    raw = file.read()
            except OSError:
                continue
            for line in BytesIO(raw):
                if not line.endswith(b"\n") and not torn:
                    break
                begin, number = begin + len(line), number + 1
                self.read[name] = (begin, number)
                yield part, path, number, line

    def _results(self) -> Iterator[tuple[str, int]]:
        """The files of results, with their parts."""
        try:
            names = os.listdir(self.path)
        except OSError:
            return
        for name in names:
            part = whole_number(name.partition(".")[0], MOST_PARTS)
            if name.endswith(_SUFFIX) and part:
                yield name, part

    def last_line(self, part: int) -> tuple[str, str]:
        """The path of the newest log of PART that is not empty, and its last line; empty strings if there is none."""
        try:
            names = [name for name in os.listdir(self.path) if name.startswith(f"{part}.") and name.endswith(".log")]
            for path in sorted((os.path.join(self.path, name) for name in names), key=os.path.getmtime, reverse=True):
                with open(path, "rb") as file:
                    file.seek(max(0, os.path.getsize(path) - _END))
                    lines = [line for line in file.read().splitlines() if line.strip()]
                if lines:
                    return path, printable(lines[-1].decode(errors="surrogateescape"))
        except OSError:
            pass
        return "", ""


def _take(path: str) -> None:
    """Use the directory that there is."""
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise UsageError(f"{path} is there, and no directory of yours")
    if os.listdir(path):
        raise UsageError(f"{path} is not empty", hint="each batch has a directory of its own")
    os.chmod(path, 0o700)
