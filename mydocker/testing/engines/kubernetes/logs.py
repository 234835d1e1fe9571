"""The logs of pods, which are the results of parts, in the files of a batch's directory, as they come.

`kubectl logs` begins with the first line whenever it is called, so a connection that broke is replaced by a new one
into a new file: whoever puts results together takes the same line twice for one. What a connection has left of a line
is cut off, and what is missing in the end is missing in the whole.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress

from mydocker.errors import HostError, hint_for
from mydocker.programs import Background, printable
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mydocker.testing.engines.kubernetes.kubectl import Kubectl
    from mydocker.testing.engines.kubernetes.status import Pod

_TIMES = 3  # how often the log of a container that has ended is read if results are missing
_PATIENCE = 30.0  # seconds that a connection may last after the end of its container
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0  # seconds between two connections to a container that runs
_SHOWN = 300  # bytes of what kubectl complains about


class PodLog:
    """The log of one pod of a part that is to report the cases with the numbers AWAITED; NAME_FILE returns the path of
    a new file of results. `step` makes it go on."""

    def __init__(self, kubectl: Kubectl, pod: Pod, *, awaited: Collection[int], name_file: Callable[[], str]) -> None:
        self.kubectl, self.pod, self.awaited, self.name_file = kubectl, pod, frozenset(awaited), name_file
        self.numbers: set[int] = set()
        self.connection: Background | None = None
        self.path = ""
        self.is_torn = self.is_done = False
        self.complaint = ""
        self.after_end = 0  # connections that began after the end of the container
        self.ended: float | None = None  # when that was first seen
        self.next, self.pause = 0.0, _FIRST_PAUSE / 2

    def step(self, pod: Pod | None) -> None:
        """POD is what it is now; None if there is none any more. Raises HostError if kubectl cannot be executed."""
        now = time.monotonic()
        has_ended = pod is None or pod.has_ended
        if has_ended and self.ended is None:
            self.ended = now
        if self.connection and self.connection.status() is None:
            if self.ended is None or now < self.ended + _PATIENCE:
                return
            self.connection.end()
        if self.connection:
            self._conclude()
        if self.is_done or self.awaited <= self.numbers or pod is None or self.after_end >= _TIMES:
            self.is_done = True
        elif now >= self.next:
            self.after_end += has_ended
            self._connect(follow=not has_ended)
            self.pause = _FIRST_PAUSE if has_ended else min(self.pause * 2, _LONGEST_PAUSE)
            self.next = now + self.pause

    def end(self) -> None:
        """Break the connection."""
        if self.connection:
            self.connection.end()
            self._conclude()
        self.is_done = True

    @property
    def gap(self) -> str:
        """What the log lacks, in words; empty if it lacks nothing."""
        count = len(self.awaited & self.numbers)
        if count == len(self.awaited):
            return ""
        torn = ", and ends within a line" if self.is_torn else ""
        why = f" ({self.complaint})" if self.complaint else ""
        return f"the log of pod {self.pod.name} has {count} of {len(self.awaited)} results{torn}{why}"

    def _connect(self, *, follow: bool) -> None:
        self.path = self.name_file()
        try:
            with open(self._new(self.path), "wb") as out, open(self._new(f"{self.path}.stderr"), "wb") as err:
                self.connection = self.kubectl.logs(
                    self.pod.name, follow=follow, stdout=out.fileno(), stderr=err.fileno()
                )
        except OSError as error:
            self._remove()
            raise HostError(f"cannot write {self.path}: {error.strerror}", hint=hint_for(error)) from None
        except HostError:  # kubectl cannot be started, which is tried again
            self._remove()
            raise

    def _remove(self) -> None:
        for path in (self.path, f"{self.path}.stderr"):
            with suppress(OSError):
                os.unlink(path)

    @staticmethod
    def _new(path: str) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _conclude(self) -> None:
        """Take note of what the connection that has ended has brought."""
        self.connection = None
        with suppress(OSError):
            with open(self.path, "r+b") as file:
                raw = file.read()
                whole = raw.rfind(b"\n") + 1
                self.is_torn = whole < len(raw)
                file.truncate(whole)
            self.numbers.update(_numbers(raw[:whole]))
        with suppress(OSError):
            with open(f"{self.path}.stderr", "rb") as file:
                self.complaint = printable(file.read(_SHOWN))
            os.unlink(f"{self.path}.stderr")


def _numbers(raw: bytes) -> set[int]:
    """The numbers of the cases whose results are in RAW."""
    found = set()
    for line in raw.splitlines():
        with suppress(ValueError, RecursionError):
            data = json.loads(line)
            if isinstance(data, dict) and isinstance(number := data.get("number"), int):
                found.add(number)
    return found
