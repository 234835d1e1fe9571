"""The lines that the services of a project write, each after the name of its container."""

from __future__ import annotations

import os
import sys
import time

from mydocker.record import TYPE_CHECKING
from mydocker.services.containers.log_files import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

_COLORS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)  # as Compose gives them: cyan first


class ServiceOutput:
    """Writes the lines of containers: what they write to stdout to mydocker's stdout, and likewise stderr. TITLES: what
    the lines begin with, by the names of the containers."""

    def __init__(
        self, titles: Mapping[str, str], *, prefix: bool = True, color: bool = True, timestamps: bool = False
    ) -> None:
        """TIMESTAMPS: each line with the time at which it came."""
        width = max(map(len, titles.values()), default=0)
        self.prefixes = {name: f"{title:<{width}}  | " if prefix else "" for name, title in titles.items()}
        self.colors = {name: _COLORS[at % len(_COLORS)] for at, name in enumerate(titles)}
        self.timestamps = timestamps
        self.color = color and not os.environ.get("NO_COLOR")

    def show(self, name: str, is_error: bool, line: bytes) -> None:
        """Write LINE of the container called NAME. Raises OSError if nobody reads it."""
        stream = sys.stderr if is_error else sys.stdout
        if stream is None:
            return
        prefix = self.prefixes[name]
        if prefix and self.color and stream.isatty():
            prefix = f"\033[{self.colors[name]}m{prefix}\033[0m"
        stamp = f"{timestamp(time.time_ns())} " if self.timestamps else ""
        stream.buffer.write(prefix.encode() + stamp.encode() + line)
        stream.buffer.flush()
